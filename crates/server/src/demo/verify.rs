//! Whether what was caught is what should have been sent: every mail once, to the right person, in the right order.

use super::drip::{Contact, Letter};
use crate::catcher::{CaughtMail, Mailbox};
use crate::output::thousands;
use mail_parser::MessageParser;
use std::collections::HashMap;

/// What comparing came to.
pub(super) struct Verdict {
    /// What was found, for people.
    pub(super) found: String,
    /// What is wrong.
    pub(super) wrong: Vec<String>,
}

/// Compares what was caught with what each contact should have got.
pub(super) fn verify(audience: &[Contact], mailbox: &Mailbox) -> Verdict {
    let stats = mailbox.stats();
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
    let mut messages = mailbox.messages();
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
    Verdict { found: format!("{caught} mails caught, each once, in order, made out to the right person"), wrong }
}

/// The subject, and the first line of the text; blanks as one.
fn read(mail: &CaughtMail) -> Letter {
    let message = MessageParser::default().parse(&*mail.source);
    let text = message.as_ref().and_then(|message| message.body_text(0)).unwrap_or_default();
    Letter { subject: mail.subject.clone(), greeting: text.lines().next().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catcher::MailboxLimits;
    use serde_json::json;
    use std::time::SystemTime;

    fn ada() -> Vec<Contact> {
        vec![serde_json::from_value(json!({"email": "Ada@example.test", "firstName": "Ada", "city": "Bonn"})).unwrap()]
    }

    /// A mailbox with these mails to Ada, each under an id of its own.
    fn caught(letters: &[Letter]) -> Mailbox {
        let mailbox = Mailbox::new(MailboxLimits::default());
        for (number, Letter { subject, greeting }) in letters.iter().enumerate() {
            let source = format!("Subject: {subject}\r\nMessage-ID: <{number}@x>\r\n\r\n{greeting}\r\n").into_bytes();
            let (size, to) = (source.len() as u64, vec!["ada@example.test".to_owned()]);
            mailbox.store(SystemTime::UNIX_EPOCH, String::new(), to, source.into_boxed_slice(), size);
        }
        mailbox
    }

    fn wrong(letters: &[Letter]) -> usize {
        verify(&ada(), &caught(letters)).wrong.len()
    }

    #[test]
    fn what_should_have_come_is_right_and_nothing_else_is() {
        let right = ada()[0].letters();
        assert_eq!(wrong(&right), 0);

        let mut swapped = right.clone();
        swapped.swap(1, 2);
        assert_eq!(wrong(&swapped), 1, "out of order");
        let mut misled = right.clone();
        misled[0].greeting = "Hello Bob in Bonn,".to_owned();
        assert_eq!(wrong(&misled), 1, "somebody else's name");
        assert_eq!(wrong(&right[..2]), 2, "one is missing");
        assert_eq!(wrong(&[&right[..], &right[2..]].concat()), 2, "one came twice");
    }

    #[test]
    fn mail_to_a_stranger_is_wrong() {
        let mailbox = caught(&ada()[0].letters());
        mailbox.store(SystemTime::UNIX_EPOCH, String::new(), vec!["eve@example.test".to_owned()], Box::default(), 0);
        let verdict = verify(&ada(), &mailbox);
        assert!(verdict.wrong.iter().any(|what| what.contains("nobody should have sent")), "{:?}", verdict.wrong);
    }
}
