//! Claiming.

use super::{begin, claim, record, retry, sent};
use muster_domain::model::schedule::{Schedule, Weekday, Window};
use muster_domain::ports::delivery::DeliveryStore;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_claim_takes_what_is_due_longest_and_says_all_that_its_mail_is_made_of() {
    let queue = MailQueue::of(5).await;
    queue.run("UPDATE outbox SET due_at = due_at - interval '1 hour' WHERE contact_no % 5 = 3").await;
    queue.run("INSERT INTO contact_tags SELECT tenant_no, contact_no, 'vip' FROM contacts").await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 1).await;
    let [letter] = letters.as_slice() else { panic!("one letter") };
    assert_eq!(letter.claimed.attempt.key.contact.0 % 5, 3);
    assert_eq!((letter.claimed.attempts, letter.claimed.attempt.epoch.0), (0, 1));
    assert!(letter.recipient.as_str().ends_with("@example.org"));
    assert!(letter.facts.tags.contains("vip"));
    assert_eq!(letter.sender.from_email.as_str(), "news@example.com");
    assert!(letter.sequence.step(letter.claimed.attempt.key.step).is_some());
    assert_eq!((queue.queued('c').await, queue.queued('p').await), (1, 4));
}

#[tokio::test]
async fn two_who_claim_at_once_never_get_the_same_mail() {
    let queue = MailQueue::of(400).await;
    let stores = [queue.store(), queue.store()];
    let mut seen = BTreeSet::new();
    let mut total = 0;
    loop {
        let (one, other) = tokio::join!(claim(&stores[0], queue.key, 37), claim(&stores[1], queue.key, 37));
        if one.is_empty() && other.is_empty() {
            break;
        }
        total += one.len() + other.len();
        seen.extend(one.iter().chain(&other).map(|letter| letter.claimed.attempt.key));
    }
    assert_eq!((seen.len(), total), (400, 400));
}

#[tokio::test]
async fn nothing_is_claimed_of_a_campaign_that_is_paused_or_still_enrolling() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    for change in ["status = 'paused', paused_at = now()", "enrollment_state = 'running'"] {
        queue.run(&format!("UPDATE campaigns SET {change}")).await;
        assert_eq!(claim(&store, queue.key, 10).await.len(), 0, "{change}");
        assert_eq!(store.due_campaigns().await.unwrap(), []);
        queue.run("UPDATE campaigns SET status = 'active', paused_at = NULL, enrollment_state = 'done'").await;
    }
    assert_eq!(store.due_campaigns().await.unwrap(), [queue.key]);
    assert_eq!(claim(&store, queue.key, 10).await.len(), 3);
    assert_eq!(store.due_campaigns().await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_window_lets_nothing_through_until_it_opens_or_the_campaign_is_changed() {
    let yesterday = chrono::Utc::now().date_naive() - chrono::Days::new(1);
    let mut schedule = Schedule { blackout_dates: vec![yesterday.succ_opt().unwrap()], ..Schedule::default() };
    let queue = MailQueue::with(QueuePlan { schedule: schedule.clone(), ..QueuePlan::default() }).await;
    let store = queue.store();
    let report = store.claim(queue.key, 10).await.unwrap();
    let opening = yesterday + chrono::Days::new(2);
    assert_eq!(report.letters.len(), 0);
    assert_eq!(report.not_before, Some(opening.and_time(chrono::NaiveTime::MIN).and_utc()));
    assert_eq!(store.due_campaigns().await.unwrap(), [], "a held campaign is not asked again");
    // What saving an edit does.
    schedule.blackout_dates.clear();
    schedule.window = Some(Window {
        days: vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun],
        from: chrono::NaiveTime::MIN,
        to: chrono::NaiveTime::MIN,
    });
    let schedule = serde_json::to_string(&schedule).unwrap();
    queue.run(&format!("UPDATE campaigns SET schedule = '{schedule}', version = version + 1, held_until = NULL")).await;
    assert_eq!(store.due_campaigns().await.unwrap(), [queue.key]);
    assert_eq!(claim(&store, queue.key, 10).await.len(), 10);
}

#[tokio::test]
async fn a_retry_is_claimed_when_its_time_has_come_and_not_before() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 1).await;
    let attempts = begin(&store, queue.key, &letters).await.begun;
    record(&store, queue.key, &attempts, &retry()).await;
    assert_eq!(queue.queued('p').await, 1);
    assert_eq!(store.due_campaigns().await.unwrap(), []);
    assert_eq!(claim(&store, queue.key, 1).await.len(), 0);
    queue.run("UPDATE outbox SET retry_at = now()").await;
    assert_eq!(store.due_campaigns().await.unwrap(), [queue.key]);
    let again = claim(&store, queue.key, 1).await;
    assert_eq!((again[0].claimed.attempts, again[0].claimed.attempt.epoch.0), (1, 2));
    assert_eq!(again[0].claimed.queued_at, letters[0].claimed.queued_at, "the same mail");
}

#[tokio::test]
async fn mail_to_nobody_ends_as_cancelled() {
    let queue = MailQueue::of(2).await;
    let gone = queue.first_contact;
    queue
        .run(&format!(
            "UPDATE contacts SET email = NULL, email_key = NULL, erased_at = now() WHERE contact_no = {gone}"
        ))
        .await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 10).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((queue.messages('x').await, queue.queued('c').await), (1, 1));
    assert_eq!(queue.text("SELECT string_agg(exit_reason::text, '') FROM enrollments WHERE status = 'x'").await, "p");
    queue.assert_books().await;
}

#[tokio::test]
async fn a_claim_under_another_tenant_takes_nothing() {
    let queue = MailQueue::of(2).await;
    let other = queue.add(QueuePlan { contacts: 1, ..QueuePlan::default() }).await;
    let store = queue.store();
    let crossed = muster_domain::model::ids::CampaignKey { tenant: other.tenant, campaign: queue.key.campaign };
    assert_eq!(claim(&store, crossed, 10).await.len(), 0);
    let attempts = super::begun(&store, queue.key, 2).await;
    let before = queue.snapshot().await;
    let foreign: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            let mut attempt = *attempt;
            attempt.key.tenant = other.tenant;
            attempt
        })
        .collect();
    record(&store, crossed, &foreign, &sent()).await;
    assert_eq!(queue.snapshot().await, before);
}
