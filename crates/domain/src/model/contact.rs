//! A person on a list.
//!
//! Nothing here shows what is known of a person when it is formatted with `{:?}`: that may end up in a log.

pub mod edit;
pub mod value;

pub use value::FieldValue;

use super::address::EmailAddress;
use super::ids::{ContactId, ContactNo};
use super::rules::Engaged;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The text fields that every contact has, by the name callers use. The first is `email`.
pub const TEXT_FIELDS: [&str; 9] =
    ["email", "firstName", "lastName", "company", "jobTitle", "city", "state", "country", "timezone"];

/// A text field has no more characters than this.
pub const MAX_TEXT: usize = 200;
/// A tag has no more characters than this.
pub const MAX_TAG: usize = 100;
/// A contact has no more tags than this.
pub const MAX_TAGS: usize = 100;
/// A contact has no more custom fields than this.
pub const MAX_CUSTOM_FIELDS: usize = 100;
/// The name of a custom field has no more characters than this.
pub const MAX_CUSTOM_NAME: usize = 64;
/// The text of a custom field has no more characters than this.
pub const MAX_CUSTOM_TEXT: usize = 500;
/// A lead score is no further from zero than this.
pub const MAX_LEAD_SCORE: i32 = 1_000_000_000;

/// What templates, conditions and segments know of a contact.
#[derive(Clone, PartialEq, Default)]
pub struct ContactFacts {
    /// Text fields by the name callers use (see [`TEXT_FIELDS`]); absent ones are not there.
    pub fields: BTreeMap<String, String>,
    /// Tags, in lower case.
    pub tags: BTreeSet<String>,
    /// The lead score.
    pub lead_score: i32,
    /// Custom fields by name.
    pub custom_fields: BTreeMap<String, FieldValue>,
    /// What it was asked for and has done with mails; everything else it has not.
    pub engaged: BTreeSet<Engaged>,
}

/// How much is known, not what.
impl fmt::Debug for ContactFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactFacts")
            .field("fields", &self.fields.len())
            .field("tags", &self.tags.len())
            .field("custom_fields", &self.custom_fields.len())
            .finish_non_exhaustive()
    }
}

/// A contact that is not stored yet: its number and id come with storing it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContact {
    /// Where mail goes.
    pub email: EmailAddress,
    /// What is known of it, `email` included.
    pub facts: ContactFacts,
}

impl NewContact {
    /// Somebody of whom nothing but the address is known.
    pub fn of(email: EmailAddress) -> Self {
        let fields = [(TEXT_FIELDS[0].to_owned(), email.as_str().to_owned())].into();
        Self { email, facts: ContactFacts { fields, ..ContactFacts::default() } }
    }
}

/// A contact as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// Its number.
    pub no: ContactNo,
    /// Its id.
    pub id: ContactId,
    /// Where mail goes.
    pub email: EmailAddress,
    /// What is known of it, `email` included.
    pub facts: ContactFacts,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A contact before and after a change, from which storage writes the difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// As it is stored.
    pub before: Contact,
    /// As it is to be; same number and id.
    pub after: Contact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_a_contact_for_a_log_shows_nothing_personal() {
        let email = EmailAddress::parse("ada@example.org").unwrap();
        let mut new = NewContact::of(email);
        new.facts.fields.insert("firstName".to_owned(), "Ada".to_owned());
        new.facts.tags.insert("mathematician".to_owned());
        new.facts.custom_fields.insert("phone".to_owned(), FieldValue::Text("01632 960 001".to_owned()));
        let shown = format!("{new:?} {:?}", new.facts.custom_fields.values().next());
        for secret in ["ada", "Ada", "example", "mathematician", "01632"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
