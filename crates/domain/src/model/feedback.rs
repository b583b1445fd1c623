//! What the world reports about a mail after it was handed over: delivered, bounced, complained about, replied to.

use super::bounce::{BounceClass, EnhancedStatus};
use chrono::{DateTime, Utc};

/// How a report names the mail that it is about. Both hold the part before the `@`: who seals them does not care for the
/// domain.
#[derive(Clone, PartialEq, Eq)]
pub enum MailName {
    /// The return path that the mail was sent with.
    ReturnPath(String),
    /// The mail's Message-ID.
    MessageId(String),
}

/// Which kind of name, not the name: it may end up in a log.
impl std::fmt::Debug for MailName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MailName::ReturnPath(_) => "ReturnPath",
            MailName::MessageId(_) => "MessageId",
        })
    }
}

impl MailName {
    /// The return path `address`, with or without angle brackets.
    pub fn return_path(address: &str) -> MailName {
        MailName::ReturnPath(local_part(address).to_owned())
    }

    /// The Message-ID `id`, with or without angle brackets.
    pub fn message_id(id: &str) -> MailName {
        MailName::MessageId(local_part(id).to_owned())
    }
}

fn local_part(name: &str) -> &str {
    let name = name.trim().trim_start_matches('<').trim_end_matches('>');
    name.rsplit_once('@').map_or(name, |(local, _)| local)
}

/// A mail that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounce {
    /// What it says about the address.
    pub class: BounceClass,
    /// The code that was given.
    pub status: Option<EnhancedStatus>,
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackKind {
    /// The mail is in the recipient's hands.
    Delivered,
    /// It came back for good.
    Bounced(Bounce),
    /// The recipient called it spam.
    Complained,
    /// The recipient wrote back.
    Replied {
        /// A program did, such as a notice of absence.
        by_program: bool,
    },
}

/// One report about one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// What is reported.
    pub kind: FeedbackKind,
    /// How it names the mail; the first that is one of ours counts.
    pub mail: Vec<MailName>,
    /// When it happened, where the report says so and can be believed.
    pub occurred_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_part_before_the_at() {
        let MailName::MessageId(id) = MailName::message_id(" <abc@example.com>\r\n") else { panic!() };
        assert_eq!(id, "abc");
        let MailName::ReturnPath(path) = MailName::return_path("a@b@bounces.example") else { panic!() };
        assert_eq!(path, "a@b");
        assert_eq!(MailName::message_id("abc"), MailName::MessageId("abc".to_owned()));
        assert_eq!(format!("{:?}", MailName::message_id("secret")), "MessageId");
    }
}
