//! Take in what somebody reports of a mail: count it, and stop writing to who cannot or will not read.

use crate::model::bounce::{BounceClass, SoftBouncePolicy};
use crate::model::decision::{Evidence, Resolution};
use crate::model::delivery::{DeliveryKey, DeliveryState};
use crate::model::enrollment::ExitReason;
use crate::model::events::{EngagementEvent, EventKind, Machine};
use crate::model::feedback::{Feedback, FeedbackKind, MailName};
use crate::model::hook::{HookKey, REPORT_WINDOW, Receipt};
use crate::model::suppression::SuppressionReason;
use crate::ports::deliveries::DeliveryView;
use crate::ports::hooks::Claimed;
use crate::ports::store::{StoreError, Tx, Workspace};
use crate::ports::tokens::{TokenPurpose, Tokens};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// One report, as it came in.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveFeedback<'a> {
    /// Through which hook; whoever calls has checked its signature.
    pub hook: HookKey,
    /// What makes it the same report when it comes again.
    pub receipt: Receipt,
    /// What it says.
    pub feedback: &'a Feedback,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It counts.
    Counted,
    /// It counted before; nothing has changed.
    Repeated,
    /// It is about no mail of the hook's workspace; nothing has changed.
    Unknown,
}

/// Why a report was not taken in; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// There is no such hook any more.
    #[error("no such hook")]
    NoSuchHook,
    /// It was signed too long ago, or in the future.
    #[error("signed outside of the window")]
    OutOfTime,
    /// Its id was used before, for another message.
    #[error("the id was used for another message")]
    OtherContent,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The transaction in which what comes through a hook counts.
pub fn workspace_of(hook: HookKey) -> Workspace {
    Workspace { tenant: hook.tenant, workspace: hook.workspace }
}

/// Lets a signed message in: its hook was not revoked, and it is no older and no newer than [`REPORT_WINDOW`] on the
/// database's real clock.
pub async fn admit(tx: &mut Tx, hook: HookKey, signed_at: DateTime<Utc>) -> Result<(), ReceiveError> {
    let now = tx.hooks().open(hook).await?.ok_or(ReceiveError::NoSuchHook)?;
    if (now - signed_at).abs() > REPORT_WINDOW { Err(ReceiveError::OutOfTime) } else { Ok(()) }
}

/// Counts one report and acts on it, all in this transaction.
///
/// Once it is committed: after a hard bounce, the last of too many soft ones, or a complaint, nothing begins to that
/// address in the whole tenant and its contacts have left their campaigns; after a person's reply the contact has left a
/// campaign that stops on replies; and a delivery in doubt is one no longer. The same again changes nothing.
pub async fn receive_feedback(
    tx: &mut Tx,
    tokens: &dyn Tokens,
    command: ReceiveFeedback<'_>,
) -> Result<Received, ReceiveError> {
    let ReceiveFeedback { hook, receipt, feedback } = command;
    let Some(delivery) = delivery_of(tokens, hook, feedback) else { return Ok(Received::Unknown) };
    let Some(mail) = tx.deliveries().find(delivery).await? else { return Ok(Received::Unknown) };
    match tx.hooks().claim(hook, &receipt).await? {
        Claimed::First => {}
        Claimed::Again => return Ok(Received::Repeated),
        Claimed::OtherContent => return Err(ReceiveError::OtherContent),
    }
    let now = tx.now().await?;
    let at = feedback.occurred_at.map_or(now, |at| at.max(mail.queued_at).min(now));
    act(tx, &mail, feedback.kind, at, now).await?;
    // As it stands by now, and until this is committed: whoever gives it up as in doubt afterwards sees the event.
    let doubted = tx.deliveries().hold(&[delivery].into()).await?.in_doubt;
    let mail = tx.deliveries().find(delivery).await?.unwrap_or(mail);
    settle(tx, &mail, feedback.kind, now).await?;
    let (kind, machine) = told(feedback.kind, if doubted.is_empty() { mail.state } else { DeliveryState::InDoubt });
    let event = EngagementEvent { id: event_id(&receipt), delivery, kind, link: None, at, machine };
    tx.events().record(&[event]).await?;
    if mail.state == DeliveryState::Pending && !doubted.is_empty() {
        tx.deliveries().settle_heard(&doubted, now).await?;
    }
    Ok(Received::Counted)
}

/// Half of a hash names an event as well as the whole.
fn event_id(receipt: &Receipt) -> Uuid {
    let (half, _) = receipt.id.split_at(16);
    Uuid::from_slice(half).unwrap_or_default()
}

