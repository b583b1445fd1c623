//! One contact's way through a campaign.

use super::ids::{ContactNo, Pass, SequenceVersion, StepNo};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why a contact left before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ExitReason {
    Unsubscribed,
    Suppressed,
    Bounced,
    Complained,
    Replied,
    Goal,
    Manual,
    CampaignEnded,
    ContactErased,
}

impl ExitReason {
    /// Every reason.
    pub const ALL: [ExitReason; 9] = [
        ExitReason::Unsubscribed,
        ExitReason::Suppressed,
        ExitReason::Bounced,
        ExitReason::Complained,
        ExitReason::Replied,
        ExitReason::Goal,
        ExitReason::Manual,
        ExitReason::CampaignEnded,
        ExitReason::ContactErased,
    ];

    /// As written in rows.
    pub fn code(self) -> u8 {
        match self {
            ExitReason::Unsubscribed => b'u',
            ExitReason::Suppressed => b's',
            ExitReason::Bounced => b'b',
            ExitReason::Complained => b'c',
            ExitReason::Replied => b'r',
            ExitReason::Goal => b'g',
            ExitReason::Manual => b'm',
            ExitReason::CampaignEnded => b'e',
            ExitReason::ContactErased => b'p',
        }
    }

    /// The reason with that code.
    pub fn from_code(code: u8) -> Option<ExitReason> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// As written in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitReason::Unsubscribed => "unsubscribed",
            ExitReason::Suppressed => "suppressed",
            ExitReason::Bounced => "bounced",
            ExitReason::Complained => "complained",
            ExitReason::Replied => "replied",
            ExitReason::Goal => "goal",
            ExitReason::Manual => "manual",
            ExitReason::CampaignEnded => "campaign_ended",
            ExitReason::ContactErased => "contact_erased",
        }
    }
}

/// Where an enrollment stands, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// Before its first step; `step` is the one it will enter.
    Enrolled,
    /// About to enter `step`: a delivery before it has ended.
    Ready,
    /// Waiting in `step`.
    Waiting,
    /// `step` is an e-mail that is queued or under way.
    Delivering,
    /// Walked to the end.
    Completed,
    /// Left before the end.
    Exited(ExitReason),
}

impl Standing {
    /// As written in rows.
    pub fn code(self) -> u8 {
        match self {
            Standing::Enrolled => b'e',
            Standing::Ready => b'r',
            Standing::Waiting => b'w',
            Standing::Delivering => b'd',
            Standing::Completed => b'c',
            Standing::Exited(_) => b'x',
        }
    }

    /// Whether it is still under way.
    pub fn is_open(self) -> bool {
        !matches!(self, Standing::Completed | Standing::Exited(_))
    }
}

/// A due enrollment, claimed to be moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEnrollment {
    /// Who.
    pub contact: ContactNo,
    /// Under which sequence.
    pub version: SequenceVersion,
    /// At or before which step, see `standing`.
    pub step: StepNo,
    /// E-mails queued so far.
    pub pass: Pass,
    /// `Enrolled`, `Ready` or `Waiting`.
    pub standing: Standing,
    /// Since when it is due.
    pub due_at: DateTime<Utc>,
}

/// What callers see of an enrollment's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrollmentStatus {
    /// Before the first step.
    Enrolled,
    /// Under way.
    Active,
    /// Open, and the campaign is paused.
    Paused,
    /// Walked to the end.
    Completed,
    /// Left before the end.
    Exited,
}

impl EnrollmentStatus {
    /// What `standing` reads as in a campaign that is `paused` or not.
    pub fn read(standing: Standing, paused: bool) -> Self {
        match standing {
            Standing::Completed => EnrollmentStatus::Completed,
            Standing::Exited(_) => EnrollmentStatus::Exited,
            _ if paused => EnrollmentStatus::Paused,
            Standing::Enrolled => EnrollmentStatus::Enrolled,
            Standing::Ready | Standing::Waiting | Standing::Delivering => EnrollmentStatus::Active,
        }
    }
}

/// What happened at one step on an enrollment's way, as its history keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Passage {
    /// Began to wait.
    WaitBegan,
    /// Waited long enough.
    WaitEnded,
    /// A condition held.
    True,
    /// A condition did not hold.
    False,
    /// An action was done.
    Acted,
    /// A mail was queued.
    Queued,
    /// The sequence's end was reached.
    Ended,
    /// The wait was cut short, because the contact left.
    WaitCancelled,
    /// The contact left.
    Left(ExitReason),
}

impl Passage {
    /// As written in rows, beside the step's number.
    pub fn code(self) -> i16 {
        match self {
            Passage::WaitBegan => 1,
            Passage::WaitEnded => 2,
            Passage::True => 3,
            Passage::False => 4,
            Passage::Acted => 5,
            Passage::Queued => 6,
            Passage::Ended => 7,
            Passage::WaitCancelled => 8,
            Passage::Left(reason) => 1000 + i16::from(reason.code()),
        }
    }

    /// The passage with that code.
    pub fn from_code(code: i16) -> Option<Passage> {
        match code {
            1 => Some(Passage::WaitBegan),
            2 => Some(Passage::WaitEnded),
            3 => Some(Passage::True),
            4 => Some(Passage::False),
            5 => Some(Passage::Acted),
            6 => Some(Passage::Queued),
            7 => Some(Passage::Ended),
            8 => Some(Passage::WaitCancelled),
            _ => u8::try_from(code - 1000).ok().and_then(ExitReason::from_code).map(Passage::Left),
        }
    }
}
