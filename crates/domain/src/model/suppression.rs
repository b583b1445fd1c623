//! Addresses and domains that are never mailed.

use super::address::{DomainName, EmailAddress};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A source has no more characters than this.
pub const MAX_SOURCE: usize = 200;

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

    /// Those that somebody can give; `Erased` comes from erasing a contact alone.
    pub const GIVEN: [SuppressionReason; 4] = [
        SuppressionReason::Unsubscribed,
        SuppressionReason::Bounced,
        SuppressionReason::Complained,
        SuppressionReason::Manual,
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

/// What can be put on the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suppressible {
    /// One address.
    Address(EmailAddress),
    /// Every address of exactly this domain. Its subdomains are domains of their own.
    Domain(DomainName),
}

impl Suppressible {
    /// Reads an address where there is an `@` within the text, else a domain.
    pub fn parse(text: &str) -> Option<Suppressible> {
        match text.trim_matches(' ').find('@') {
            Some(1..) => EmailAddress::parse(text).ok().map(Suppressible::Address),
            _ => DomainName::parse(text).ok().map(Suppressible::Domain),
        }
    }

    /// As it is stored and sorted by: lower case.
    pub fn key(&self) -> String {
        match self {
            Suppressible::Address(email) => email.key(),
            Suppressible::Domain(domain) => domain.as_str().to_owned(),
        }
    }
}

/// Whom an entry of the list is about.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// This address, in lower case.
    Address(String),
    /// Every address of this domain, in lower case.
    Domain(String),
    /// Somebody who was erased: the address is not kept, only recognised when it comes again.
    Erased,
}

impl Entry {
    /// What a stored key is. A domain has no `@`, and an address always has one.
    pub fn of_key(key: String) -> Entry {
        if key.contains('@') { Entry::Address(key) } else { Entry::Domain(key) }
    }

    /// The stored key, by which the list is sorted; of somebody erased there is none.
    pub fn key(&self) -> Option<&str> {
        match self {
            Entry::Address(key) | Entry::Domain(key) => Some(key),
            Entry::Erased => None,
        }
    }
}

/// What is to be put on the list.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSuppression {
    /// Whom.
    pub what: Suppressible,
    /// Why.
    pub reason: SuppressionReason,
    /// Where this comes from.
    pub source: String,
}

/// Why, not whom: it may end up in a log.
impl std::fmt::Debug for NewSuppression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSuppression").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// An entry of the list.
#[derive(Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Whom it is about.
    pub entry: Entry,
    /// Why.
    pub reason: SuppressionReason,
    /// Where it comes from: `api`, `import`, `erasure`, the id of a campaign, or what a caller said.
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
