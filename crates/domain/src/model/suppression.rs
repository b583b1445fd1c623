//! An address that is never mailed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why an address is never mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// The person asked for it.
    Unsubscribed,
    /// The address does not take mail.
    Bounced,
    /// The person reported a mail as spam.
    Complained,
    /// Somebody put it on the list.
    Manual,
    /// The person was erased and is not to be written to again.
    Erased,
}

impl SuppressionReason {
    /// Every reason.
    pub const ALL: [SuppressionReason; 5] = [
        SuppressionReason::Unsubscribed,
        SuppressionReason::Bounced,
        SuppressionReason::Complained,
        SuppressionReason::Manual,
        SuppressionReason::Erased,
    ];

    /// As written in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            SuppressionReason::Unsubscribed => "unsubscribed",
            SuppressionReason::Bounced => "bounced",
            SuppressionReason::Complained => "complained",
            SuppressionReason::Manual => "manual",
            SuppressionReason::Erased => "erased",
        }
    }

    /// The reason of that name.
    pub fn parse(name: &str) -> Option<SuppressionReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// An entry of the list.
#[derive(Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The address, in lower case.
    pub email_key: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Where it comes from: `api`, the id of a campaign, or what a caller said.
    pub source: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// Why and since when, not whom: it may end up in a log.
impl std::fmt::Debug for Suppression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suppression")
            .field("reason", &self.reason)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
