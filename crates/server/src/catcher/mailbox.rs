//! What was caught: the newest messages in bounded memory, and counts of all.

use super::content;
use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Message-IDs remembered to tell duplicates; 16 bytes each, plus the set's slack.
const REMEMBERED_IDS: usize = 2_000_000;

/// How much a mailbox keeps. Older messages make room for newer ones; counts go on.
#[derive(Debug, Clone, Copy)]
pub struct MailboxLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of all of them together, headers of the mailbox's own included.
    pub bytes: usize,
    /// Bytes of one message; the rest is counted and dropped.
    pub bytes_of_one: usize,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self { messages: 20_000, bytes: 192 * 1024 * 1024, bytes_of_one: 128 * 1024 }
    }
}

/// One caught message. Deliberately without `Debug`: it is all personal data.
pub struct CaughtMail {
    /// Its number, from 1, never given twice.
    pub number: u64,
    /// When the final dot was read, by this machine's clock.
    pub received_at: SystemTime,
    /// `MAIL FROM`, empty for a bounce.
    pub sender: String,
    /// `RCPT TO`, in order.
    pub recipients: Vec<String>,
    /// The decoded subject.
    pub subject: String,
    /// `Message-ID` without angle brackets.
    pub message_id: Option<String>,
    /// Bytes of the whole message, as sent and after unstuffing.
    pub size: u64,
    /// Headers and body; only the beginning when [`CaughtMail::is_truncated`].
    pub source: Box<[u8]>,
}

impl CaughtMail {
    /// Whether the message was longer than what is kept of one.
    pub fn is_truncated(&self) -> bool {
        (self.source.len() as u64) < self.size
    }

    fn weight(&self) -> usize {
        let words: usize = self.recipients.iter().map(|recipient| recipient.len() + size_of::<String>()).sum();
        let id = self.message_id.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.source.len() + self.subject.len() + self.sender.len() + words + id
    }
}

/// Counts since the start, or since the mailbox was last cleared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct MailboxStats {
    /// Messages accepted.
    pub received: u64,
    /// Messages still kept.
    pub stored: u64,
    /// Messages accepted whose Message-ID had been accepted before (among the newest two million).
    pub duplicates: u64,
}

/// What to look for; nothing given finds everything. Texts are found anywhere, without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// In the recipient's address or the subject.
    pub either: Option<String>,
    /// In a recipient's address.
    pub to: Option<String>,
    /// In the subject.
    pub subject: Option<String>,
    /// The whole Message-ID, with or without angle brackets.
    pub message_id: Option<String>,
    /// How many of the newest to pass over.
    pub offset: usize,
    /// How many to return.
    pub limit: usize,
}

/// A page of what was found, newest first.
pub struct Found {
    /// The page.
    pub mails: Vec<Arc<CaughtMail>>,
    /// How many there are on all pages.
    pub total: usize,
}

/// The messages, shared by the SMTP sessions that fill it and the pages that show it.
pub struct Mailbox {
    limits: MailboxLimits,
    hasher: RandomState,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first.
    mails: VecDeque<Arc<CaughtMail>>,
    bytes: usize,
    last_number: u64,
    stats: MailboxStats,
    ids: HashSet<u64>,
    ids_by_age: VecDeque<u64>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(limits: MailboxLimits) -> Self {
        Self { limits, hasher: RandomState::new(), kept: Mutex::default() }
    }

    /// What it keeps at most.
    pub const fn limits(&self) -> MailboxLimits {
        self.limits
    }

    /// Adds a message and gives its number. `source` is the message's beginning, `size` the bytes of the whole.
    pub fn store(
        &self,
        received_at: SystemTime,
        sender: String,
        recipients: Vec<String>,
        source: Box<[u8]>,
        size: u64,
    ) -> u64 {
        let summary = content::summary(&source);
        let id = summary.message_id.as_ref().map(|id| self.hasher.hash_one(id));
        let mut mail = CaughtMail {
            number: 0,
            received_at,
            sender,
            recipients,
            subject: summary.subject,
            message_id: summary.message_id,
            size,
            source,
        };

        let mut kept = self.lock();
        kept.last_number += 1;
        mail.number = kept.last_number;
        kept.stats.received += 1;
        if id.is_some_and(|id| kept.seen_before(id)) {
            kept.stats.duplicates += 1;
        }
        kept.bytes += mail.weight();
        kept.mails.push_back(Arc::new(mail));
        while kept.mails.len() > self.limits.messages || (kept.bytes > self.limits.bytes && kept.mails.len() > 1) {
            if let Some(oldest) = kept.mails.pop_front() {
                kept.bytes -= oldest.weight();
            }
        }
        kept.last_number
    }

    /// Everything kept, newest first.
    pub fn messages(&self) -> Vec<Arc<CaughtMail>> {
        self.lock().mails.iter().rev().cloned().collect()
    }

    /// The message with this number, unless it was never there or had to make room.
    pub fn message(&self, number: u64) -> Option<Arc<CaughtMail>> {
        let kept = self.lock();
        let at = kept.mails.binary_search_by_key(&number, |mail| mail.number).ok()?;
        kept.mails.get(at).cloned()
    }

    /// What matches, newest first. Sessions are held up only while the list is copied, not while it is searched.
    pub fn search(&self, search: &Search) -> Found {
        let search = search.lowered();
        let matching = |mail: &Arc<CaughtMail>| search.matches(mail);
        let mut mails: Vec<_> = self.messages().into_iter().filter(matching).collect();
        let total = mails.len();
        mails.drain(..search.offset.min(total));
        mails.truncate(search.limit);
        Found { mails, total }
    }

