//! Many reports at once, and a database that goes away.

use super::{Scene, assert_tally};
use futures::StreamExt;
use futures::stream::{self, FuturesUnordered};
use muster_testkit::database::TestCluster;
use muster_testkit::mail_queue::QueuePlan;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
            // Of this test alone: others wait for locks on the same server.
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE wait_event_type = 'Lock' AND datname = current_database()";
            if scene.number(cut).await > 0 {
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

/// Four reports of each mail, some of which were in doubt, thrice and in another order each time.
#[tokio::test(flavor = "multi_thread")]
async fn reports_shuffled_and_told_three_times_end_in_the_same_books() {
    const MAILS: i64 = 12;
    let mut ends = Vec::new();
    for seed in 0..3_u64 {
        let scene = Scene::with(MAILS).await;
        let (first, last) = (scene.queue.first_contact, scene.queue.first_contact + 3);
        scene
            .queue
            .run(&format!(
                "UPDATE messages SET state = 'd' WHERE contact_no BETWEEN {first} AND {last}; \
                 UPDATE step_counters SET sent = sent - 4, in_doubt = 4; UPDATE stats SET sent = sent - 4"
            ))
            .await;
        let told = ["delivered", "bounced", "complained", "replied"];
        let mut reports: Vec<_> = (0..MAILS)
            .flat_map(|index| told.iter().take(usize::try_from(index % 4).unwrap() + 1).map(move |kind| (index, *kind)))
            .flat_map(|report| [report; 3])
            .collect();
        reports.shuffle(&mut StdRng::seed_from_u64(seed));
        let mut flood: FuturesUnordered<_> = reports
            .into_iter()
            .map(|(index, kind)| {
                let scene = &scene;
                async move {
                    let body = scene.events(index, json!({"type": kind}));
                    let id = format!("{kind}{index}");
                    loop {
                        let at = scene.seconds().await;
                        let answer = scene.app.send(scene.signed(&scene.hook, "json", &id, at, &body)).await;
                        if answer.status != 503 {
                            return answer;
                        }
                    }
                }
            })
            .collect();
        while let Some(answer) = flood.next().await {
            answer.assert_status(200);
        }
        scene.queue.assert_books().await;
        let sums = "SELECT sum(sent) || ' ' || sum(bounced) || ' ' || sum(returned) || ' ' || sum(confirmed) || ' ' || sum(replied) || ' ' || sum(complained) FROM stats";
        let books = "SELECT (SELECT string_agg(s::text, ' ') FROM step_counters s) || (SELECT string_agg(c::text, ' ') FROM campaign_counters c)";
        let suppressed = scene.number("SELECT count(*) FROM suppressions").await;
        ends.push((scene.queue.text(sums).await, scene.queue.text(books).await, suppressed));
    }
    assert_eq!(ends[0].0, "12 0 9 12 3 6");
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

/// Every report is told until it is answered with 200, and PostgreSQL dies twice meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_when_postgresql_dies_in_the_storm() {
    const MAILS: i64 = 120;
    let cluster = TestCluster::start().await;
    let scene = Scene::on(cluster.database().await, QueuePlan { contacts: MAILS, ..QueuePlan::default() }).await;
    let at = scene.seconds().await;
    let acknowledged = AtomicUsize::new(0);
    let tell = |n: i64| {
        let (scene, acknowledged) = (&scene, &acknowledged);
        async move {
            let (id, body) = (format!("msg{n}"), scene.bounce(n, "5.1.1"));
            loop {
                let answer = scene.app.send(scene.signed(&scene.hook, "mta", &id, at, &body)).await;
                if answer.status != 503 {
                    answer.assert_status(200);
                    assert_eq!(answer.json["counted"].as_u64().unwrap() + answer.json["repeated"].as_u64().unwrap(), 1);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let storm = stream::iter(0..MAILS).map(tell).buffer_unordered(8).collect::<()>();
    let dying = async {
        for threshold in [20, 60] {
            while acknowledged.load(Ordering::SeqCst) < threshold {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            cluster.restart_immediate().await;
        }
    };
    tokio::join!(storm, dying);
    assert_eq!(scene.number("SELECT count(*) FROM suppressions").await, MAILS);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, MAILS);
    assert_eq!(scene.number("SELECT exited FROM campaign_counters").await, MAILS);
    assert_eq!(scene.number("SELECT count(*) FROM hook_receipts").await, MAILS);
    scene.queue.assert_books().await;
}
