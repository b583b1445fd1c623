//! Hooks, receipts and soft bounces: every promise of their ports.

use crate::deliver::{begun, expire_leases, failed, in_doubt, record, retry, sent};
use chrono::{DateTime, TimeDelta, Utc};
use muster_domain::model::decision::{Evidence, Resolution};
use muster_domain::model::delivery::{Attempt, DeliveryKey, DeliveryState, RetryPolicy};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::events::{ClickedLink, EngagementEvent, EventKind, Machine};
use muster_domain::model::hook::{Hook, HookKey, Receipt};
use muster_domain::model::ids::{HookNo, LinkNo, TenantNo, WorkspaceNo};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::model::suppression::SuppressionReason;
use muster_domain::ports::deliveries::HeldDeliveries;
use muster_domain::ports::delivery::{self, Reaper};
use muster_domain::ports::hooks::Claimed;
use muster_domain::ports::store::{Store, StoreResult, Tx, Workspace, in_tx};
use muster_domain::usecases::record_engagement::{Place, Visit, record_engagement};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::time::Duration;
use uuid::Uuid;

fn receipt(id: u8, content: u8) -> Receipt {
    Receipt { id: [id; 32], content: [content; 32] }
}

async fn tell<T>(queue: &MailQueue, story: impl AsyncFnOnce(&mut Tx) -> StoreResult<T>) -> T {
    in_tx(&queue.store(), queue.workspace, story).await.unwrap()
}

async fn hook(queue: &MailQueue, name: &str) -> Hook {
    tell(queue, async |tx| tx.hooks().insert(name).await).await
}

async fn claim(queue: &MailQueue, hook: HookKey, receipt: Receipt) -> Claimed {
    tell(queue, async |tx| tx.hooks().claim(hook, &receipt).await).await
}

#[tokio::test]
async fn hooks_are_listed_newest_first_until_they_are_revoked() {
    let queue = MailQueue::of(0).await;
    let (one, two) = (hook(&queue, "one").await, hook(&queue, "two").await);
    assert_ne!(one.key.no, two.key.no);
    assert_eq!(tell(&queue, async |tx| tx.hooks().list(None, 9).await).await, [two.clone(), one.clone()]);
    assert_eq!(tell(&queue, async |tx| tx.hooks().list(Some(two.id), 9).await).await, std::slice::from_ref(&one));
    assert!(tell(&queue, async |tx| tx.hooks().open(two.key).await).await.is_some());
    assert_eq!(tell(&queue, async |tx| tx.hooks().find(two.id).await).await.as_ref(), Some(&two));
    assert!(tell(&queue, async |tx| tx.hooks().revoke(two.id).await).await);
    assert_eq!(tell(&queue, async |tx| tx.hooks().find(two.id).await).await, None);
    assert!(!tell(&queue, async |tx| tx.hooks().revoke(two.id).await).await);
    assert_eq!(tell(&queue, async |tx| tx.hooks().open(two.key).await).await, None);
    assert_eq!(tell(&queue, async |tx| tx.hooks().list(None, 9).await).await, [one]);
}

#[tokio::test]
async fn a_hook_of_another_tenant_or_workspace_does_not_open() {
    let queue = MailQueue::of(0).await;
    let made = hook(&queue, "one").await;
    let other_workspace = HookKey { workspace: WorkspaceNo(made.key.workspace.0 + 1), ..made.key };
    let unmade = HookKey { no: HookNo(made.key.no.0 + 1), ..made.key };
    for key in [other_workspace, unmade] {
        assert_eq!(tell(&queue, async |tx| tx.hooks().open(key).await).await, None);
    }
    let elsewhere = Workspace { tenant: TenantNo(made.key.tenant.0 + 1), workspace: made.key.workspace };
    let opened = in_tx(&queue.store(), elsewhere, async |tx| tx.hooks().open(made.key).await).await.unwrap();
    assert_eq!(opened, None, "the database keeps tenants apart");
}

