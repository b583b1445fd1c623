//! Many reports at once, and a database that goes away.

use super::{Scene, assert_tally};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_worked_off_and_everything_in_it_counts_once() {
    const MAILS: i64 = 60;
    let scene = Scene::with(MAILS).await;
    // Each three times, all at once; what finds no room comes again.
    let mut flood: FuturesUnordered<_> = (0..MAILS * 3)
        .map(|n| {
            let scene = &scene;
            async move {
                let (id, body) = (format!("msg{}", n % MAILS), scene.bounce(n % MAILS, "5.1.1"));
                loop {
                    let answer =
                        scene.app.send(scene.signed(&scene.hook, "mta", &id, scene.seconds().await, &body)).await;
                    if answer.status != 503 {
                        return answer;
                    }
                    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|wait| wait > 0), "{answer:?}");
                }
            }
        })
        .collect();
    let (mut counted, mut repeated) = (0, 0);
    while let Some(answer) = flood.next().await {
        answer.assert_status(200);
        counted += answer.json["counted"].as_i64().unwrap();
        repeated += answer.json["repeated"].as_i64().unwrap();
    }
    assert_eq!((counted, repeated), (MAILS, MAILS * 2));
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, MAILS);
    assert_eq!(scene.number("SELECT count(*) FROM suppressions").await, MAILS);
    assert_eq!(scene.number("SELECT exited FROM campaign_counters").await, MAILS);
    scene.queue.assert_books().await;
}

#[tokio::test]
async fn events_of_one_message_that_was_cut_short_count_once_each() {
    let scene = Scene::with(3).await;
    let events: Vec<_> = (0..3)
        .map(|index| {
            let id = scene.name(muster_domain::ports::tokens::TokenPurpose::MessageId, index);
            json!({"type": "bounced", "messageId": id, "status": "5.1.1"})
        })
        .collect();
    let body = serde_json::to_vec(&json!({ "events": events })).unwrap();
    // The second is in somebody's hands, and the session that waits for it dies.
    let mut conn = scene.queue.database.connect().await;
    let hold = format!(
        "BEGIN; SELECT FROM contacts WHERE contact_no = {} FOR UPDATE; SET LOCAL idle_in_transaction_session_timeout = 0",
        scene.queue.first_contact + 1
    );
    diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, &hold).await.unwrap();
    let terminated = scene.post("json", "one", &body);
    let cut = async {
        loop {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            if scene.number(waiting).await > 0 {
                scene
                    .queue
                    .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                    .await;
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (answer, ()) = tokio::join!(terminated, cut);
    answer.assert_problem(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|wait| wait > 0));
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 1, "the first stands");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, "ROLLBACK").await.unwrap();
    assert_tally(&scene.post("json", "one", &body).await, 2, 1, 0);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 3);
    scene.queue.assert_books().await;
}
