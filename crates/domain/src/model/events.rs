//! What recipients and their mail servers do after a mail was sent.

mod summary;
mod sweep;

use super::delivery::DeliveryKey;
use super::ids::LinkNo;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use summary::{Engagement, Subject, add_change, add_event, take_human};
pub use sweep::{FEWEST_LINKS, Seen, caught, swept};

/// Of one kind no more than about this many events are kept for one mail. Whoever has a mail can repeat its links for
/// ever; what it costs us has an end.
pub const KEPT_OF_A_KIND: i64 = 1_000;

/// What happened to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// Its pixel was loaded.
    Opened,
    /// A link was followed.
    Clicked,
    /// Somebody answered it.
    Replied,
    /// Its recipient was refused for good while it was being sent.
    Refused,
    /// It was accepted, and sent back afterwards.
    Bounced,
    /// It was reported as spam.
    Complained,
    /// A provider says that it arrived.
    Delivered,
    /// Its recipient unsubscribed through it.
    Unsubscribed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 8] = [
        EventKind::Opened,
        EventKind::Clicked,
        EventKind::Replied,
        EventKind::Refused,
        EventKind::Bounced,
        EventKind::Complained,
        EventKind::Delivered,
        EventKind::Unsubscribed,
    ];

    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Opened => "opened",
            EventKind::Clicked => "clicked",
            EventKind::Replied => "replied",
            EventKind::Refused => "refused",
            EventKind::Bounced => "bounced",
            EventKind::Complained => "complained",
            EventKind::Delivered => "delivered",
            EventKind::Unsubscribed => "unsubscribed",
        }
    }

    /// As rows keep it.
    pub fn code(self) -> u8 {
        match self {
            EventKind::Opened => b'o',
            EventKind::Clicked => b'c',
            EventKind::Replied => b'r',
            EventKind::Refused => b'f',
            EventKind::Bounced => b'b',
            EventKind::Complained => b'p',
            EventKind::Delivered => b'd',
            EventKind::Unsubscribed => b'u',
        }
    }

    /// The kind that rows keep so.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Why an event was no person's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Machine {
    /// Asked with HEAD, as link checkers do.
    Head,
    /// A program that is known to fetch mail: a scanner, an image proxy.
    Agent,
    /// Before the mail server had taken the mail: nobody had it yet.
    Soon,
    /// Every link of a mail that has several within two seconds.
    Sweep,
    /// The link that no person sees was followed, then or within two seconds.
    Trap,
    /// An answer that was written by a program, such as a notice of absence.
    AutoReply,
}

impl Machine {
    /// Every reason.
    pub const ALL: [Machine; 6] =
        [Machine::Head, Machine::Agent, Machine::Soon, Machine::Sweep, Machine::Trap, Machine::AutoReply];

    /// As written in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Machine::Head => "head",
            Machine::Agent => "agent",
            Machine::Soon => "too_soon",
            Machine::Sweep => "every_link",
            Machine::Trap => "hidden_link",
            Machine::AutoReply => "auto_reply",
        }
    }

    /// As rows keep it.
    pub fn code(self) -> u8 {
        match self {
            Machine::Head => b'h',
            Machine::Agent => b'a',
            Machine::Soon => b's',
            Machine::Sweep => b'l',
            Machine::Trap => b't',
            Machine::AutoReply => b'r',
        }
    }

    /// The reason that rows keep so.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|machine| machine.code() == code)
    }
}

/// A link that was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClickedLink {
    /// Which.
    pub no: LinkNo,
    /// How many different links the mail has.
    pub of: i16,
}

/// Something that happened to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngagementEvent {
    /// Names it for ever: the same delivery, kind and id again is the same event. Derived from what a provider calls it;
    /// drawn anew where every request counts.
    pub id: Uuid,
    /// Which mail.
    pub delivery: DeliveryKey,
    /// What.
    pub kind: EventKind,
    /// Which link; with [`EventKind::Clicked`] and nothing else. A click on none is one on the link that no person sees.
    pub link: Option<ClickedLink>,
    /// When, in business time.
    pub at: DateTime<Utc>,
    /// Why it was no person's doing; `None` as far as whoever tells of it knows.
    pub machine: Option<Machine>,
}

impl EngagementEvent {
    /// Whether the link was followed that no person sees.
    pub fn is_trap(&self) -> bool {
        self.kind == EventKind::Clicked && self.link.is_none()
    }
}

impl LinkNo {
    /// The number of the link to `address`, as its author wrote it, placeholders included.
    ///
    /// FNV-1a over its bytes: the same address is the same link in every version of a sequence, and nothing has to be
    /// looked up to number it. Two of the some hundred links of a step share a number about once in 10^14 steps.
    pub fn of(address: &str) -> Self {
        let hash = address
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(hash.max(1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_reasons_are_kept_by_a_letter_of_their_own() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
        }
        for machine in Machine::ALL {
            assert_eq!(Machine::from_code(machine.code()), Some(machine));
        }
        assert_eq!((EventKind::from_code(b'?'), Machine::from_code(b'?')), (None, None));
    }

    /// Rows keep these numbers: they must not change. The second is the published FNV-1a of "a", af63dc4c8601ec8c.
    #[test]
    fn the_number_of_a_link_is_made_from_its_address_alone() {
        assert_eq!(LinkNo::of(""), LinkNo(-3_750_763_034_362_895_579));
        assert_eq!(LinkNo::of("a"), LinkNo(-5_808_556_873_153_909_620));
        assert_ne!(LinkNo::of("https://example.org/a"), LinkNo::of("https://example.org/b"));
    }
}
