//! One mail to one contact: its key, its states, and when to try again.

use super::bounce::BounceClass;
use super::ids::{CampaignKey, CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use super::schedule::OnInDoubt;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Names one delivery for ever: the visit `pass` of e-mail step `step` by `contact`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The owner.
    pub tenant: TenantNo,
    /// The campaign.
    pub campaign: CampaignNo,
    /// The recipient.
    pub contact: ContactNo,
    /// The e-mail step.
    pub step: StepNo,
    /// The visit.
    pub pass: Pass,
}

impl DeliveryKey {
    /// The campaign this delivery belongs to.
    pub fn campaign_key(&self) -> CampaignKey {
        CampaignKey { tenant: self.tenant, campaign: self.campaign }
    }
}

/// The fence of an attempt: grows with every claim, so that a late writer's update hits no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i32);

/// A delivery together with the claim under which it is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Under which claim.
    pub epoch: Epoch,
}

/// Where a delivery stands. The first three are under way, the others are how it ended; [`DELIVERY`] has every step between
/// them, and `docs/lifecycle.md` draws it.
///
/// ```text
/// pending ⇄ claimed → sending → sent | failed | in doubt | cancelled
///    ↑__________________|    (refused for now: pending again, later)
/// pending | claimed → suppressed | cancelled | failed before it begins
/// in doubt → sent | failed | pending, when its own attempt turns out so
/// ```
///
/// [`DELIVERY`]: super::transitions::DELIVERY
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryState {
    /// Queued, or waiting to be tried again.
    Pending,
    /// A worker holds it and has written nothing to any server.
    Claimed,
    /// Begun: `MAIL FROM` was accepted and the begin committed.
    Sending,
    /// The server took responsibility (250 after the final dot).
    Sent,
    /// Refused for good, or out of attempts.
    Failed,
    /// The address is on the suppression list.
    Suppressed,
    /// Passed without mail by a rule.
    Skipped,
    /// The connection died between the final dot and the reply: it may have been delivered.
    InDoubt,
    /// Exit, erasure or the campaign's end came first.
    Cancelled,
}

impl DeliveryState {
    /// How a delivery ends that would end so, and was sent once more `resends` times after a doubt.
    ///
    /// The earlier attempt may have been accepted. What befalls a later one does not change that: unless it was sent, the
    /// delivery is in doubt.
    #[must_use]
    pub fn given_resends(self, resends: i16) -> Self {
        match self {
            DeliveryState::Failed | DeliveryState::Suppressed | DeliveryState::Skipped | DeliveryState::Cancelled
                if resends > 0 =>
            {
                DeliveryState::InDoubt
            }
            other => other,
        }
    }
}

/// How one attempt ended, as recorded by the worker that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum SendOutcome {
    /// 250 after the final dot.
    Sent {
        /// The server's reply, shortened; holds no address.
        reply: String,
    },
    /// A transient refusal, or a connection lost before the final dot: nothing was accepted.
    Retry {
        /// What happened.
        reason: String,
        /// The server refused this recipient for now (a 4xx to `RCPT TO` that is not about policy, the sender or the server
        /// itself): a soft bounce, once no attempt is left.
        #[serde(default)]
        soft: bool,
    },
    /// A permanent refusal (5xx), or a message that cannot be built.
    Failed {
        /// What happened.
        reason: String,
        /// The server refused this recipient (a 5xx to `RCPT TO` that is about the mailbox, not about policy or the
        /// sender), and what that says of the address. After a hard one the contact leaves the campaign.
        bounced: Option<BounceClass>,
    },
    /// The final dot was written and no reply came.
    InDoubt {
        /// What happened.
        reason: String,
    },
}

/// How long a claim or a send stays its worker's own, unless it is renewed. Everything that depends on it is a fraction of it.
///
/// A build with the feature `short-waits` is for harnesses that kill workers by the hundred and wait for each lease.
pub const LEASE: Duration = Duration::from_secs(if SHORT_WAITS { 6 } else { 30 });
/// So much of a lease is left, at least, when a delivery has begun. A begin leaves a lease that has as much as it is, because
/// that is the cheaper write.
pub const LEASE_AT_BEGIN: Duration = Duration::from_millis(LEASE.as_secs() * 750);

/// How long a delivery in doubt waits for a late answer before it is sent once more.
const RESEND_AFTER: TimeDelta = TimeDelta::seconds(if SHORT_WAITS { 2 } else { 600 });

const SHORT_WAITS: bool = cfg!(feature = "short-waits");

