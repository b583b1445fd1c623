//! Events: idempotent, whatever their order, and counted as their rows say.

use chrono::{DateTime, TimeDelta, Utc};
use muster_adapters::postgres::PgStore;
use muster_adapters::postgres::recount::{self, Recount};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{ClickedLink, EngagementEvent, EventKind, KEPT_OF_A_KIND, Machine};
use muster_domain::model::ids::{LinkNo, Pass, StepNo, TenantNo};
use muster_domain::ports::events::{EventKeeper, EventReport};
use muster_domain::ports::store::{Store, StoreError};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// Nothing is sent here: everything happened long after it would have been.
const NOON: &str = "2026-05-01T12:00:00Z";

fn noon() -> DateTime<Utc> {
    NOON.parse().unwrap()
}

fn event(delivery: DeliveryKey, kind: EventKind, at: DateTime<Utc>) -> EngagementEvent {
    EngagementEvent { id: Uuid::now_v7(), delivery, kind, link: None, at, machine: None }
}

fn click(delivery: DeliveryKey, link: i64, of: i16, at: DateTime<Utc>) -> EngagementEvent {
    let link = Some(ClickedLink { no: LinkNo(link), of });
    EngagementEvent { link, ..event(delivery, EventKind::Clicked, at) }
}

/// The link was followed that no person sees.
fn trap(delivery: DeliveryKey, at: DateTime<Utc>) -> EngagementEvent {
    EngagementEvent { machine: Some(Machine::Trap), ..event(delivery, EventKind::Clicked, at) }
}

async fn try_record(store: &PgStore, queue: &MailQueue, events: &[EngagementEvent]) -> Result<EventReport, StoreError> {
    let mut tx = store.begin(queue.workspace).await?;
    let report = tx.events().record(events).await?;
    tx.commit().await?;
    Ok(report)
}

async fn record(store: &PgStore, queue: &MailQueue, events: &[EngagementEvent]) -> EventReport {
    try_record(store, queue, events).await.unwrap()
}

