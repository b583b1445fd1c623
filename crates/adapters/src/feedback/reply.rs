//! Telling a reply that somebody wrote from what programs answer (RFC 3834).

use super::fields::keyword;
use super::names::values;
use mail_parser::Message;
use muster_domain::model::feedback::FeedbackKind;

/// Headers that only programs set on what they answer.
const ANSWERING: [&str; 3] = ["X-Autoreply", "X-Autorespond", "X-Auto-Reply"];

/// A reply, by a person or a program. `None` for mail of lists and daemons, which answers nobody.
pub(super) fn read(message: &Message<'_>) -> Option<FeedbackKind> {
    (!answers_nobody(message)).then(|| FeedbackKind::Replied { by_program: is_automatic(message) })
}

fn answers_nobody(message: &Message<'_>) -> bool {
    let from_daemon = values(message, "From").any(|from| {
        let from = from.to_ascii_lowercase();
        from.contains("mailer-daemon@") || from.contains("postmaster@")
    });
    from_daemon || values(message, "List-Id").next().is_some()
}

fn is_automatic(message: &Message<'_>) -> bool {
    let submitted = values(message, "Auto-Submitted").map(keyword).any(|how| how != "no");
    let precedence = ["bulk", "junk", "list", "auto-reply", "auto"];
    let in_bulk = values(message, "Precedence").map(keyword).any(|how| precedence.contains(&how.as_str()));
    let to_nobody = values(message, "Return-Path").any(|path| path == "<>");
    submitted || in_bulk || to_nobody || ANSWERING.iter().any(|mark| values(message, mark).next().is_some())
}