/// How often and how long a transient refusal is tried again.
///
/// RFC 5321 §4.5.4.1: retries back off, and give up after days, not minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the second attempt.
    pub first_after: TimeDelta,
    /// No wait is longer.
    pub at_most: TimeDelta,
    /// After this many attempts the delivery has failed.
    pub max_attempts: i16,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let first_after = TimeDelta::seconds(if SHORT_WAITS { 1 } else { 60 });
        Self { first_after, at_most: TimeDelta::hours(4), max_attempts: 30 }
    }
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempts` (from 1) failed; `None` when it was the last.
    ///
    /// Doubles each time up to the cap; `jitter` in `0.0..1.0` spreads it over the upper half of that span,
    /// so that a server that comes back is not met by everybody at once.
    pub fn after(&self, attempts: i16, jitter: f64) -> Option<TimeDelta> {
        if attempts >= self.max_attempts {
            return None;
        }
        let doublings = u32::try_from(attempts.max(1) - 1).unwrap_or(0).min(30);
        let full = self.first_after.checked_mul(1_i32 << doublings).map_or(self.at_most, |wait| wait.min(self.at_most));
        let half = full / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "milliseconds of at most hours"
        )]
        let spread = TimeDelta::milliseconds((half.num_milliseconds() as f64 * jitter.clamp(0.0, 1.0)) as i64);
        Some(half + spread)
    }
}

/// What becomes of a delivery, once the outcome of an attempt is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was sent.
    Sent,
    /// It failed for good.
    Failed {
        /// The recipient was refused, and what that says of the address.
        bounced: Option<BounceClass>,
    },
    /// It is pending again.
    Again {
        /// After this long, in real time.
        after: TimeDelta,
        /// It may have been accepted already and is sent once more all the same.
        resend: bool,
    },
    /// It stays in doubt.
    InDoubt,
}

impl SendOutcome {
    /// What this outcome of attempt number `attempts` (from 1) means for the delivery, which was `resends` times sent
    /// once more before. `jitter` in `0.0..1.0`.
    pub fn settle(
        &self,
        attempts: i16,
        resends: i16,
        policy: &RetryPolicy,
        on_in_doubt: OnInDoubt,
        jitter: f64,
    ) -> Settlement {
        match self {
            SendOutcome::Sent { .. } => Settlement::Sent,
            SendOutcome::Failed { bounced, .. } => Settlement::Failed { bounced: *bounced },
            SendOutcome::Retry { soft, .. } => match policy.after(attempts, jitter) {
                Some(after) => Settlement::Again { after, resend: false },
                None => Settlement::Failed { bounced: soft.then_some(BounceClass::Soft) },
            },
            SendOutcome::InDoubt { .. } => match on_in_doubt {
                OnInDoubt::Resend if resends == 0 => Settlement::Again { after: RESEND_AFTER, resend: true },
                OnInDoubt::Resend | OnInDoubt::Hold => Settlement::InDoubt,
            },
        }
    }

    /// What happened, in words; holds no address.
    pub fn detail(&self) -> &str {
        match self {
            SendOutcome::Sent { reply } => reply,
            SendOutcome::Retry { reason, .. }
            | SendOutcome::Failed { reason, .. }
            | SendOutcome::InDoubt { reason } => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_in_doubt_is_sent_once_more_at_most_and_only_when_asked() {
        let outcome = SendOutcome::InDoubt { reason: String::new() };
        let settle = |resends, on_in_doubt| outcome.settle(1, resends, &RetryPolicy::default(), on_in_doubt, 0.5);
        assert_eq!(settle(0, OnInDoubt::Hold), Settlement::InDoubt);
        assert_eq!(settle(0, OnInDoubt::Resend), Settlement::Again { after: RESEND_AFTER, resend: true });
        assert_eq!(settle(1, OnInDoubt::Resend), Settlement::InDoubt);
    }

    #[test]
    fn the_last_transient_refusal_is_a_failure_and_of_the_recipient_a_soft_bounce() {
        let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
        for (soft, bounced) in [(false, None), (true, Some(BounceClass::Soft))] {
            let outcome = SendOutcome::Retry { reason: String::new(), soft };
            let settle = |attempts| outcome.settle(attempts, 0, &policy, OnInDoubt::Resend, 1.0);
            assert_eq!(settle(2), Settlement::Again { after: TimeDelta::seconds(120), resend: false });
            assert_eq!(settle(3), Settlement::Failed { bounced });
        }
    }

    /// RFC 5321 section 4.5.4.1: give up after four to five days.
    #[test]
    fn all_retries_together_last_three_to_five_days() {
        let policy = RetryPolicy::default();
        let total = |jitter| (1..).map_while(|attempts| policy.after(attempts, jitter)).sum::<TimeDelta>();
        assert!(total(1.0) <= TimeDelta::days(5));
        assert!(total(0.5) >= TimeDelta::days(2));
    }

    #[test]
    fn waits_double_up_to_the_cap_and_then_end() {
        let policy =
            RetryPolicy { first_after: TimeDelta::seconds(60), at_most: TimeDelta::seconds(200), max_attempts: 4 };
        assert_eq!(policy.after(1, 1.0), Some(TimeDelta::seconds(60)));
        assert_eq!(policy.after(2, 1.0), Some(TimeDelta::seconds(120)));
        assert_eq!(policy.after(3, 1.0), Some(TimeDelta::seconds(200)));
        assert_eq!(policy.after(3, 0.0), Some(TimeDelta::seconds(100)));
        assert_eq!(policy.after(4, 0.5), None);
    }

    #[test]
    fn a_huge_attempt_number_does_not_overflow() {
        let policy = RetryPolicy { max_attempts: i16::MAX, ..RetryPolicy::default() };
        assert_eq!(policy.after(3000, 1.0), Some(policy.at_most));
    }
}
