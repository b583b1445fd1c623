//! `muster doctor --recount`: whether what was counted along the way is what the rows say.

use crate::program::{muster, run, state_folder, text};
use muster_domain::model::events::{ClickedLink, EngagementEvent, EventKind};
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::store::Store;
use muster_testkit::mail_queue::MailQueue;
use secrecy::ExposeSecret;
use std::process::Output;
use uuid::Uuid;

fn count_again(queue: &MailQueue) -> Output {
    let state = state_folder();
    let mut command = muster(&["doctor", "--recount", "--http-addr", "127.0.0.1:0"]);
    command.env("DATABASE_URL", queue.database.url().expose_secret()).env("MUSTER_STATE_DIR", state.path());
    run(command)
}

/// A campaign whose mails were opened and followed.
async fn engaged() -> MailQueue {
    let queue = MailQueue::of(3).await;
    let link = ClickedLink { no: LinkNo(7), of: 1 };
    let told = [(EventKind::Opened, None), (EventKind::Clicked, Some(link)), (EventKind::Bounced, None)];
    let events = told.into_iter().flat_map(|(kind, link)| {
        let delivery = |index| queue.delivery(index);
        let at = "2026-05-01T12:20:00Z".parse().expect("an instant");
        (0..3).map(move |index| EngagementEvent {
            id: Uuid::now_v7(),
            delivery: delivery(index),
            kind,
            link,
            at,
            machine: None,
        })
    });
    let events: Vec<_> = events.collect();
    let mut tx = queue.store().begin(queue.workspace).await.expect("a transaction");
    tx.events().record(&events).await.expect("recorded");
    tx.commit().await.expect("committed");
    queue
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_counts_again_and_names_each_figure_that_differs() {
    let queue = engaged().await;
    let healthy = count_again(&queue);
    let said = text(&healthy.stdout);
    assert_eq!(healthy.status.code(), Some(0), "{said}");
    assert!(said.contains("✓ Figures") && said.contains("books and figures of 1 tenants equal their rows"), "{said}");
    assert!(said.ends_with("Nothing that is needed is missing.\n"), "{said}");

    let id = queue.text("SELECT id FROM campaigns").await;
    let place = format!("of campaign {id}, step 1, in the quarter-hour from 2026-05-01T12:15:00Z");
    for (table, column, named) in [
        ("stats", "human_opened", format!("uniqueOpens {place}: 4 counted, 3 in the rows")),
        ("stats", "clicks", format!("allTotalClicks {place}: 4 counted, 3 in the rows")),
        ("stats", "returned", format!("emailsBounced (later) {place}: 4 counted, 3 in the rows")),
        ("link_stats", "human_clicked", format!("uniqueClicks of link 7 {place}: 4 counted, 3 in the rows")),
        ("step_counters", "pending", "step 1/1: ".to_owned()),
    ] {
        queue.run(&format!("UPDATE {table} SET {column} = {column} + 1 WHERE {column} > 0")).await;
        let ill = count_again(&queue);
        let said = text(&ill.stdout);
        assert_eq!(ill.status.code(), Some(1), "{said}");
        assert!(said.contains("✗ Figures") && said.contains("differ from the rows") && said.contains(&named), "{said}");
        assert!(said.contains("→") && said.ends_with("One thing must be mended.\n"), "{said}");
        queue.run(&format!("UPDATE {table} SET {column} = {column} - 1 WHERE {column} > 0")).await;
    }
    // A figure that is missing altogether is a difference, too.
    queue.run("DELETE FROM stats WHERE opens > 0").await;
    let ill = count_again(&queue);
    assert_eq!(ill.status.code(), Some(1));
    assert!(
        text(&ill.stdout).contains(&format!("uniqueOpens {place}: 0 counted, 3 in the rows")),
        "{}",
        text(&ill.stdout)
    );
}