    /// Counts so far.
    pub fn stats(&self) -> MailboxStats {
        let kept = self.lock();
        MailboxStats { stored: kept.mails.len() as u64, ..kept.stats }
    }

    /// Forgets all messages and starts the counts again. Numbers go on, so that no link shows another message.
    pub fn clear(&self) {
        let mut kept = self.lock();
        let last_number = kept.last_number;
        *kept = Kept { last_number, ..Kept::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn seen_before(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return true;
        }
        self.ids_by_age.push_back(id);
        if self.ids_by_age.len() > REMEMBERED_IDS
            && let Some(oldest) = self.ids_by_age.pop_front()
        {
            self.ids.remove(&oldest);
        }
        false
    }
}

impl Search {
    fn lowered(&self) -> Self {
        let lower = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_lowercase)
        };
        let message_id = self.message_id.as_deref().map(|id| id.trim().trim_matches(['<', '>']).to_owned());
        Self { either: lower(&self.either), to: lower(&self.to), subject: lower(&self.subject), message_id, ..*self }
    }

    fn matches(&self, mail: &CaughtMail) -> bool {
        let to =
            |text: &String| mail.recipients.iter().any(|recipient| recipient.to_lowercase().contains(text.as_str()));
        let subject = |text: &String| mail.subject.to_lowercase().contains(text.as_str());
        self.either.as_ref().is_none_or(|text| to(text) || subject(text))
            && self.to.as_ref().is_none_or(to)
            && self.subject.as_ref().is_none_or(subject)
            && self.message_id.as_ref().is_none_or(|id| mail.message_id.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::{Mailbox, MailboxLimits, MailboxStats, Search};
    use std::time::SystemTime;

    fn store(mailbox: &Mailbox, to: &str, subject: &str, id: &str) -> u64 {
        let source = format!("Subject: {subject}\r\nMessage-ID: <{id}>\r\n\r\nHello\r\n").into_bytes();
        let size = source.len() as u64;
        let to = vec![to.to_owned()];
        mailbox.store(SystemTime::UNIX_EPOCH, "news@example.test".to_owned(), to, source.into_boxed_slice(), size)
    }

    fn mailbox() -> Mailbox {
        Mailbox::new(MailboxLimits::default())
    }

    #[test]
    fn the_oldest_make_room_and_counts_go_on() {
        let mailbox = Mailbox::new(MailboxLimits { messages: 3, ..MailboxLimits::default() });
        for n in 1..=5 {
            assert_eq!(store(&mailbox, "a@b.test", "Hi", &format!("{n}@x")), n);
        }
        assert_eq!(mailbox.stats(), MailboxStats { received: 5, stored: 3, duplicates: 0 });
        assert_eq!(mailbox.messages().iter().map(|mail| mail.number).collect::<Vec<_>>(), [5, 4, 3]);
        assert!(mailbox.message(2).is_none());
        assert_eq!(mailbox.message(4).map(|mail| mail.number), Some(4));
    }

    #[test]
    fn memory_is_bounded_by_bytes_too() {
        let mailbox = Mailbox::new(MailboxLimits { bytes: 10_000, ..MailboxLimits::default() });
        for n in 0..200 {
            store(&mailbox, "a@b.test", &"long ".repeat(60), &format!("{n}@x"));
        }
        let stored = mailbox.stats().stored;
        assert!((2..40).contains(&stored), "{stored}");
    }

    #[test]
    fn a_message_id_accepted_again_is_a_duplicate() {
        let mailbox = mailbox();
        for id in ["1@x", "2@x", "1@x", "1@x"] {
            store(&mailbox, "a@b.test", "Hi", id);
        }
        assert_eq!(mailbox.stats().duplicates, 2);
    }

    #[test]
    fn clearing_starts_the_counts_again_but_not_the_numbers() {
        let mailbox = mailbox();
        store(&mailbox, "a@b.test", "Hi", "1@x");
        mailbox.clear();
        assert_eq!(mailbox.stats(), MailboxStats::default());
        assert_eq!(store(&mailbox, "a@b.test", "Hi", "1@x"), 2);
        assert_eq!(mailbox.stats().duplicates, 0);
    }

    #[test]
    fn search_combines_filters_and_pages() {
        let mailbox = mailbox();
        for n in 0..10 {
            store(&mailbox, &format!("Reader{n}@example.test"), &format!("Issue {n}"), &format!("{n}@x"));
        }
        let total = |search: Search| mailbox.search(&Search { limit: 100, ..search }).total;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(total(Search::default()), 10);
        assert_eq!(total(Search { to: text("READER3"), ..Search::default() }), 1);
        assert_eq!(total(Search { either: text("issue"), ..Search::default() }), 10);
        assert_eq!(total(Search { either: text("reader7@"), ..Search::default() }), 1);
        assert_eq!(total(Search { to: text("reader3"), subject: text("Issue 4"), ..Search::default() }), 0);
        assert_eq!(total(Search { message_id: text("<4@x>"), ..Search::default() }), 1);
        assert_eq!(total(Search { message_id: text("4"), ..Search::default() }), 0);
        let page = mailbox.search(&Search { offset: 8, limit: 5, ..Search::default() });
        assert_eq!((page.mails.len(), page.total, page.mails[0].number), (2, 10, 2));
    }
}
