//! Deliveries for people: what became of each, and what they decide of those that did not simply arrive.

use super::store::StoreResult;
use crate::model::address::EmailAddress;
use crate::model::campaign::Campaign;
use crate::model::decision::{Evidence, Resolution, Retriable};
use crate::model::delivery::{DeliveryKey, DeliveryState};
use crate::model::ids::{CampaignId, ContactId, StepId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// A delivery for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// Which.
    pub key: DeliveryKey,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Whom it is for.
    pub contact: ContactId,
    /// Its e-mail step.
    pub step: StepId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was begun since it was queued, or begun again.
    pub attempts: i16,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The server's reply, or the reason; holds no address.
    pub detail: Option<String>,
    /// The campaign's sender, whose domain is part of the Message-ID.
    pub from_email: EmailAddress,
}

/// What holding deliveries shows of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldDeliveries {
    /// Begun, and nobody has written down yet what became of them.
    pub under_way: BTreeSet<DeliveryKey>,
    /// In doubt, or waiting to be sent once more because they were.
    pub in_doubt: BTreeSet<DeliveryKey>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only those that stand so; claimed ones count as pending.
    pub state: Option<DeliveryState>,
}

/// Deliveries of one workspace.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait DeliveryRepo: Send {
    /// At most `limit` deliveries after the one of `after`, in the order of their keys.
    async fn list(
        &mut self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        limit: i64,
    ) -> StoreResult<Vec<DeliveryView>>;
    /// The delivery of that key, if it is one of this workspace.
    async fn find(&mut self, key: DeliveryKey) -> StoreResult<Option<DeliveryView>>;
    /// Settles a delivery in doubt, keeps who or what decided, and has the commit post it to the books. `false`, and
    /// nothing has changed, when it is not in doubt (any more), or is to be sent once more to a contact that has left the
    /// campaign.
    ///
    /// What is sent once more goes out even when the campaign is completed meanwhile; unless the attempt in doubt hears
    /// late, before that, that it was accepted, or something else says so ([`DeliveryRepo::settle_heard`]).
    async fn resolve(
        &mut self,
        key: DeliveryKey,
        resolution: Resolution,
        evidence: Evidence,
        now: DateTime<Utc>,
    ) -> StoreResult<bool>;
    /// Holds these deliveries of the tenant where they stand until the transaction ends, and says which are under way and which
    /// in doubt. Before anything is kept of what was heard of them: nobody then gives one up as in doubt without knowing of it.
    async fn hold(&mut self, keys: &BTreeSet<DeliveryKey>) -> StoreResult<HeldDeliveries>;
    /// Settles those of these deliveries, which [`DeliveryRepo::hold`] has found in doubt, as sent of which something
    /// was heard since that a mail server must have taken the mail for, as [`DeliveryRepo::resolve`] does. What was to be sent once
    /// more is not.
    async fn settle_heard(&mut self, doubts: &BTreeSet<DeliveryKey>, now: DateTime<Utc>) -> StoreResult<()>;
    /// Queues exactly those deliveries of a launched campaign again that ended so, and says how many; posts to the books,
    /// so the last thing in its transaction. The campaign's row is locked by the caller.
    ///
    /// Not those to contacts that have left, unless the failure itself or the campaign's end took them out. Their
    /// enrollments do not move: they went on, or ended, when the delivery did. They count towards the sending limits again,
    /// and what is suppressed by now ends so. Two callers at once queue each delivery once.
    async fn retry(
        &mut self,
        campaign: &Campaign,
        endings: &[Retriable],
        evidence: Evidence,
        now: DateTime<Utc>,
    ) -> StoreResult<i64>;
    /// Notes that nothing begun again is left of a completed campaign, whose row the caller has locked.
    async fn end_retrying(&mut self, campaign: &Campaign) -> StoreResult<()>;
}
