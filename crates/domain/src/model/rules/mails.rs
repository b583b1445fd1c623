//! Of which mails rules speak, and that there are such mails: a rule that names one nobody can get would hold for nobody and
//! say nothing. It is refused instead.

use super::Did;
use crate::model::ids::{CampaignId, StepId};
use crate::model::problem::FieldProblems;
use crate::model::sequence::StepType;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Calls `visit` with each object in `json` that narrows down what a contact did, and the pointer to it. Whether `json` is
/// a rule at all is for [`Rule::parse`](super::Rule::parse) to say.
pub fn each_mail(json: &mut Value, visit: &mut dyn FnMut(&str, &mut Map<String, Value>)) {
    walk("", json, visit);
}

fn walk(pointer: &str, json: &mut Value, visit: &mut dyn FnMut(&str, &mut Map<String, Value>)) {
    let Value::Object(rule) = json else { return };
    for key in ["all", "any"] {
        if let Some(Value::Array(rules)) = rule.get_mut(key) {
            for (n, rule) in rules.iter_mut().enumerate() {
                walk(&format!("{pointer}/{key}/{n}"), rule, visit);
            }
        }
    }
    if let Some(not) = rule.get_mut("not") {
        walk(&format!("{pointer}/not"), not, visit);
    }
    let did = rule.get("field").and_then(Value::as_str).and_then(Did::parse);
    if let (Some(_), Some(Value::Object(which))) = (did, rule.get_mut("value")) {
        visit(&format!("{pointer}/value"), which);
    }
}

/// Campaigns and steps that are named, or those of them that a workspace has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mails {
    /// Campaigns.
    pub campaigns: BTreeSet<CampaignId>,
    /// Steps, each with its campaign and type where they are known.
    pub steps: BTreeMap<StepId, Option<(CampaignId, StepType)>>,
}

impl Mails {
    /// What `json`, a rule as sent, names by ids.
    pub fn named_in(json: &Value) -> Self {
        let mut named = Self::default();
        each_mail(&mut json.clone(), &mut |_, which| {
            named.campaigns.extend(id(which, "campaignId").map(CampaignId));
            named.steps.extend(id(which, "stepId").map(|id| (StepId(id), None)));
        });
        named
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.campaigns.is_empty() && self.steps.is_empty()
    }

    /// Notes what the rule of a segment names and this workspace does not have.
    pub fn check(&self, rule: &Value, problems: &mut FieldProblems) {
        each_mail(&mut rule.clone(), &mut |pointer, which| {
            if let Some(step) = self.checked_campaign(pointer, which, problems) {
                self.check_elsewhere(pointer, step, which, problems);
            }
        });
    }

    /// The step that is named, when the campaign that is named is there.
    pub(crate) fn checked_campaign(
        &self,
        pointer: &str,
        which: &Map<String, Value>,
        problems: &mut FieldProblems,
    ) -> Option<StepId> {
        if id(which, "campaignId").is_some_and(|id| !self.campaigns.contains(&CampaignId(id))) {
            problems.add(format!("{pointer}/campaignId"), "unknown_campaign", "there is no such campaign");
            return None;
        }
        id(which, "stepId").map(StepId)
    }

    pub(crate) fn check_elsewhere(
        &self,
        pointer: &str,
        step: StepId,
        which: &Map<String, Value>,
        problems: &mut FieldProblems,
    ) {
        let named = id(which, "campaignId").map(CampaignId);
        let pointer = format!("{pointer}/stepId");
        match self.steps.get(&step).copied().flatten() {
            Some((campaign, _)) if named.is_some_and(|named| named != campaign) => {
                problems.add(pointer, "unknown_step", "the campaign has no such step");
            }
            Some((_, step_type)) => check_type(pointer, step_type, problems),
            None => problems.add(pointer, "unknown_step", "there is no such step"),
        }
    }
}

/// Nobody gets a mail from any other step.
pub(crate) fn check_type(pointer: String, step_type: StepType, problems: &mut FieldProblems) {
    if step_type != StepType::Email {
        problems.add(pointer, "not_an_email", "the step sends no mail");
    }
}

/// The id that is named, if it is one.
pub(crate) fn id(which: &Map<String, Value>, field: &str) -> Option<Uuid> {
    which.get(field)?.as_str().and_then(|text| Uuid::parse_str(text).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) const OURS: CampaignId = CampaignId(Uuid::from_u128(1));
    pub(crate) const OTHER: CampaignId = CampaignId(Uuid::from_u128(2));

    pub(crate) fn step(no: u128) -> StepId {
        StepId(Uuid::from_u128(no))
    }

    /// Step 10 is a mail of ours that was taken out, 20 a mail and 21 a wait of another campaign.
    pub(crate) fn known() -> Mails {
        let steps = [(10, OURS, StepType::Email), (20, OTHER, StepType::Email), (21, OTHER, StepType::Wait)];
        Mails {
            campaigns: [OURS, OTHER].into(),
            steps: steps.map(|(no, campaign, of)| (step(no), Some((campaign, of)))).into(),
        }
    }

    pub(crate) fn opened(which: &Value) -> Value {
        json!({"all": [{"not": {"field": "opened", "op": "eq", "value": which}}]})
    }

    pub(crate) fn codes(problems: FieldProblems) -> Vec<(String, String)> {
        problems.0.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn a_segment_names_what_is_there() {
        for (which, field, code) in [
            (json!({"campaignId": OTHER.0}), "", ""),
            (json!({"stepId": step(20).0}), "", ""),
            (json!({"campaignId": OTHER.0, "stepId": step(20).0}), "", ""),
            (json!({"campaignId": Uuid::from_u128(3)}), "campaignId", "unknown_campaign"),
            (json!({"stepId": step(30).0}), "stepId", "unknown_step"),
            (json!({"campaignId": OURS.0, "stepId": step(20).0}), "stepId", "unknown_step"),
            (json!({"campaignId": OTHER.0, "stepId": step(21).0}), "stepId", "not_an_email"),
        ] {
            let mut problems = FieldProblems::default();
            known().check(&opened(&which), &mut problems);
            let expected = (!code.is_empty()).then(|| (format!("/all/0/not/value/{field}"), code.to_owned()));
            assert_eq!(codes(problems), Vec::from_iter(expected), "{which}");
        }
    }

    #[test]
    fn what_is_named_is_found_wherever_it_stands() {
        let rule = json!({"any": [opened(&json!({"campaignId": OTHER.0})), opened(&json!({"stepId": step(20).0})),
            {"field": "city", "op": "eq", "value": {"stepId": step(21).0}}, {"field": "opened", "op": "eq", "value": {"stepId": "key"}}]});
        let named = Mails::named_in(&rule);
        assert_eq!((named.campaigns, named.steps), ([OTHER].into(), [(step(20), None)].into()));
        assert!(Mails::named_in(&json!({"field": "opened", "op": "eq", "value": true})).is_empty());
    }
}
