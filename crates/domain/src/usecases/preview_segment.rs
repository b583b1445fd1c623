//! See whom rules would reach before they are stored.

use super::create_segment::{check_mails, parse_rules};
use crate::model::contact::Contact;
use crate::model::problem::FieldProblems;
use crate::ports::segments::Audience;
use crate::ports::store::{StoreError, Tx};
use serde_json::Value;

/// A sample has no more contacts than this.
pub const SAMPLE: u32 = 10;

/// Whom rules reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// How many.
    pub count: i64,
    /// The first of them, at most [`SAMPLE`].
    pub sample: Vec<Contact>,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum PreviewSegmentError {
    /// These are not rules.
    #[error("invalid rules")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts the contacts for whom `rules` hold and shows some of them.
pub async fn preview_segment(tx: &mut Tx, rules: &Value) -> Result<Preview, PreviewSegmentError> {
    let rule = parse_rules(rules).map_err(PreviewSegmentError::Invalid)?;
    let mut problems = FieldProblems::default();
    check_mails(tx, &rule, &mut problems).await?;
    problems.into_result().map_err(PreviewSegmentError::Invalid)?;
    let audience = Audience::Matching(rule);
    let count = tx.segments().count_members(&audience).await?;
    let sample = tx.segments().list_members(&audience, None, SAMPLE).await?;
    Ok(Preview { count, sample })
}