#[tokio::test]
async fn a_receipt_is_claimed_once_for_each_hook_and_gone_when_its_transaction_is() {
    let queue = MailQueue::of(0).await;
    let (one, two) = (hook(&queue, "one").await.key, hook(&queue, "two").await.key);
    let mut undone = queue.store().begin(queue.workspace).await.unwrap();
    assert_eq!(undone.hooks().claim(one, &receipt(1, 1)).await.unwrap(), Claimed::First);
    undone.rollback().await.unwrap();
    assert_eq!(claim(&queue, one, receipt(1, 1)).await, Claimed::First);
    assert_eq!(claim(&queue, one, receipt(1, 1)).await, Claimed::Again);
    assert_eq!(claim(&queue, one, receipt(1, 2)).await, Claimed::OtherContent);
    assert_eq!(claim(&queue, two, receipt(1, 2)).await, Claimed::First);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_claims_at_once_one_is_the_first_and_the_others_wait_for_its_end() {
    let queue = MailQueue::of(0).await;
    let one = hook(&queue, "one").await.key;
    for (undo, expected) in [(true, Claimed::First), (false, Claimed::Again)] {
        let number = u8::from(undo);
        let mut first = queue.store().begin(queue.workspace).await.unwrap();
        assert_eq!(first.hooks().claim(one, &receipt(number, 1)).await.unwrap(), Claimed::First);
        let mut second = Box::pin(claim(&queue, one, receipt(number, 1)));
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err(), "it did not wait");
        if undo {
            first.rollback().await.unwrap();
        } else {
            first.commit().await.unwrap();
        }
        assert_eq!(second.await, expected);
    }
}

#[tokio::test]
async fn receipts_older_than_eight_days_are_swept_out_and_no_younger_ones() {
    let queue = MailQueue::of(0).await;
    let one = hook(&queue, "one").await.key;
    for number in 1..=4 {
        claim(&queue, one, receipt(number, 1)).await;
    }
    queue
        .run(
            "UPDATE hook_receipts SET received_at = now() - interval '9 days' WHERE get_byte(receipt, 0) IN (1, 2); \
             UPDATE hook_receipts SET received_at = now() - interval '7 days' WHERE get_byte(receipt, 0) = 3",
        )
        .await;
    claim(&queue, one, receipt(5, 1)).await;
    let left = "SELECT string_agg(get_byte(receipt, 0)::text, ',' ORDER BY receipt) FROM hook_receipts";
    assert_eq!(queue.text(left).await, "3,4,5");
}