/// The first of the names that is sealed by us, and for a mail of the hook's tenant.
fn delivery_of(tokens: &dyn Tokens, hook: HookKey, feedback: &Feedback) -> Option<DeliveryKey> {
    let open = |name: &MailName| match name {
        MailName::ReturnPath(token) => tokens.open(TokenPurpose::ReturnPath, token),
        MailName::MessageId(token) => tokens.open(TokenPurpose::MessageId, token),
    };
    feedback.mail.iter().filter_map(open).find(|delivery| delivery.tenant == hook.tenant)
}

/// What follows for the recipient. Contacts are locked here, before anything else of the mail.
async fn act(
    tx: &mut Tx,
    mail: &DeliveryView,
    kind: FeedbackKind,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let given_up = match kind {
        FeedbackKind::Bounced(bounce) => match bounce.class {
            BounceClass::Hard => true,
            BounceClass::Soft => {
                let bounced_at = tx.feedback().note_soft_bounce(mail.key, at).await?;
                SoftBouncePolicy::default().is_exhausted(&bounced_at, now)
            }
            BounceClass::Blocked => false,
        },
        FeedbackKind::Complained => {
            let (reason, leaving) = (SuppressionReason::Complained, ExitReason::Complained);
            tx.suppressions().suppress_recipient(mail.key, None, reason, leaving, now).await?;
            false
        }
        FeedbackKind::Replied { by_program: false } => {
            stop_on_reply(tx, mail, now).await?;
            false
        }
        FeedbackKind::Delivered | FeedbackKind::Replied { by_program: true } => false,
    };
    if given_up {
        let (reason, leaving) = (SuppressionReason::Bounced, ExitReason::Bounced);
        tx.suppressions().suppress_recipient(mail.key, Some(mail.queued_at), reason, leaving, now).await?;
    }
    Ok(())
}

/// Takes the contact out of the campaign it has answered, when that is what the campaign wants.
async fn stop_on_reply(tx: &mut Tx, mail: &DeliveryView, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Some(campaign) = tx.campaigns().find(mail.campaign).await? else { return Ok(()) };
    if campaign.content.settings.stop_on_reply {
        tx.analytics().exit(&campaign, mail.key.contact, ExitReason::Replied, now).await?;
    }
    Ok(())
}

/// Whatever is heard of a mail says that the mail server took it: what comes back was accepted first.
async fn settle(tx: &mut Tx, mail: &DeliveryView, kind: FeedbackKind, now: DateTime<Utc>) -> Result<(), StoreError> {
    if mail.state != DeliveryState::InDoubt {
        return Ok(());
    }
    let evidence = match kind {
        FeedbackKind::Bounced(_) => Evidence::Bounce,
        FeedbackKind::Delivered | FeedbackKind::Complained | FeedbackKind::Replied { .. } => Evidence::Event,
    };
    tx.deliveries().resolve(mail.key, Resolution::Sent, evidence, now).await?;
    Ok(())
}

