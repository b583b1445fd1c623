//! What is decided of a delivery after it has ended: to begin it again, or how it really ended.

use super::delivery::DeliveryState;
use super::ids::UserId;

/// How a delivery in doubt is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// It arrived.
    Sent,
    /// It did not arrive, and cannot.
    Failed,
    /// It is sent once more, under the same Message-ID.
    Resend,
    /// Whether it arrived or not, nothing more is done about it.
    Drop,
}

impl Resolution {
    /// Every one.
    pub const ALL: [Resolution; 4] = [Resolution::Sent, Resolution::Failed, Resolution::Resend, Resolution::Drop];

    /// What somebody may decide by hand. That it failed is for evidence to say.
    pub const BY_HAND: [Resolution; 3] = [Resolution::Sent, Resolution::Resend, Resolution::Drop];

    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Resolution::Sent => "sent",
            Resolution::Failed => "failed",
            Resolution::Resend => "resend",
            Resolution::Drop => "drop",
        }
    }

    /// The state that it makes of a delivery in doubt.
    pub fn state(self) -> DeliveryState {
        match self {
            Resolution::Sent => DeliveryState::Sent,
            Resolution::Failed => DeliveryState::Failed,
            Resolution::Resend => DeliveryState::Pending,
            Resolution::Drop => DeliveryState::Cancelled,
        }
    }
}

/// On what grounds something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Somebody decided.
    Hand(UserId),
    /// The attempt itself heard the mail server's answer after all.
    LateAnswer,
    /// The mail came back.
    Bounce,
    /// The provider gave a sign of it, or the recipient: an answer, an open, a click.
    Event,
}

/// Endings that can be begun again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Retriable {
    /// Refused for good, or out of attempts.
    Failed,
    /// It may have arrived: begun again, some get it twice.
    InDoubt,
}

impl Retriable {
    /// Every one.
    pub const ALL: [Retriable; 2] = [Retriable::Failed, Retriable::InDoubt];

    /// As written in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Retriable::Failed => "failed",
            Retriable::InDoubt => "inDoubt",
        }
    }

    /// The ending of that name.
    pub fn parse(name: &str) -> Option<Retriable> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == name)
    }
}
