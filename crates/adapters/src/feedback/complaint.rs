//! Complaints in the abuse reporting format (RFC 5965): the recipient called the mail spam.

use super::fields::{self, Group};
use muster_domain::model::feedback::FeedbackKind;

/// What the fields of a feedback report say. `None` for what is no complaint of a recipient: a failed authentication
/// (RFC 6591), a virus, a mail that was called spam by mistake (RFC 6430).
pub(super) fn read(groups: &[Group]) -> Option<FeedbackKind> {
    let kind = groups.iter().find_map(|group| group.get("feedback-type")).map(fields::keyword)?;
    matches!(kind.as_str(), "abuse" | "fraud" | "opt-out" | "opt-out-list").then_some(FeedbackKind::Complained)
}