/// As what it is counted. A mail that was accepted, a doubt about which is settled by now, is taken out of the delivered
/// ones when it comes back; one that never counted as sent is one whose recipient was refused.
fn told(kind: FeedbackKind, state: DeliveryState) -> (EventKind, Option<Machine>) {
    match kind {
        FeedbackKind::Delivered => (EventKind::Delivered, None),
        FeedbackKind::Bounced(_)
            if matches!(state, DeliveryState::Sent | DeliveryState::Sending | DeliveryState::InDoubt) =>
        {
            (EventKind::Bounced, None)
        }
        FeedbackKind::Bounced(_) => (EventKind::Refused, None),
        FeedbackKind::Complained => (EventKind::Complained, None),
        FeedbackKind::Replied { by_program } => (EventKind::Replied, by_program.then_some(Machine::AutoReply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::EmailAddress;
    use crate::model::bounce::EnhancedStatus;
    use crate::model::feedback::Bounce;
    use crate::model::ids::{
        CampaignId, CampaignNo, ContactId, ContactNo, HookNo, Pass, StepId, StepNo, TenantNo, WorkspaceNo,
    };
    use crate::ports::deliveries::HeldDeliveries;
    use crate::ports::events::EventReport;
    use crate::ports::tokens::MockTokens;
    use crate::testing::MockUnit;
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    const HOOK: HookKey = HookKey { tenant: TenantNo(1), workspace: WorkspaceNo(1), no: HookNo(1) };

    fn now() -> DateTime<Utc> {
        "2026-03-01T09:00:00Z".parse().unwrap()
    }

    fn delivery(tenant: i32) -> DeliveryKey {
        DeliveryKey {
            tenant: TenantNo(tenant),
            campaign: CampaignNo(2),
            contact: ContactNo(3),
            step: StepNo(4),
            pass: Pass(5),
        }
    }

    /// Opens `theirs` to another tenant's mail and `ours` to one of ours, as Message-IDs; nothing else.
    fn tokens() -> MockTokens {
        let mut tokens = MockTokens::new();
        tokens.expect_open().returning(|purpose, token| match (purpose, token) {
            (TokenPurpose::MessageId, "ours") => Some(delivery(1)),
            (TokenPurpose::MessageId, "theirs") => Some(delivery(9)),
            _ => None,
        });
        tokens
    }

    fn feedback(kind: FeedbackKind) -> Feedback {
        let mail = ["theirs@x", "ours@x"].map(MailName::message_id).to_vec();
        Feedback { kind, mail: [vec![MailName::return_path("ours@x")], mail].concat(), occurred_at: None }
    }

    fn bounced(status: &str) -> FeedbackKind {
        let status = EnhancedStatus::parse(status);
        FeedbackKind::Bounced(Bounce { class: BounceClass::of(status, None), status })
    }

    /// Queued two days ago.
    fn mail(key: DeliveryKey, state: DeliveryState) -> DeliveryView {
        DeliveryView {
            key,
            campaign: CampaignId(Uuid::nil()),
            contact: ContactId(Uuid::nil()),
            step: StepId(Uuid::nil()),
            state,
            attempts: 1,
            queued_at: now() - chrono::TimeDelta::days(2),
            ended_at: None,
            detail: None,
            from_email: EmailAddress::parse("news@example.test").unwrap(),
        }
    }

    /// A mail that stands so, and storage that expects to be told of one event and no more than is said here.
    fn unit(state: DeliveryState) -> (MockUnit, Arc<Mutex<Vec<EngagementEvent>>>) {
        let mut unit = MockUnit::at(now());
        unit.deliveries.expect_find().returning(move |key| Ok(Some(mail(key, state))));
        unit.deliveries.expect_hold().once().returning(move |keys| {
            let in_doubt = if state == DeliveryState::InDoubt { keys.clone() } else { BTreeSet::new() };
            Ok(HeldDeliveries { in_doubt, ..HeldDeliveries::default() })
        });
        unit.hooks.expect_claim().returning(|_, _| Ok(Claimed::First));
        let told = Arc::<Mutex<Vec<EngagementEvent>>>::default();
        let kept = Arc::clone(&told);
        unit.events.expect_record().once().returning(move |events| {
            kept.lock().unwrap().extend(events);
            Ok(EventReport::default())
        });
        (unit, told)
    }

    async fn receive(unit: MockUnit, feedback: &Feedback) -> Result<Received, ReceiveError> {
        let receipt = Receipt { id: [7; 32], content: [8; 32] };
        receive_feedback(&mut unit.into_tx(), &tokens(), ReceiveFeedback { hook: HOOK, receipt, feedback }).await
    }

    #[tokio::test]
    async fn only_a_name_sealed_for_its_purpose_and_for_this_tenant_names_a_mail() {
        let (mut unit, told) = unit(DeliveryState::Sent);
        unit.suppressions.expect_suppress_recipient().once().returning(|_, _, _, _, _| Ok(true));
        assert_eq!(receive(unit, &feedback(bounced("5.1.1"))).await.unwrap(), Received::Counted);
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!((told[0].delivery, told[0].kind, told[0].at), (delivery(1), EventKind::Bounced, now()));
        let foreign = Feedback {
            mail: vec![MailName::message_id("theirs"), MailName::return_path("ours")],
            ..feedback(bounced("5.1.1"))
        };
        assert_eq!(receive(MockUnit::at(now()), &foreign).await.unwrap(), Received::Unknown);
    }

    #[tokio::test]
    async fn a_receipt_that_was_claimed_before_stops_everything() {
        for (claimed, expected) in [(Claimed::Again, Some(Received::Repeated)), (Claimed::OtherContent, None)] {
            let mut unit = MockUnit::at(now());
            unit.deliveries.expect_find().once().returning(|key| Ok(Some(mail(key, DeliveryState::Sent))));
            unit.hooks.expect_claim().once().returning(move |_, _| Ok(claimed));
            assert_eq!(receive(unit, &feedback(FeedbackKind::Complained)).await.ok(), expected);
        }
    }

    #[tokio::test]
    async fn soft_bounces_suppress_when_there_are_enough_of_them() {
        for (before, given_up) in [(vec![1, 2, 3], 0), (vec![1, 9, 17, 25], 1)] {
            let (mut unit, _) = unit(DeliveryState::Sent);
            unit.feedback.expect_note_soft_bounce().once().returning(move |_, at| {
                Ok(before.iter().map(|days| at - chrono::TimeDelta::days(*days)).chain([at]).collect())
            });
            unit.suppressions
                .expect_suppress_recipient()
                .times(given_up)
                .withf(|_, mailed_at, reason, leaving, _| {
                    mailed_at.is_some() && (*reason, *leaving) == (SuppressionReason::Bounced, ExitReason::Bounced)
                })
                .returning(|_, _, _, _, _| Ok(true));
            receive(unit, &feedback(bounced("4.2.2"))).await.unwrap();
        }
        // One that is blocked is noted nowhere.
        let (unit, _) = unit(DeliveryState::Sent);
        receive(unit, &feedback(bounced("5.7.1"))).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_heard_calls_off_a_mail_that_waits_to_be_sent_once_more() {
        for (kind, expected) in
            [(FeedbackKind::Delivered, EventKind::Delivered), (bounced("5.7.1"), EventKind::Bounced)]
        {
            let mut unit = MockUnit::at(now());
            unit.deliveries.expect_find().returning(|key| Ok(Some(mail(key, DeliveryState::Pending))));
            let held = HeldDeliveries { in_doubt: [delivery(1)].into(), ..HeldDeliveries::default() };
            unit.deliveries.expect_hold().return_once(|_| Ok(held));
            unit.hooks.expect_claim().returning(|_, _| Ok(Claimed::First));
            let mut order = mockall::Sequence::new();
            unit.events.expect_record().once().in_sequence(&mut order).returning(move |events| {
                assert_eq!(events[0].kind, expected, "it was accepted once, whatever comes of it now");
                Ok(EventReport::default())
            });
            let settled = unit.deliveries.expect_settle_heard().once().in_sequence(&mut order);
            settled.withf(|mails, _| *mails == [delivery(1)].into()).returning(|_, _| Ok(()));
            receive(unit, &feedback(kind)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_doubt_is_settled_by_whatever_is_heard() {
        for (kind, expected) in [
            (FeedbackKind::Delivered, (Resolution::Sent, Evidence::Event)),
            (FeedbackKind::Replied { by_program: true }, (Resolution::Sent, Evidence::Event)),
            (bounced("5.7.1"), (Resolution::Sent, Evidence::Bounce)),
        ] {
            let (mut unit, _) = unit(DeliveryState::InDoubt);
            let settled = unit.deliveries.expect_resolve().once();
            settled.withf(move |_, said, why, _| (*said, *why) == expected).returning(|_, _, _, _| Ok(true));
            receive(unit, &feedback(kind)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_event_happened_between_the_queuing_and_now_whatever_is_said() {
        for (claimed, kept) in [
            ("2026-02-28T12:00:00Z", "2026-02-28T12:00:00Z"),
            ("1999-01-01T00:00:00Z", "2026-02-27T09:00:00Z"),
            ("2999-01-01T00:00:00Z", "2026-03-01T09:00:00Z"),
        ] {
            let (unit, told) = unit(DeliveryState::Sent);
            let delivered =
                Feedback { occurred_at: Some(claimed.parse().unwrap()), ..feedback(FeedbackKind::Delivered) };
            receive(unit, &delivered).await.unwrap();
            assert_eq!(told.lock().unwrap()[0].at, kept.parse::<DateTime<Utc>>().unwrap());
        }
    }

    #[tokio::test]
    async fn a_hook_lets_in_what_was_signed_within_five_minutes() {
        for (seconds, admitted) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            let mut unit = MockUnit::at(now());
            unit.hooks.expect_open().returning(|_| Ok(Some(now())));
            let signed_at = now() + chrono::TimeDelta::seconds(seconds);
            let outcome = admit(&mut unit.into_tx(), HOOK, signed_at).await;
            assert_eq!(outcome.is_ok(), admitted, "{seconds}");
        }
        let mut unit = MockUnit::at(now());
        unit.hooks.expect_open().returning(|_| Ok(None));
        assert!(matches!(admit(&mut unit.into_tx(), HOOK, now()).await, Err(ReceiveError::NoSuchHook)));
    }
}
