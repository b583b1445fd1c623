//! The campaign aggregate: what it sends, to whom, when, and where it stands.

use super::address::EmailAddress;
use super::ids::{
    CampaignId, CampaignKey, CampaignNo, SegmentId, SegmentNo, SequenceVersion, StepNo, TenantNo, UserId, WorkspaceNo,
};
use super::lifecycle::{Lifecycle, Status};
use super::schedule::{Schedule, Settings};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What kind of campaign it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignType {
    /// One mail to everybody; ends when the books close.
    Broadcast,
    /// A sequence that everybody walks through.
    Drip,
    /// Contacts enter one by one; launching enrolls nobody and it never ends by itself.
    Triggered,
    /// An e-mail with variants; cannot be launched until variants work.
    AbTest,
}

impl CampaignType {
    /// Every type.
    pub const ALL: [CampaignType; 4] =
        [CampaignType::Broadcast, CampaignType::Drip, CampaignType::Triggered, CampaignType::AbTest];

    /// As written in requests and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            CampaignType::Broadcast => "broadcast",
            CampaignType::Drip => "drip",
            CampaignType::Triggered => "triggered",
            CampaignType::AbTest => "ab_test",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<CampaignType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How far the enrolling of a launched campaign's audience has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrollmentState {
    /// Not launched.
    None,
    /// Chunks are being enrolled; nothing is sent meanwhile.
    Running,
    /// Everybody is in.
    Done,
}

impl EnrollmentState {
    /// As written in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            EnrollmentState::None => "none",
            EnrollmentState::Running => "running",
            EnrollmentState::Done => "done",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<EnrollmentState> {
        [EnrollmentState::None, EnrollmentState::Running, EnrollmentState::Done]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What a user writes about a campaign, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignContent {
    /// What it is called; 1 to 200 characters.
    pub name: String,
    /// For whoever reads the list.
    pub description: Option<String>,
    /// `From` address.
    pub from_email: EmailAddress,
    /// `From` name; no control characters.
    pub from_name: String,
    /// `Reply-To`.
    pub reply_to_email: Option<EmailAddress>,
    /// When it may send.
    pub schedule: Schedule,
    /// How it behaves.
    pub settings: Settings,
}

/// The caller has read another version than there is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version {expected} was expected, the campaign is at version {current}")]
pub struct VersionMismatch {
    /// What the caller has read.
    pub expected: i32,
    /// What there is.
    pub current: i32,
}

/// A campaign as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its owner.
    pub tenant: TenantNo,
    /// Its workspace.
    pub workspace: WorkspaceNo,
    /// Its number.
    pub no: CampaignNo,
    /// Its id.
    pub id: CampaignId,
    /// Its kind, fixed at creation.
    pub campaign_type: CampaignType,
    /// Its audience, as rows know it.
    pub segment: SegmentNo,
    /// Its audience, as callers know it.
    pub segment_id: SegmentId,
    /// What it says.
    pub content: CampaignContent,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// How far enrolling has come.
    pub enrollment_state: EnrollmentState,
    /// How many the audience was counted as when the launch began.
    pub enroll_total: i64,
    /// How many were ever enrolled.
    pub total_contacts: i64,
    /// The sequence for those who enter now; 0 before the first.
    pub sequence_version: SequenceVersion,
    /// The number that the next new step gets.
    pub next_step_no: StepNo,
    /// Why a scheduled start was refused.
    pub last_problem: Option<String>,
    /// Rises with every change; sent as `ETag`.
    pub version: i32,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Campaign {
    /// Where it stands, without the instants.
    pub fn status(&self) -> Status {
        self.lifecycle.status()
    }

    /// When it is, or was, to start by itself: `None` in a draft, and after a launch that nobody had scheduled.
    pub fn scheduled_at(&self) -> Option<DateTime<Utc>> {
        match self.lifecycle {
            Lifecycle::Draft => None,
            Lifecycle::Scheduled { start_at } => Some(start_at),
            Lifecycle::Active { .. } | Lifecycle::Paused { .. } | Lifecycle::Completed { .. } => {
                self.content.schedule.start_at
            }
        }
    }

    /// Whether it was ever launched, so that somebody may be in it.
    pub fn was_launched(&self) -> bool {
        self.lifecycle.launched_at().is_some()
    }

    /// Whether `expected`, an `If-Match` if there is one, still is the version.
    pub fn check_version(&self, expected: Option<i32>) -> Result<(), VersionMismatch> {
        match expected {
            Some(expected) if expected != self.version => Err(VersionMismatch { expected, current: self.version }),
            _ => Ok(()),
        }
    }

    /// Its tenant and number.
    pub fn key(&self) -> CampaignKey {
        CampaignKey { tenant: self.tenant, campaign: self.no }
    }
}
