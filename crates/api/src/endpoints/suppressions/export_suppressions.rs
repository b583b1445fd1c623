//! `GET /api/suppressions/export`

use super::suppression::SuppressionResponse;
use crate::csv_table::{CsvTable, TEXT_CSV, attachment};
use crate::extract::{AudienceRead, Can, NDJSON, Wanted};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::transact::Answer;
use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use bytes::Bytes;
use futures::{StreamExt, stream};
use muster_domain::model::suppression::Suppression;
use muster_domain::ports::store::{StoreError, Workspace, in_read_only_tx};
use muster_domain::usecases::list_suppressions as story;

/// So many entries are read and held at once.
const PAGE: u32 = 1000;

const COLUMNS: [&str; 5] = ["email", "domain", "reason", "source", "createdAt"];

/// The whole list to download, in its order: NDJSON with the members that the list shows, or with `Accept: text/csv` a
/// table. `POST /api/suppressions/import` takes either.
///
/// It is read page by page while it is sent: entries made meanwhile may be in it or not. People who were erased are not in
/// it, since of them only a keyed hash is kept.
#[utoipa::path(
    operation_id = "export_suppressions",
    tag = "suppressions",
    responses((status = 200, description = "The entries", content(
        (String = "application/x-ndjson"),
        (String = "text/csv")
    )))
)]
#[get("/export")]
pub(crate) async fn export_suppressions(caller: Can<AudienceRead>, wanted: Wanted) -> Answer {
    let (media_type, filename) = match wanted {
        Wanted::Csv => (TEXT_CSV, "suppressions.csv"),
        Wanted::Json | Wanted::Ndjson => (NDJSON, "suppressions.ndjson"),
    };
    let mut pages = Pages { state: caller.state.clone(), of: caller.workspace(), wanted, after: None, done: false };
    // The first before the answer begins, so that it can still be a refusal.
    let first = pages.first().await?;
    let rest = stream::try_unfold(pages, |mut pages: Pages| async move {
        Ok::<_, Problem>(pages.next().await?.map(|page| (page, pages)))
    });
    let body = stream::iter([Ok::<_, Problem>(first)]).chain(rest);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format!("{media_type}; charset=utf-8")))
        .insert_header(attachment(filename.to_owned()))
        .streaming(Box::pin(body)))
}

/// Where reading the list has come to.
struct Pages {
    state: web::Data<ApiState>,
    of: Workspace,
    wanted: Wanted,
    after: Option<String>,
    done: bool,
}

impl Pages {
    async fn first(&mut self) -> Result<Bytes, Problem> {
        let rows = self.read().await?;
        match self.wanted {
            Wanted::Csv => table(CsvTable::new(&COLUMNS)?, rows),
            Wanted::Json | Wanted::Ndjson => lines(rows),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.done {
            return Ok(None);
        }
        let rows = self.read().await?;
        match self.wanted {
            Wanted::Csv => table(CsvTable::more(), rows),
            Wanted::Json | Wanted::Ndjson => lines(rows),
        }
        .map(Some)
    }

    /// Each page in a transaction of its own: none is open while the caller takes its time.
    async fn read(&mut self) -> Result<Vec<Suppression>, StoreError> {
        let after = self.after.take();
        let store = &*self.state.store;
        let rows =
            in_read_only_tx(store, self.of, async |tx| story::list_suppressions(tx, None, after, PAGE).await).await?;
        self.done = rows.len() < PAGE as usize;
        self.after = rows.last().and_then(|row| row.entry.key()).map(str::to_owned);
        Ok(rows)
    }
}

fn table(mut table: CsvTable, rows: Vec<Suppression>) -> Result<Bytes, Problem> {
    for row in rows {
        table.row(SuppressionResponse::from(row).cells())?;
    }
    table.into_bytes().map(Bytes::from)
}

fn lines(rows: Vec<Suppression>) -> Result<Bytes, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, &SuppressionResponse::from(row)).map_err(Problem::internal)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}
