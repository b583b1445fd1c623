//! Whether what was caught is what should have been sent: every mail once, to the right person, in the right order.

use super::drip::{Contact, Letter};
use crate::catcher::{Catcher, CaughtMail};
use crate::output::thousands;
use mail_parser::MessageParser;
use std::collections::HashMap;

/// Of what is wrong, no more than this is told.
const TOLD_AT_MOST: usize = 10;

/// What comparing came to.
pub(super) struct Verdict {
    /// What was found, for people.
    pub(super) found: String,
    /// What is wrong.
    pub(super) wrong: Vec<String>,
}

/// Compares what was caught with what each contact should have got.
pub(super) fn verify(audience: &[Contact], catcher: &Catcher) -> Verdict {
    let stats = catcher.stats();
    let expected = audience.len() as u64 * 3;
    let mut wrong = Vec::new();
    if stats.received != expected {
        wrong.push(format!("{} mails were caught instead of {}", thousands(stats.received), thousands(expected)));
    }
    if stats.duplicates > 0 {
        wrong.push(format!("{} mails came twice", thousands(stats.duplicates)));
    }
    let caught = thousands(stats.received);
    if stats.stored < stats.received {
        let found = format!("{caught} mails caught, none twice; too many to look into each");
        return Verdict { found, wrong };
    }
    let mut messages = catcher.messages();
    messages.sort_by_key(|mail| mail.number);
    let mut caught_by: HashMap<String, Vec<Letter>> = HashMap::new();
    for mail in &messages {
        let recipient = mail.recipients.first().map(|address| address.to_lowercase()).unwrap_or_default();
        caught_by.entry(recipient).or_default().push(read(mail));
    }
    let mut misled = 0;
    for contact in audience {
        let got = caught_by.remove(&contact.email.to_lowercase()).unwrap_or_default();
        if got != contact.letters() {
            misled += 1;
        }
    }
    if misled > 0 {
        wrong.push(format!("{} contacts did not get their three mails, right and in order", thousands(misled)));
    }
    if !caught_by.is_empty() {
        wrong.push(format!("{} addresses got mail that nobody should have sent", caught_by.len()));
    }
    wrong.truncate(TOLD_AT_MOST);
    Verdict { found: format!("{caught} mails caught, each once, in order, made out to the right person"), wrong }
}

/// The subject, and the first line of the text; blanks as one.
fn read(mail: &CaughtMail) -> Letter {
    let message = MessageParser::default().parse(&*mail.source);
    let text = message.as_ref().and_then(|message| message.body_text(0)).unwrap_or_default();
    Letter { subject: mail.subject.clone(), greeting: text.lines().next().unwrap_or_default().to_owned() }
}
