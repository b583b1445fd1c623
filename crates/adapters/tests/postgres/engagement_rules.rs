//! Rules on what contacts did: who is found, as the application's role.

use chrono::{DateTime, TimeDelta, Utc};
use muster_adapters::postgres::PgStore;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{ClickedLink, EngagementEvent, EventKind, Machine};
use muster_domain::model::ids::{LinkNo, StepNo};
use muster_domain::model::rules::Rule;
use muster_domain::ports::segments::Audience;
use muster_domain::ports::store::Store;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use serde_json::{Value, json};
use uuid::Uuid;

const LINK: &str = "https://x.test/{{ firstName }}";

/// Six contacts: 0 opened step 1 today, 1 step 2 ten days ago, 2 followed a link today, 3 answered, of 4 a program opened,
/// 5 did nothing. All but 5 got step 1.
async fn scene() -> (MailQueue, PgStore) {
    let queue = MailQueue::with(QueuePlan { contacts: 6, steps: 2, ..QueuePlan::default() }).await;
    let store = queue.store();
    queue
        .run(&format!(
            "WITH gone AS (DELETE FROM outbox WHERE contact_no < {last} RETURNING *) \
             INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT tenant_no, campaign_no, contact_no, step, pass, 's', 1, 1, 1, queued_at, now() - interval '3 days' FROM gone; \
             INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT tenant_no, campaign_no, {last}, 1, 1, 'f', 1, 1, 1, now(), now() FROM campaigns",
            last = queue.first_contact + 5
        ))
        .await;
    let now = Utc::now();
    let event = |index: i64, step, kind, at: DateTime<Utc>| {
        let delivery = DeliveryKey { step: StepNo(step), ..queue.delivery(index) };
        EngagementEvent { id: Uuid::now_v7(), delivery, kind, link: None, at, machine: None }
    };
    let link = Some(ClickedLink { no: LinkNo::of(LINK), of: 1 });
    let events = [
        event(0, 1, EventKind::Opened, now),
        event(1, 2, EventKind::Opened, now - TimeDelta::days(10)),
        EngagementEvent { link, ..event(2, 1, EventKind::Clicked, now) },
        event(3, 1, EventKind::Replied, now),
        EngagementEvent { machine: Some(Machine::Agent), ..event(4, 1, EventKind::Opened, now) },
    ];
    let mut tx = store.begin(queue.workspace).await.unwrap();
    tx.events().record(&events).await.unwrap();
    tx.commit().await.unwrap();
    (queue, store)
}

async fn found(queue: &MailQueue, store: &PgStore, rule: Value) -> Vec<i64> {
    let mut tx = store.begin(queue.workspace).await.unwrap();
    let audience = Audience::Matching(Rule::parse(&rule).unwrap());
    let members = tx.segments().list_members(&audience, None, 100).await.unwrap();
    assert_eq!(tx.segments().count_members(&audience).await.unwrap(), i64::try_from(members.len()).unwrap());
    tx.rollback().await.unwrap();
    members.iter().map(|contact| contact.no.0 - queue.first_contact).collect()
}

#[tokio::test]
async fn people_are_found_by_what_they_did_when_and_with_which_mail() {
    let (queue, store) = scene().await;
    let campaign = queue.text("SELECT id FROM campaigns").await;
    let step = |no: i32| format!("{no:032x}").parse::<Uuid>().unwrap().to_string();
    let rule = |field: &str, op: &str, value: Value| json!({"field": field, "op": op, "value": value});
    let nowhere = Uuid::now_v7().to_string();
    for (rule, who) in [
        (rule("opened", "exists", json!(true)), vec![0, 1]),
        (rule("opened", "eq", json!(false)), vec![2, 3, 4, 5]),
        (rule("opened", "eq", json!({"campaignId": campaign})), vec![0, 1]),
        (rule("opened", "ne", json!({"campaignId": campaign})), vec![2, 3, 4, 5]),
        (rule("opened", "eq", json!({"campaignId": nowhere})), vec![]),
        (rule("opened", "ne", json!({"campaignId": nowhere})), vec![0, 1, 2, 3, 4, 5]),
        (rule("opened", "eq", json!({"stepId": step(1)})), vec![0]),
        (rule("opened", "eq", json!({"stepId": step(2), "campaignId": campaign})), vec![1]),
        (rule("opened", "eq", json!({"stepId": nowhere})), vec![]),
        (rule("opened", "eq", json!({"withinDays": 9})), vec![0]),
        (rule("opened", "eq", json!({"withinDays": 11, "campaignId": campaign})), vec![0, 1]),
        (rule("clicked", "eq", json!(true)), vec![2]),
        (rule("clicked", "eq", json!({"url": LINK})), vec![2]),
        (
            rule("clicked", "eq", json!({"url": LINK, "campaignId": campaign, "stepId": step(1), "withinDays": 1})),
            vec![2],
        ),
        (rule("clicked", "eq", json!({"url": "https://x.test/"})), vec![]),
        (rule("replied", "eq", json!({"campaignId": campaign})), vec![3]),
        (rule("received", "eq", json!({"stepId": step(1)})), vec![0, 1, 2, 3, 4]),
        (rule("received", "eq", json!({"stepId": step(2)})), vec![]),
        (rule("received", "ne", json!({"campaignId": campaign})), vec![5]),
        (rule("received", "eq", json!({"campaignId": campaign, "withinDays": 2})), vec![]),
        (rule("received", "eq", json!({"withinDays": 4})), vec![0, 1, 2, 3, 4]),
        (
            json!({"all": [rule("received", "eq", json!({"campaignId": campaign})), {"not": rule("opened", "eq", json!(true))}]}),
            vec![2, 3, 4],
        ),
        (
            json!({"any": [rule("clicked", "eq", json!(true)), rule("email", "eq", json!("c6@example.org"))]}),
            vec![2, 5],
        ),
    ] {
        assert_eq!(found(&queue, &store, rule.clone()).await, who, "{rule}");
    }
}

#[tokio::test]
async fn mails_of_other_workspaces_and_tenants_are_not_to_be_asked_for() {
    let (queue, store) = scene().await;
    let other = queue.add(QueuePlan { contacts: 1, ..QueuePlan::default() }).await;
    let theirs = queue.text(&format!("SELECT id FROM campaigns WHERE campaign_no = {}", other.campaign.0)).await;
    let rule = json!({"field": "received", "op": "ne", "value": {"campaignId": theirs}});
    assert_eq!(found(&queue, &store, rule).await.len(), 6);
    // The same tenant, another workspace.
    queue
        .run(
            "INSERT INTO workspaces (tenant_no, id, name, created_at) SELECT tenant_no, gen_random_uuid(), 'next', now() FROM workspaces LIMIT 1; \
             UPDATE segments SET workspace_no = (SELECT max(workspace_no) FROM workspaces) WHERE tenant_no = 1; \
             UPDATE campaigns SET workspace_no = (SELECT max(workspace_no) FROM workspaces) WHERE tenant_no = 1",
        )
        .await;
    let moved = queue.text("SELECT id FROM campaigns WHERE tenant_no = 1").await;
    for which in [json!({"campaignId": moved}), json!({"stepId": "00000000-0000-0000-0000-000000000001"})] {
        assert!(found(&queue, &store, json!({"field": "opened", "op": "eq", "value": which})).await.is_empty());
    }
}
