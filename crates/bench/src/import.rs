//! Import of CSV through the API, against COPY of the same people into the same table.

use super::Options;
use super::enroll::rate;
use super::report::{Report, median};
use super::stage::Place;
use anyhow::Result;
use bytes::Bytes;
use futures::{SinkExt, stream};
use std::fmt::Write as _;
use std::time::Instant;

const REPETITIONS: usize = 3;
const LINES_AT_ONCE: u64 = 2_000;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let size = options.rows(200_000);
    let base = place.base(0).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let database = place.copy(&base.name).await?;
        let server = place.serve(&database.text("current_database()").await?).await?;
        let begun = Instant::now();
        let said = server.api(&base.key).upload("/api/contacts/import", "text/csv", csv(size)).await?;
        ours.push(rate(size, begun));
        anyhow::ensure!(said["created"] == size, "{said}");
        drop(server);
        place.forget(database).await?;

        let database = place.copy(&base.name).await?;
        let begun = Instant::now();
        let sink = database
            .client()
            .copy_in("COPY contacts (tenant_no, workspace_no, id, email, email_key, first_name, city, created_at, updated_at) FROM STDIN (FORMAT csv)")
            .await?;
        let mut sink = Box::pin(sink);
        for first in (0..size).step_by(usize::try_from(LINES_AT_ONCE)?) {
            sink.send(copied(first, size)).await?;
        }
        sink.as_mut().finish().await?;
        bare.push(rate(size, begun));
        place.forget(database).await?;
    }
    let what = format!("{size} rows of CSV through the API, each checked and looked up");
    report.rate(&what, median(ours), ("COPY of checked rows", median(bare)), "rows/s", None);
    place.drop_database(&base.name).await
}

/// A file of so many people, made while it is sent.
pub(crate) fn csv(size: u64) -> reqwest::Body {
    let head = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"email,firstName,city\n")) });
    let starts = (0..size).step_by(usize::try_from(LINES_AT_ONCE).unwrap_or(1));
    let rows = starts.map(move |first| {
        let mut text = String::new();
        for n in first..(first + LINES_AT_ONCE).min(size) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "reader{n}@example.test,Ada,London");
        }
        Ok(Bytes::from(text))
    });
    reqwest::Body::wrap_stream(futures::StreamExt::chain(head, stream::iter(rows)))
}

/// The same people as COPY wants them.
fn copied(first: u64, size: u64) -> Bytes {
    let mut text = String::new();
    for n in first..(first + LINES_AT_ONCE).min(size) {
        let id = uuid::Uuid::now_v7();
        let _ = writeln!(
            text,
            "1,1,{id},reader{n}@example.test,reader{n}@example.test,Ada,London,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z"
        );
    }
    Bytes::from(text)
}
