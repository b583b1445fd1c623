//! Identifiers: opaque uuids at the edge, small numbers inside.
//!
//! Callers see UUIDv7 ids. Rows carry small numbers, because a million enrollments keyed by uuids cost
//! twice the space and half the speed. The two kinds never mix: each is a type of its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! public_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

macro_rules! row_number {
    ($($(#[$doc:meta])* $name:ident($inner:ty)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    )+};
}

public_id! {
    /// A tenant, as callers see it.
    TenantId,
    /// A workspace, as callers see it.
    WorkspaceId,
    /// The user behind a key, or the key itself.
    UserId,
    /// An API key.
    KeyId,
    /// A hook.
    HookId,
    /// A campaign.
    CampaignId,
    /// A step of a campaign; kept for the campaign's life.
    StepId,
    /// A contact.
    ContactId,
    /// A segment.
    SegmentId,
}

row_number! {
    /// A tenant's number: first in every key and in every row-level policy.
    TenantNo(i32),
    /// A workspace's number within its tenant.
    WorkspaceNo(i32),
    /// A campaign's number, unique in the database.
    CampaignNo(i32),
    /// A step's number within its campaign, from 1; never reused.
    StepNo(i16),
    /// A contact's number, unique in the database, rising with creation.
    ContactNo(i64),
    /// A hook's number, unique in the database; never reused.
    HookNo(i32),
    /// A segment's number, unique in the database.
    SegmentNo(i32),
    /// A version of a campaign's sequence, from 1.
    SequenceVersion(i32),
    /// Which visit of a step this is, rising with every e-mail queued for the enrollment.
    Pass(i32),
    /// A link of a step, made from its address as its author wrote it; never 0.
    LinkNo(i64),
}

/// Where a piece of work belongs: a campaign and its tenant. The unit of locks, claims and fairness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CampaignKey {
    /// The owner.
    pub tenant: TenantNo,
    /// The campaign.
    pub campaign: CampaignNo,
}
