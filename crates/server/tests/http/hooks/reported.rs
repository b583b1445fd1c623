//! What comes of reports that count.

use super::{Scene, assert_tally};
use muster_domain::model::schedule::Settings;
use muster_testkit::mail_queue::QueuePlan;
use serde_json::json;

const SUPPRESSED: &str = "SELECT count(*) FROM suppressions";

#[tokio::test]
async fn a_hard_bounce_suppresses_the_address_and_takes_the_contact_out() {
    let scene = Scene::with(3).await;
    assert_tally(&scene.post("mta", "a", &scene.bounce(1, "5.1.1")).await, 1, 0, 0);
    let listed = scene.app.get("/api/suppressions").await;
    assert_eq!(listed.json["data"][0]["email"], "c2@example.org");
    assert_eq!(listed.json["data"][0]["reason"], "bounced");
    assert_eq!(scene.number("SELECT count(*) FROM enrollments WHERE status = 'x' AND exit_reason = 'b'").await, 1);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 1);
    assert_eq!(scene.queue.messages('s').await, 3, "it was sent, and came back");
    scene.queue.assert_books().await;
}

#[tokio::test]
async fn a_bounce_counts_on_its_own_day() {
    let scene = Scene::with(1).await;
    scene.queue.run("UPDATE messages SET queued_at = '2026-01-01T00:00:00Z', ended_at = '2026-01-01T00:00:00Z'").await;
    let event = json!({"type": "bounced", "status": "5.7.1", "occurredAt": "2026-01-03T12:34:56Z"});
    assert_tally(&scene.event(0, event).await, 1, 0, 0);
    assert_eq!(
        scene.queue.text("SELECT quarter AT TIME ZONE 'UTC' FROM stats WHERE returned = 1").await,
        "2026-01-03 12:30:00"
    );
    // Neither before the mail nor in the future, whatever is claimed.
    let scene = Scene::with(2).await;
    for (index, claimed) in [(0, "1999-01-01T00:00:00Z"), (1, "2999-01-01T00:00:00Z")] {
        scene.event(index, json!({"type": "complained", "occurredAt": claimed})).await.assert_status(200);
    }
    assert_eq!(
        scene.number("SELECT count(*) FROM events WHERE at > now() - interval '1 hour' AND at <= now()").await,
        2
    );
}

#[tokio::test]
async fn blocked_mail_counts_and_says_nothing_of_the_address() {
    let scene = Scene::with(1).await;
    assert_tally(&scene.post("mta", "a", &scene.bounce(0, "5.7.1")).await, 1, 0, 0);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 1);
    assert_eq!(scene.number(SUPPRESSED).await, 0);
    assert_eq!(scene.number("SELECT open FROM campaign_counters").await, 1);
}

#[tokio::test]
async fn soft_bounces_count_and_enough_of_them_over_time_suppress() {
    let scene = Scene::with(2).await;
    // Four mails of other campaigns came back in the weeks before.
    scene
        .queue
        .run(&format!(
            "INSERT INTO soft_bounces SELECT {}, {}, 900 + n, 1, 1, now() - n * interval '9 days' FROM generate_series(1, 4) n",
            scene.queue.key.tenant.0, scene.queue.first_contact
        ))
        .await;
    assert_tally(&scene.post("mta", "a", &scene.bounce(1, "5.2.2")).await, 1, 0, 0);
    assert_eq!(scene.number(SUPPRESSED).await, 0, "a first one");
    assert_tally(&scene.post("mta", "b", &scene.bounce(0, "5.2.2")).await, 1, 0, 0);
    assert_eq!(
        scene.queue.text("SELECT string_agg(entry || reason, ',') FROM suppressions").await,
        "c1@example.orgbounced"
    );
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 2);
    scene.queue.assert_books().await;
}

#[tokio::test]
async fn a_bounce_of_a_former_address_leaves_the_new_one_alone() {
    let scene = Scene::with(1).await;
    scene.queue.run("UPDATE contacts SET email = 'new@example.org', email_key = 'new@example.org'").await;
    assert_tally(&scene.post("mta", "a", &scene.bounce(0, "5.1.1")).await, 1, 0, 0);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 1);
    assert_eq!(scene.number(SUPPRESSED).await, 0);
    assert_eq!(scene.number("SELECT open FROM campaign_counters").await, 1);
}

#[tokio::test]
async fn a_complaint_suppresses_and_takes_the_contact_out() {
    let scene = Scene::with(2).await;
    assert_tally(&scene.event(0, json!({"type": "complained"})).await, 1, 0, 0);
    assert_eq!(
        scene.queue.text("SELECT string_agg(entry || reason, ',') FROM suppressions").await,
        "c1@example.orgcomplained"
    );
    assert_eq!(scene.number("SELECT count(*) FROM enrollments WHERE exit_reason = 'c'").await, 1);
    assert_eq!(scene.number("SELECT sum(complained) FROM stats").await, 1);
    scene.queue.assert_books().await;
}