fn days_ago(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() - TimeDelta::days(days)
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_bounces_are_noted_once_for_each_mail_and_each_note_sees_those_before_it() {
    let queue = MailQueue::of(2).await;
    let note = async |pass: i32, at| {
        let mut delivery = queue.delivery(0);
        delivery.pass.0 = pass;
        tell(&queue, async |tx| tx.feedback().note_soft_bounce(delivery, at).await).await.len()
    };
    assert_eq!(note(1, days_ago(3)).await, 1);
    assert_eq!(note(1, days_ago(2)).await, 1, "the same mail");
    // Two at once: one of them sees the other.
    let (one, other) = tokio::join!(note(2, days_ago(1)), note(3, days_ago(1)));
    assert_eq!([one.min(other), one.max(other)], [2, 3]);
    let neighbour = queue.delivery(1);
    assert_eq!(
        tell(&queue, async |tx| tx.feedback().note_soft_bounce(neighbour, days_ago(0)).await).await,
        [days_ago(0)]
    );
}

#[tokio::test]
async fn soft_bounces_of_a_former_address_or_an_erased_contact_say_nothing() {
    let queue = MailQueue::of(1).await;
    let note = async || {
        let at = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
        let mut delivery = queue.delivery(0);
        delivery.pass.0 = 9;
        tell(&queue, async |tx| tx.feedback().note_soft_bounce(delivery, at).await).await.len()
    };
    tell(&queue, async |tx| tx.feedback().note_soft_bounce(queue.delivery(0), days_ago(900)).await).await;
    queue.run("UPDATE contacts SET first_name = 'Ada', email_key = email_key").await;
    assert_eq!(note().await, 2, "nothing has changed of the address");
    queue.run("UPDATE contacts SET email = 'x@y.test', email_key = 'x@y.test'").await;
    assert_eq!(note().await, 1);
    queue.run("UPDATE contacts SET email = NULL, email_key = NULL, erased_at = now()").await;
    assert_eq!(note().await, 0);
}

#[tokio::test]
async fn a_recipient_is_suppressed_only_at_the_address_that_was_mailed() {
    let queue = MailQueue::of(2).await;
    let suppress = async |index, mailed_at| {
        let now = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
        let (reason, leaving) = (SuppressionReason::Bounced, ExitReason::Bounced);
        let delivery = queue.delivery(index);
        tell(&queue, async |tx| tx.suppressions().suppress_recipient(delivery, mailed_at, reason, leaving, now).await)
            .await
    };
    queue
        .run("UPDATE contacts SET email = 'new@x.test', email_key = 'new@x.test' WHERE email = 'c1@example.org'")
        .await;
    assert!(!suppress(0, Some(days_ago(900))).await);
    assert_eq!(queue.number("SELECT count(*) FROM suppressions").await, 0);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'x'").await, 0);
    assert!(suppress(1, Some(days_ago(900))).await);
    assert!(!suppress(1, Some(days_ago(900))).await, "it is on the list");
    assert!(suppress(0, None).await, "whatever address");
    let listed = "SELECT string_agg(entry || ' ' || reason, ', ' ORDER BY entry) FROM suppressions";
    assert_eq!(queue.text(listed).await, "c2@example.org bounced, new@x.test bounced");
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE exit_reason = 'b'").await, 2);
    assert_eq!(queue.messages('x').await, 2, "what was queued is cancelled");
    queue.assert_books().await;
    queue.run("UPDATE contacts SET email = NULL, email_key = NULL, erased_at = now()").await;
    assert!(!suppress(1, None).await, "nobody is there");
}

fn event(delivery: DeliveryKey, kind: EventKind, machine: Option<Machine>) -> EngagementEvent {
    EngagementEvent { id: Uuid::now_v7(), delivery, kind, link: None, at: days_ago(0), machine }
}

/// A report may be quicker than the record of the sending it belongs to, and the record may never come.
#[tokio::test]
async fn a_mail_of_which_a_sign_came_before_its_worker_gave_it_up_is_not_in_doubt() {
    for on_in_doubt in [OnInDoubt::Hold, OnInDoubt::Resend] {
        let settings = Settings { on_in_doubt, ..Settings::default() };
        let queue = MailQueue::with(QueuePlan { contacts: 8, settings, ..QueuePlan::default() }).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 8).await;
        let kinds = [
            (EventKind::Delivered, None),
            (EventKind::Bounced, None),
            (EventKind::Replied, Some(Machine::AutoReply)),
            (EventKind::Opened, Some(Machine::Agent)),
        ];
        for (attempt, (kind, machine)) in attempts.iter().zip(kinds.iter().cycle()) {
            tell(&queue, async |tx| tx.events().record(&[event(attempt.key, *kind, *machine)]).await).await;
        }
        record(&store, queue.key, &attempts[..4], &in_doubt()).await;
        expire_leases(&queue).await;
        assert_eq!(store.reap(&RetryPolicy::default()).await.unwrap().doubts.len(), 1);
        assert_eq!(queue.messages('s').await, 6);
        assert_eq!(queue.messages('d').await + queue.queued('p').await, 2, "a program may have looked before the dot");
        queue.assert_books().await;
    }
}