/// A queue whose mails are in nobody's hands, so that nothing is too soon.
async fn scene(contacts: i64) -> (MailQueue, PgStore) {
    let queue = MailQueue::of(contacts).await;
    let store = queue.store();
    (queue, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_equal_a_recount_after_a_storm_of_shuffled_and_tripled_events() {
    let (queue, store) = scene(12).await;
    // The second step's mails were sent at different times, but for some that failed.
    queue
        .run(
            "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
                 SELECT tenant_no, campaign_no, contact_no, 2, p, CASE contact_no % 5 WHEN 0 THEN 'f' ELSE 's' END::\"char\", 1, 1, 1, queued_at, \
                     '2026-05-01T06:10:00Z'::timestamptz + contact_no * p * interval '11 minutes' FROM outbox, generate_series(1, 2) p; \
             INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent) \
                 SELECT tenant_no, campaign_no, step, date_bin('15 minutes', ended_at, 'epoch'), count(*) FROM messages WHERE state = 's' \
                 GROUP BY 1, 2, 3, 4",
        )
        .await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut events = Vec::new();
    for _ in 0..900 {
        let delivery = DeliveryKey {
            step: StepNo(random.random_range(1..3)),
            pass: Pass(random.random_range(1..3)),
            ..queue.delivery(random.random_range(0..12))
        };
        let at = noon() + TimeDelta::milliseconds(random.random_range(0..4 * 3_600_000));
        let soon = noon() + TimeDelta::milliseconds(random.random_range(0..20_000));
        let mut one = match random.random_range(0..13) {
            0..2 => event(delivery, EventKind::Opened, at),
            2 => event(delivery, EventKind::Opened, soon),
            // Few seconds and few links: some mails are swept, others not.
            3..7 => click(delivery, random.random_range(1..4), 3, soon),
            12 => trap(delivery, soon),
            other => event(delivery, EventKind::ALL[other - 4], at),
        };
        if one.machine.is_none() {
            one.machine = random.random_bool(0.2).then_some(Machine::Agent);
        }
        events.extend([one, one, one]);
    }
    events.shuffle(&mut random);
    let chunks: Vec<&[EngagementEvent]> = events.chunks(57).collect();
    let (store, queue) = (&store, &queue);
    let told = futures::future::join_all(chunks.chunks(12).map(async |mine| {
        let mut recorded = 0;
        for chunk in mine {
            recorded += record(store, queue, chunk).await.recorded;
        }
        recorded
    }));
    assert_eq!(told.await.into_iter().sum::<usize>(), 900, "each once");
    queue.assert_figures().await;
    assert!(queue.number("SELECT sum(undelivered) FROM stats").await > 0, "some of what was sent came back");
    assert_eq!(
        queue.number("SELECT count(*) FROM stats WHERE sent < undelivered").await,
        0,
        "no deliveries below none"
    );
    // The same as the application's role counts it, tenant by tenant.
    queue.add(QueuePlan::default()).await;
    let counted = recount::recount(queue.database.url()).await.unwrap();
    assert_eq!(counted, Recount { tenants: 2, ..Recount::default() });
    queue.run("UPDATE stats SET human_opened = human_opened + 1 WHERE human_opened > 0").await;
    let counted = recount::recount(queue.database.url()).await.unwrap();
    assert!(
        counted.differences.iter().all(|text| text.contains("uniqueOpens of ")) && counted.differences.len() == 1,
        "{counted:?}"
    );
    queue.run("UPDATE stats SET human_opened = human_opened - 1 WHERE human_opened > 0").await;
    queue.run("UPDATE step_counters SET pending = pending + 1 WHERE tenant_no > 1").await;
    assert_eq!(recount::recount(queue.database.url()).await.unwrap().differences.len(), 1);
    queue.run("UPDATE step_counters SET pending = pending - 1 WHERE tenant_no > 1").await;
    let swept = queue.number("SELECT count(*) FROM events WHERE machine = 'l'").await;
    assert!((1..900).contains(&swept), "the storm has sweeps and clicks that are none: {swept}");
    let caught = queue.number("SELECT count(*) FROM events WHERE machine = 't' AND (kind = 'o' OR link <> 0)").await;
    assert!((1..900).contains(&caught), "and traps with others around: {caught}");
    // What is a person's by now follows from the rows alone: nothing of it is near a trap.
    let near = "SELECT count(*) FROM events e JOIN events t USING (tenant_no, campaign_no, contact_no, step, pass) \
        WHERE t.kind = 'c' AND t.link = 0 AND e.kind IN ('o', 'c') AND e.machine IS NULL \
        AND e.at BETWEEN t.at - interval '2 seconds' AND t.at + interval '2 seconds'";
    assert_eq!(queue.number(near).await, 0);
    let before = queue.text("SELECT string_agg(s::text, ';' ORDER BY s::text) FROM stats s").await;
    let again = record(store, queue, &events[..500]).await;
    assert_eq!(again.recorded, 0);
    assert_eq!(queue.text("SELECT string_agg(s::text, ';' ORDER BY s::text) FROM stats s").await, before);
}

#[tokio::test]
async fn who_follows_the_hidden_link_did_what_was_done_then() {
    let (queue, store) = scene(3).await;
    let at = |millis| noon() + TimeDelta::milliseconds(millis);
    let events = |delivery| {
        vec![
            trap(delivery, at(10_000)),
            click(delivery, 1, 1, at(8_000)),
            event(delivery, EventKind::Opened, at(12_000)),
            click(delivery, 1, 1, at(12_001)),
            event(delivery, EventKind::Opened, at(7_999)),
            event(delivery, EventKind::Replied, at(10_000)),
        ]
    };
    let (forward, mut backward) = (events(queue.delivery(0)), events(queue.delivery(1)));
    backward.reverse();
    for event in forward.iter().chain(&backward) {
        record(&store, &queue, &[*event]).await;
        queue.assert_figures().await;
    }
    record(&store, &queue, &events(queue.delivery(2))).await;
    let figures = "SELECT format('%s %s %s %s, %s %s %s %s, %s', opens, human_opens, opened, human_opened, clicks, human_clicks, clicked, \
        human_clicked, replied) FROM stats";
    assert_eq!(queue.text(figures).await, "6 3 3 3, 9 3 3 3, 3", "whatever comes first");
    let links = "SELECT string_agg(format('%s: %s %s %s %s', link, clicks, human_clicks, clicked, human_clicked), ';') FROM link_stats";
    assert_eq!(queue.text(links).await, "1: 6 3 3 3", "the hidden one is none of them");
    let why = "SELECT string_agg(DISTINCT n::text, ',') FROM (SELECT count(*) AS n FROM events WHERE machine = 't' GROUP BY contact_no) t";
    assert_eq!(queue.text(why).await, "3");
    queue.assert_figures().await;
}

#[tokio::test]
async fn the_order_of_events_makes_no_difference() {
    let (queue, store) = scene(1).await;
    let (one, other) = (queue.delivery(0), DeliveryKey { step: StepNo(2), ..queue.delivery(0) });
    let at = |seconds| noon() + TimeDelta::seconds(seconds);
    let events = |delivery| {
        vec![
            click(delivery, 1, 3, at(5_000)),
            click(delivery, 1, 3, at(0)),
            click(delivery, 2, 3, at(1)),
            click(delivery, 3, 3, at(2)),
            click(delivery, 2, 3, at(3_000)),
            event(delivery, EventKind::Opened, at(4_000)),
            event(delivery, EventKind::Opened, at(100)),
        ]
    };
    for event in events(one) {
        record(&store, &queue, &[event]).await;
    }
    for event in events(other).iter().rev() {
        record(&store, &queue, &[*event]).await;
    }
    let figures = |step| {
        format!(
            "SELECT string_agg((to_jsonb(s) - 'step')::text, ';' ORDER BY quarter) FROM stats s WHERE step = {step} AND s.opens + s.clicks > 0"
        )
    };
    let forward = queue.text(&figures(1)).await;
    assert_eq!(queue.text(&figures(2)).await, forward);
    assert_eq!(queue.number("SELECT human_clicked FROM stats WHERE step = 1 AND human_clicked <> 0").await, 1);
    assert_eq!(
        queue.text("SELECT string_agg(quarter::text, ';') FROM stats WHERE step = 1 AND human_clicked <> 0").await,
        queue.text("SELECT timestamptz '2026-05-01T12:45:00Z'").await,
        "the first three clicks were a program's, in whatever order they were told"
    );
    queue.assert_figures().await;
}

#[tokio::test]
async fn what_comes_before_the_mail_was_taken_is_a_programs() {
    let (queue, store) = scene(2).await;
    queue
        .run(
            "UPDATE outbox SET state = 's', lease_until = now(), epoch = 1; \
             WITH gone AS (DELETE FROM outbox WHERE contact_no = (SELECT min(contact_no) FROM outbox) RETURNING *) \
             INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT tenant_no, campaign_no, contact_no, step, pass, 's', 1, 1, 1, queued_at, '2026-05-01T12:00:00Z' FROM gone",
        )
        .await;
    let opened = [0, 1].map(|index| event(queue.delivery(index), EventKind::Opened, noon()));
    record(&store, &queue, &opened).await;
    let of = |index: i64| {
        format!("SELECT count(*) FROM events WHERE machine IS NULL AND contact_no = {}", queue.first_contact + index)
    };
    assert_eq!(queue.number(&of(0)).await, 1, "a person may be quick");
    assert_eq!(queue.number(&of(1)).await, 0, "it is still being sent");
    assert_eq!(queue.number("SELECT count(*) FROM events WHERE machine = 's'").await, 1);
    record(&store, &queue, &[event(queue.delivery(1), EventKind::Bounced, noon())]).await;
    assert_eq!(queue.number("SELECT sum(returned) FROM stats").await, 1, "servers may be quick");
}

#[tokio::test]
async fn a_mail_keeps_no_more_than_enough_of_a_kind() {
    let (queue, store) = scene(2).await;
    let many = |index| -> Vec<_> {
        (0..KEPT_OF_A_KIND)
            .map(|n| event(queue.delivery(index), EventKind::Opened, noon() + TimeDelta::seconds(n)))
            .collect()
    };
    assert_eq!(record(&store, &queue, &many(0)).await.surplus, 0);
    let more = record(&store, &queue, &many(0)).await;
    assert_eq!((more.recorded, more.surplus), (0, 1_000));
    assert_eq!(record(&store, &queue, &many(1)).await.recorded, 1_000, "another mail is another mail");
    assert_eq!(record(&store, &queue, &[click(queue.delivery(0), 1, 1, noon())]).await.recorded, 1);
    queue.assert_figures().await;
}

#[tokio::test]
async fn events_of_other_tenants_are_left_out() {
    let (queue, store) = scene(1).await;
    let other = queue.add(QueuePlan { contacts: 1, ..QueuePlan::default() }).await;
    let foreign = DeliveryKey { tenant: other.tenant, campaign: other.campaign, ..queue.delivery(0) };
    let nobody = DeliveryKey { tenant: TenantNo(9_999), ..queue.delivery(0) };
    let told = [foreign, nobody].map(|delivery| event(delivery, EventKind::Opened, noon()));
    assert_eq!(record(&store, &queue, &told).await, EventReport::default());
    assert_eq!(queue.number("SELECT count(*) FROM events").await, 0);
}

#[tokio::test]
async fn a_story_that_is_undone_posts_nothing() {
    let (queue, store) = scene(1).await;
    let mut tx = store.begin(queue.workspace).await.unwrap();
    tx.events().record(&[event(queue.delivery(0), EventKind::Replied, noon())]).await.unwrap();
    tx.savepoint().await.unwrap();
    tx.events().record(&[event(queue.delivery(0), EventKind::Opened, noon())]).await.unwrap();
    tx.rollback_to_savepoint().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(queue.text("SELECT string_agg(format('%s %s', replied, opens), ',') FROM stats").await, "1 0");
    queue.assert_figures().await;
}

#[tokio::test]
async fn old_events_go_in_batches_and_what_they_added_up_to_stays() {
    let (queue, store) = scene(4).await;
    // 100 days ago, at the beginning of a quarter-hour and a little later; and lately.
    let now: DateTime<Utc> =
        queue.text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:00:00\"Z\"')").await.parse().unwrap();
    let (old, new) = (now - TimeDelta::days(100), now - TimeDelta::days(10));
    let second = |of: DateTime<Utc>, n| of + TimeDelta::seconds(n);
    let mail = |index| queue.delivery(index);
    let events = [
        event(mail(0), EventKind::Opened, old),
        event(mail(0), EventKind::Opened, second(new, 0)),
        click(mail(0), 1, 2, second(old, 1)),
        click(mail(0), 2, 2, second(old, 100)),
        click(mail(1), 1, 2, second(old, 2)),
        event(mail(1), EventKind::Bounced, second(old, 3)),
        event(mail(2), EventKind::Opened, second(new, 3)),
        EngagementEvent { machine: Some(Machine::Agent), ..event(mail(3), EventKind::Opened, second(old, 4)) },
        event(mail(3), EventKind::Opened, second(new, 5)),
    ];
    record(&store, &queue, &events).await;
    let figures = "SELECT string_agg(s::text, ';' ORDER BY s::text) FROM (SELECT to_jsonb(s) AS s FROM stats s UNION ALL \
        SELECT to_jsonb(l) FROM link_stats l UNION ALL SELECT to_jsonb(e) FROM engagements e) AS all_of_them";
    let before = queue.text(figures).await;
    assert_eq!(store.forget_events(101, 100).await.unwrap(), 0);
    assert_eq!(queue.number("SELECT count(*) FROM event_horizons").await, 0, "nothing has gone");
    assert_eq!(recount::recount(queue.database.url()).await.unwrap().since, None);
    for (gone, left) in [(4, 5), (2, 3), (0, 3)] {
        assert_eq!(store.forget_events(50, 4).await.unwrap(), gone);
        assert_eq!(queue.number("SELECT count(*) FROM events").await, left);
        assert_eq!(queue.text(figures).await, before, "figures stay");
        let counted = recount::recount(queue.database.url()).await.unwrap();
        assert_eq!(counted.differences, Vec::<String>::new());
        assert!(counted.since.is_some_and(|since| since > old && since < new), "{counted:?}");
    }
    queue.assert_figures().await;
    // What comes later counts as if all were there: the first stays the first, and a scanner takes back only its own.
    let late = [
        event(mail(0), EventKind::Opened, second(new, 60)),
        click(mail(0), 1, 3, second(new, 70)),
        click(mail(0), 2, 3, second(new, 71)),
        click(mail(0), 3, 3, second(new, 72)),
        click(mail(0), 2, 3, second(new, 200)),
        trap(mail(2), second(new, 4)),
    ];
    record(&store, &queue, &late).await;
    queue.assert_figures().await;
    let seen = format!(
        "SELECT string_agg(format('%s%s %s %s', kind, link, total, human_total), ', ' ORDER BY kind, link) FROM engagements \
         WHERE contact_no = {}",
        mail(0).contact.0
    );
    assert_eq!(queue.text(&seen).await, "c0 6 3, c1 2 1, c2 3 2, c3 1 0, o0 3 3");
    let first = format!(
        "SELECT count(*) FROM engagements WHERE kind = 'c' AND link = 0 AND first_human_at = '{}'",
        second(old, 1)
    );
    assert_eq!(queue.number(&first).await, 1);
    // A difference since then is seen.
    queue
        .run(&format!(
            "UPDATE stats SET opens = opens + 1 WHERE quarter > '{}' AND opens > 0",
            old + TimeDelta::days(60)
        ))
        .await;
    assert_eq!(recount::recount(queue.database.url()).await.unwrap().differences.len(), 1);
}
