//! Make a segment.

use super::replace_steps::known_mails;
use crate::model::problem::FieldProblems;
use crate::model::rules::{Mails, Rule};
use crate::model::segment::{MAX_NAME, Segment, SegmentDefinition, SegmentKind};
use crate::model::text::check_line;
use crate::ports::store::{StoreError, StoreResult, Tx};
use serde_json::Value;

/// What the segment is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSegment {
    /// Its name, 1 to [`MAX_NAME`] characters.
    pub name: String,
    /// How it knows its members.
    pub kind: SegmentKind,
    /// Its rules; needed by a dynamic segment and by no other.
    pub rules: Option<Value>,
}

/// Why no segment was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateSegmentError {
    /// The command says something impossible.
    #[error("invalid segment")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a segment; a static one begins without members.
pub async fn create_segment(tx: &mut Tx, command: CreateSegment) -> Result<Segment, CreateSegmentError> {
    let mut problems = FieldProblems::default();
    let name = command.name.trim();
    check_line(&mut problems, "/name", name, MAX_NAME);
    let definition = problems.keep("", define(command.kind, command.rules.as_ref()));
    if let Some(SegmentDefinition::Dynamic(rule)) = &definition {
        check_mails(tx, rule, &mut problems).await?;
    }
    let definition = match (definition, problems.into_result()) {
        (Some(definition), Ok(())) => definition,
        (_, checked) => return Err(CreateSegmentError::Invalid(checked.err().unwrap_or_default())),
    };
    let now = tx.now().await?;
    Ok(tx.segments().insert(name, &definition, now).await?)
}

/// What rules mean for a segment of that kind.
pub(super) fn define(kind: SegmentKind, rules: Option<&Value>) -> Result<SegmentDefinition, FieldProblems> {
    match (kind, rules) {
        (SegmentKind::Static, None) => Ok(SegmentDefinition::Static),
        (SegmentKind::Static, Some(_)) => {
            Err(FieldProblems::one("/rules", "not_applicable", "a static segment has a list, not rules"))
        }
        (SegmentKind::Dynamic, None) => Err(FieldProblems::one("/rules", "required", "a dynamic segment needs rules")),
        (SegmentKind::Dynamic, Some(rules)) => parse_rules(rules).map(SegmentDefinition::Dynamic),
    }
}

/// The rules of a request, problems pointing below `/rules`.
pub(super) fn parse_rules(rules: &Value) -> Result<Rule, FieldProblems> {
    let mut problems = FieldProblems::default();
    let parsed = problems.keep("/rules", Rule::parse(rules));
    parsed.ok_or(problems)
}

/// Notes what rules name of campaigns and steps that this workspace does not have.
pub(super) async fn check_mails(tx: &mut Tx, rule: &Rule, problems: &mut FieldProblems) -> StoreResult<()> {
    let rules = serde_json::to_value(rule).unwrap_or_default();
    let known = known_mails(tx, Mails::named_in(&rules)).await?;
    let mut own = FieldProblems::default();
    known.check(&rules, &mut own);
    problems.extend_under("/rules", own);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(kind: SegmentKind, rules: Option<&Value>) -> Vec<(String, String)> {
        let problems = define(kind, rules).unwrap_err();
        problems.0.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn rules_belong_to_dynamic_segments_alone() {
        let rules = json!({"field": "tags", "op": "contains", "value": "vip"});
        assert_eq!(codes(SegmentKind::Static, Some(&rules)), [("/rules".into(), "not_applicable".into())]);
        assert_eq!(codes(SegmentKind::Dynamic, None), [("/rules".into(), "required".into())]);
        assert_eq!(define(SegmentKind::Dynamic, Some(&rules)).unwrap().kind(), SegmentKind::Dynamic);
    }

    #[test]
    fn a_flaw_in_the_rules_is_named_below_them() {
        let rules = json!({"any": [{"field": "shoeSize", "op": "eq", "value": 1}]});
        assert_eq!(codes(SegmentKind::Dynamic, Some(&rules)), [("/rules/any/0/field".into(), "unknown_field".into())]);
    }
}