/// Whichever is told first, and however the mail comes to count as sent.
#[tokio::test]
async fn a_mail_that_came_back_is_no_delivery_of_the_time_when_it_was_sent() {
    let queue = MailQueue::of(6).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 6).await;
    let back = async |attempt: &Attempt| {
        let event = event(attempt.key, EventKind::Bounced, None);
        tell(&queue, async |tx| tx.events().record(&[event]).await).await;
    };
    back(&attempts[0]).await;
    record(&store, queue.key, &attempts[..2], &sent()).await;
    back(&attempts[1]).await;
    back(&attempts[1]).await;
    expire_leases(&queue).await;
    assert_eq!(store.reap(&RetryPolicy::default()).await.unwrap().doubts.len(), 4);
    for attempt in &attempts[2..5] {
        back(attempt).await;
    }
    let undelivered = "SELECT sum(undelivered) FROM stats WHERE sent > 0";
    assert_eq!(queue.number(undelivered).await, 2, "what may not have been sent is no matter of deliveries");
    queue.assert_figures().await;
    record(&store, queue.key, &attempts[2..3], &sent()).await;
    tell(&queue, async |tx| {
        let now = tx.now().await?;
        tx.deliveries().resolve(attempts[3].key, Resolution::Sent, Evidence::Event, now).await?;
        tx.deliveries().resolve(attempts[4].key, Resolution::Failed, Evidence::Event, now).await
    })
    .await;
    assert_eq!(queue.messages('s').await, 4);
    assert_eq!(queue.number(undelivered).await, 4);
    assert_eq!(queue.number("SELECT sum(returned) FROM stats").await, 5);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_held_is_neither_given_up_nor_begun_meanwhile() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    let mut holder = store.begin(queue.workspace).await.unwrap();
    let held = holder.deliveries().hold(&[attempts[0].key].into()).await.unwrap();
    assert_eq!(held.under_way, [attempts[0].key].into());
    let outcome = in_doubt();
    let mut recording = Box::pin(record(&store, queue.key, &attempts, &outcome));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut recording).await.is_err(), "it did not wait");
    holder.events().record(&[event(attempts[0].key, EventKind::Delivered, None)]).await.unwrap();
    holder.commit().await.unwrap();
    assert_eq!(recording.await.sent, 1, "it saw what was told while it waited");
    let ended = tell(&queue, async |tx| tx.deliveries().find(attempts[0].key).await).await.unwrap();
    assert_eq!(ended.state, DeliveryState::Sent);
}

/// A visit to the mail to the contact of that index, as it comes in.
fn visit(queue: &MailQueue, index: i64, place: Place, machine: Option<Machine>) -> (Visit, TimeDelta) {
    (Visit { id: Uuid::now_v7(), delivery: queue.delivery(index), place, machine }, TimeDelta::zero())
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_visit_shows_to_have_got_a_mail_in_doubt_has_got_it() {
    let queue = MailQueue::of(7).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 6).await;
    record(&store, queue.key, &attempts, &in_doubt()).await;
    assert_eq!(queue.messages('d').await, 6);
    let link = ClickedLink { no: LinkNo(7), of: 1 };
    // The last of them is not sent yet, and one is nobody's.
    let mut stray = visit(&queue, 0, Place::Image, None);
    stray.0.delivery.contact.0 = 1_000_000;
    let visits = [
        visit(&queue, 0, Place::Image, None),
        visit(&queue, 1, Place::Link(link), None),
        visit(&queue, 1, Place::Image, None),
        visit(&queue, 2, Place::Image, Some(Machine::Agent)),
        visit(&queue, 3, Place::Trap, None),
        visit(&queue, 4, Place::Link(link), None),
        visit(&queue, 4, Place::Trap, None),
        visit(&queue, 6, Place::Image, None),
        stray,
    ];
    for _ in 0..2 {
        tell(&queue, async |tx| record_engagement(tx, &visits).await).await;
        assert_eq!((queue.messages('s').await, queue.messages('d').await), (2, 4), "what programs do is no evidence");
        queue.assert_books().await;
    }
    let decided =
        "SELECT string_agg(format('%s%s%s %s', decision, evidence, state, detail), ',') FROM delivery_decisions";
    assert_eq!(queue.text(decided).await, "sed no reply after the dot,sed no reply after the dot");
    assert_eq!(queue.number("SELECT sum(sent) FROM stats").await, 2);
    // Then somebody looks at one of those at which a program has looked.
    tell(&queue, async |tx| record_engagement(tx, &[visit(&queue, 2, Place::Image, None)]).await).await;
    assert_eq!(queue.messages('s').await, 3);
    queue.assert_books().await;
}