#[tokio::test]
async fn a_reply_ends_a_campaign_that_stops_on_replies_and_no_other() {
    for (stop_on_reply, left) in [(true, 1), (false, 0)] {
        let settings = Settings { stop_on_reply, ..Settings::default() };
        let scene = Scene::of(QueuePlan { contacts: 2, settings, ..QueuePlan::default() }).await;
        let reply = |by: &str, index| {
            let id = scene.name(muster_domain::ports::tokens::TokenPurpose::MessageId, index);
            format!(
                "From: c{}@example.org\r\nTo: news@example.com\r\n{by}In-Reply-To: <{id}>\r\n\r\nYes!\r\n",
                index + 1
            )
        };
        let away = reply("Auto-Submitted: auto-replied\r\n", 1);
        assert_tally(&scene.post("mta", "a", away.as_bytes()).await, 1, 0, 0);
        assert_tally(&scene.post("mta", "b", reply("", 0).as_bytes()).await, 1, 0, 0);
        assert_eq!(scene.number("SELECT count(*) FROM enrollments WHERE exit_reason = 'r'").await, left);
        assert_eq!(scene.number("SELECT count(*) FROM enrollments WHERE status = 'x'").await, left);
        assert_eq!(scene.number(SUPPRESSED).await, 0);
        scene.queue.assert_books().await;
    }
}

#[tokio::test]
async fn what_is_heard_of_a_mail_in_doubt_says_that_it_was_sent() {
    for (event, evidence, returned) in [
        (json!({"type": "delivered"}), "event", 0),
        (json!({"type": "replied"}), "event", 0),
        (json!({"type": "complained"}), "event", 0),
        // It was accepted before it came back.
        (json!({"type": "bounced", "status": "5.1.1"}), "bounce", 1),
        (json!({"type": "bounced", "status": "4.4.7"}), "bounce", 1),
    ] {
        let scene = Scene::with(1).await;
        scene
            .queue
            .run(
                "UPDATE messages SET state = 'd', detail = 'no answer'; UPDATE step_counters SET sent = 0, in_doubt = 1; \
                 UPDATE stats SET sent = 0",
            )
            .await;
        assert_tally(&scene.event(0, event.clone()).await, 1, 0, 0);
        assert_eq!(scene.queue.messages('s').await, 1, "{event}");
        assert_eq!(
            scene.queue.text("SELECT string_agg(evidence::text, '') FROM delivery_decisions").await,
            evidence[..1],
            "{event}"
        );
        assert_eq!(scene.number("SELECT sum(sent) FROM stats").await, 1, "{event}");
        assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, returned, "{event}");
        assert_eq!(scene.number("SELECT sum(undelivered) FROM stats").await, returned, "{event}");
        assert_eq!(scene.number("SELECT sum(bounced) FROM stats").await, 0, "{event}");
        scene.queue.assert_books().await;
    }
}

#[tokio::test]
async fn the_figures_of_days_and_steps_are_what_was_reported() {
    let scene = Scene::with(6).await;
    scene
        .queue
        .run(
            "UPDATE messages SET queued_at = '2026-01-01T08:00:00Z', ended_at = '2026-01-01T09:00:00Z'; \
             UPDATE campaigns SET launched_at = '2026-01-01T08:00:00Z'; UPDATE stats SET quarter = '2026-01-01T09:00:00Z'",
        )
        .await;
    for (index, kind, at) in [
        (0, "bounced", "2026-01-01T10:00:00Z"),
        (1, "bounced", "2026-01-02T10:00:00Z"),
        (2, "complained", "2026-01-02T23:59:59Z"),
        (3, "replied", "2026-01-03T00:00:00Z"),
        (4, "replied", "2026-01-03T23:00:00Z"),
        (5, "delivered", "2026-01-01T09:30:00Z"),
    ] {
        let event = json!({"type": kind, "occurredAt": at});
        assert_tally(&scene.event(index, event).await, 1, 0, 0);
    }
    let id = scene.queue.text("SELECT id FROM campaigns").await;
    let path = format!("/api/campaigns/{id}/analytics?startDate=2026-01-01&endDate=2026-01-03&timezone=UTC");
    let report = scene.app.get(&path).await;
    report.assert_status(200);
    let figures = |row: &serde_json::Value| {
        ["emailsSent", "emailsDelivered", "emailsBounced", "spamComplaints", "replies", "emailsConfirmed"]
            .map(|name| row[name].as_i64().expect("a number"))
    };
    let days: Vec<_> = report.json["overall"].as_array().unwrap().iter().map(figures).collect();
    // A mail that came back the next day is a bounce of that day, and no delivery of the day on which it was sent.
    assert_eq!(days, [[6, 4, 1, 0, 0, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 2, 0]]);
    assert_eq!(figures(&report.json["totals"]), [6, 4, 2, 1, 2, 1]);
    let steps: Vec<_> = report.json["byStep"].as_array().unwrap().iter().map(figures).collect();
    assert_eq!(steps, [[6, 4, 2, 1, 2, 1], [0; 6]]);
    let steps = scene.app.get(&format!("/api/campaigns/{id}/steps")).await;
    let stats = &steps.json["data"][0]["stats"];
    assert_eq!([&stats["emailsDelivered"], &stats["emailsBounced"], &stats["replies"]], [4, 2, 2]);
    scene.queue.assert_books().await;
}
