//! Delivery status notifications (RFC 3464): what became of a mail, in the words of the server that had it.

use super::fields::{self, Group};
use super::names::values;
use mail_parser::Message;
use muster_domain::model::bounce::{BounceClass, EnhancedStatus};
use muster_domain::model::feedback::{Bounce, FeedbackKind};

/// So much of a human-readable text is searched for a code.
const SEARCHED: usize = 16 * 1024;

/// What the fields of a notification say. The first recipient that failed counts: our mails have one recipient, and more
/// appear only where that one is a list. `None` while nothing is final: delayed, relayed, expanded.
pub(super) fn read(groups: &[Group]) -> Option<FeedbackKind> {
    let verdicts: Vec<FeedbackKind> = groups.iter().filter_map(of_recipient).collect();
    let failed = verdicts.iter().find(|verdict| matches!(verdict, FeedbackKind::Bounced(_)));
    failed.or(verdicts.first()).copied()
}

fn of_recipient(group: &Group) -> Option<FeedbackKind> {
    let status = group.get("status").and_then(EnhancedStatus::find);
    let said = group.get("diagnostic-code").map(fields::untyped);
    match group.get("action").map(fields::keyword).as_deref() {
        Some("failed") => Some(bounced(status, said)),
        Some("delivered") => Some(FeedbackKind::Delivered),
        Some(_) => None,
        // Some servers leave it out.
        None => status.filter(|status| status.class == 5).map(|status| bounced(Some(status), said)),
    }
}

fn bounced(status: Option<EnhancedStatus>, said: Option<&str>) -> FeedbackKind {
    let class = BounceClass::of(status, said);
    let said = said.and_then(EnhancedStatus::find);
    // Shown to people: the one that says more.
    let status = status.filter(|status| status.subject != 0).or(said).or(status);
    FeedbackKind::Bounced(Bounce { class, status })
}

/// A bounce of a server that writes for people only, and marks it with `X-Failed-Recipients` (Exim).
pub(super) fn read_prose(message: &Message<'_>) -> Option<FeedbackKind> {
    values(message, "X-Failed-Recipients").next()?;
    let text = message.body_text(0).unwrap_or_default();
    let end = text.floor_char_boundary(SEARCHED);
    Some(bounced(None, Some(&text[..end])))
}