/// In doubt, in a campaign that sends once more what is.
async fn to_be_sent_once_more(contacts: i64) -> (MailQueue, Vec<Attempt>) {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts, steps: 2, settings, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, usize::try_from(contacts).unwrap()).await;
    record(&store, queue.key, &attempts, &in_doubt()).await;
    assert_eq!((queue.queued('p').await, queue.messages('d').await), (contacts, 0));
    (queue, attempts)
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_visit_shows_to_have_got_a_mail_does_not_get_it_once_more() {
    let (queue, attempts) = to_be_sent_once_more(4).await;
    let link = ClickedLink { no: LinkNo(7), of: 1 };
    let visits = [
        visit(&queue, 0, Place::Image, None),
        visit(&queue, 1, Place::Link(link), None),
        visit(&queue, 2, Place::Image, Some(Machine::Agent)),
    ];
    for _ in 0..2 {
        tell(&queue, async |tx| record_engagement(tx, &visits).await).await;
        assert_eq!((queue.messages('s').await, queue.queued('p').await), (2, 2), "what programs do is no evidence");
        queue.assert_books().await;
    }
    let on = format!(
        "SELECT count(*) FROM enrollments WHERE status = 'r' AND step > 1 AND contact_no IN ({}, {})",
        attempts[0].key.contact.0, attempts[1].key.contact.0
    );
    assert_eq!(queue.number(&on).await, 2, "who got it goes on to the next step");
    assert_eq!(
        queue.text("SELECT DISTINCT detail FROM messages").await,
        "no answer of the mail server, but a sign of the mail"
    );
    // The attempt itself hears late that it was accepted, and nothing changes.
    record(&queue.store(), queue.key, &attempts[..1], &sent()).await;
    assert_eq!((queue.messages('s').await, queue.queued('p').await), (2, 2));
    queue.assert_figures().await;
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_and_a_late_answer_at_once_end_a_mail_that_was_to_be_sent_once_more_once() {
    let (queue, attempts) = to_be_sent_once_more(20).await;
    let store = queue.store();
    let visits: Vec<_> = (0..20).map(|index| visit(&queue, index, Place::Image, None)).collect();
    let visiting = async {
        for batch in visits.chunks(5) {
            tell(&queue, async |tx| record_engagement(tx, batch).await).await;
        }
    };
    let answered = async {
        for batch in attempts.chunks(5) {
            record(&store, queue.key, batch, &sent()).await;
        }
    };
    tokio::join!(visiting, answered);
    assert_eq!((queue.messages('s').await, queue.queued('p').await), (20, 0));
    assert_eq!(queue.number("SELECT sum(sent) FROM stats").await, 20);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_that_comes_while_the_second_mail_is_in_hand_calls_it_off_too() {
    let (queue, _) = to_be_sent_once_more(1).await;
    let store = queue.store();
    queue.run("UPDATE outbox SET retry_at = now()").await;
    let claimed = crate::deliver::claim(&store, queue.key, 1).await;
    assert_eq!(claimed.len(), 1);
    tell(&queue, async |tx| record_engagement(tx, &[visit(&queue, 0, Place::Image, None)]).await).await;
    assert_eq!((queue.messages('s').await, queue.queued('c').await), (1, 0));
    let begun = crate::deliver::begin(&store, queue.key, &claimed).await;
    assert_eq!(begun.begun, [], "whoever has it in hand has nothing any more");
    queue.assert_figures().await;
    queue.assert_books().await;
}

/// It may have arrived before, whatever becomes of it now.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_that_comes_while_it_is_sent_once_more_says_that_it_was_sent_whatever_becomes_of_it() {
    for outcome in [Some(retry()), Some(failed(true)), Some(failed(false)), Some(in_doubt()), None] {
        for heard in [false, true] {
            let (queue, _) = to_be_sent_once_more(1).await;
            let store = queue.store();
            queue.run("UPDATE outbox SET retry_at = now()").await;
            let again = begun(&store, queue.key, 1).await;
            assert_eq!(again.len(), 1);
            if heard {
                let visit = (visit(&queue, 0, Place::Image, None).0, TimeDelta::seconds(1));
                tell(&queue, async |tx| record_engagement(tx, &[visit]).await).await;
                assert_eq!(queue.text("SELECT coalesce(machine::text, 'a person') FROM events").await, "a person");
            }
            match &outcome {
                Some(outcome) => drop(record(&store, queue.key, &again, outcome).await),
                None => drop(delivery::DeliveryStore::give_back(&store, queue.key, &again).await.unwrap()),
            }
            assert_eq!(queue.messages('s').await, i64::from(heard), "{outcome:?}");
            queue.assert_books().await;
        }
    }
}

/// What locks an enrollment moves the mail on; so it is locked first.
#[tokio::test(flavor = "multi_thread")]
async fn enrollments_are_locked_before_a_mail_that_waits_to_be_sent_once_more() {
    let (queue, attempts) = to_be_sent_once_more(1).await;
    let mails = [attempts[0].key].into();
    let mut other = queue.database.hold("SELECT FROM enrollments FOR NO KEY UPDATE").await;
    let store = queue.store();
    let mut holder = store.begin(queue.workspace).await.unwrap();
    let mut holding = Box::pin(holder.deliveries().hold(&mails));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut holding).await.is_err(), "it did not wait");
    other.run("SELECT FROM outbox FOR UPDATE NOWAIT").await;
    other.release().await;
    assert_eq!(holding.await.unwrap().in_doubt, mails);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_quicker_than_the_record_of_a_mail_is_a_person() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 2).await;
    let link = Place::Link(ClickedLink { no: LinkNo(7), of: 1 });
    let visits = [visit(&queue, 0, link, None), visit(&queue, 1, Place::Image, None)];
    let late = TimeDelta::seconds(1);
    let kept = tell(&queue, async |tx| record_engagement(tx, &[visits[0], (visits[1].0, late)]).await).await;
    assert_eq!((kept.report.recorded, kept.later), (1, [visits[0].0.id].into()));
    record(&store, queue.key, &attempts, &sent()).await;
    for recorded in [1, 0] {
        let kept = tell(&queue, async |tx| record_engagement(tx, &visits).await).await;
        assert_eq!((kept.report.recorded, kept.later), (recorded, [].into()));
    }
    let machines = "SELECT string_agg(format('%s%s', kind, machine), ',' ORDER BY kind) FROM events";
    assert_eq!(queue.text(machines).await, "c,os", "the other had the mail before the server took it");
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_that_comes_while_a_visit_is_kept_finds_it() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    let mails = [attempts[0].key].into();
    let mut holder = store.begin(queue.workspace).await.unwrap();
    let held = holder.deliveries().hold(&mails).await.unwrap();
    assert_eq!((held.under_way, held.in_doubt), (mails.clone(), [].into()));
    let outcome = in_doubt();
    let mut recording = Box::pin(record(&store, queue.key, &attempts, &outcome));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut recording).await.is_err(), "it did not wait");
    holder.events().record(&[event(attempts[0].key, EventKind::Delivered, None)]).await.unwrap();
    holder.commit().await.unwrap();
    assert_eq!(recording.await.sent, 1, "it saw what was told while it waited");
    assert_eq!(tell(&queue, async |tx| tx.deliveries().hold(&mails).await).await, HeldDeliveries::default());
}
