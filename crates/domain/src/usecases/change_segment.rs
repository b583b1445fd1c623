//! Change a segment's name or rules.

use super::create_segment::{check_mails, define};
use crate::model::ids::SegmentId;
use crate::model::problem::FieldProblems;
use crate::model::segment::{MAX_NAME, Segment, SegmentDefinition};
use crate::model::text::check_line;
use crate::ports::store::{StoreError, Tx};
use serde_json::Value;

/// What is to be different; what is absent stays.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSegment {
    /// Which segment.
    pub id: SegmentId,
    /// Its new name.
    pub name: Option<String>,
    /// Its new rules; dynamic segments only. The kind stays as it was made.
    pub rules: Option<Value>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeSegmentError {
    /// There is no such segment in this workspace.
    #[error("no such segment")]
    NotFound,
    /// The command says something impossible.
    #[error("invalid segment")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a segment. Campaigns that are enrolling from it judge what they have not read yet by the new rules.
pub async fn change_segment(tx: &mut Tx, command: ChangeSegment) -> Result<Segment, ChangeSegmentError> {
    let Some(mut segment) = tx.segments().find_for_update(command.id).await? else {
        return Err(ChangeSegmentError::NotFound);
    };
    let mut problems = FieldProblems::default();
    if let Some(name) = &command.name {
        check_line(&mut problems, "/name", name.trim(), MAX_NAME);
        name.trim().clone_into(&mut segment.name);
    }
    if let Some(rules) = &command.rules
        && let Some(definition) = problems.keep("", define(segment.definition.kind(), Some(rules)))
    {
        if let SegmentDefinition::Dynamic(rule) = &definition {
            check_mails(tx, rule, &mut problems).await?;
        }
        segment.definition = definition;
    }
    problems.into_result().map_err(ChangeSegmentError::Invalid)?;
    segment.updated_at = tx.now().await?;
    tx.segments().save(&segment).await?;
    Ok(segment)
}
