//! What conditions name in the sequence that they stand in: its steps by key or id, before the new ones have an id.

use super::step_input::StepInput;
use crate::model::field::Field;
use crate::model::ids::{CampaignId, StepId};
use crate::model::problem::FieldProblems;
use crate::model::rules::{Mails, Rule, check_type, each_mail, id};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the conditions of a sequence name by ids.
pub fn named_by(inputs: &[StepInput]) -> Mails {
    let rules = inputs.iter().filter_map(|input| match &input.condition_rules {
        Field::Value(rules) => Some(Mails::named_in(rules)),
        Field::Absent | Field::Null => None,
    });
    rules.fold(Mails::default(), |mut all, one| {
        all.campaigns.extend(one.campaigns);
        all.steps.extend(one.steps);
        all
    })
}

/// A sequence that is being written.
pub struct Own<'a> {
    /// Whose it is.
    pub campaign: CampaignId,
    /// Whether steps that are taken out of it stay known.
    pub keeps: bool,
    /// The places of its steps, by id and by key.
    pub names: &'a BTreeMap<String, usize>,
    /// Its steps.
    pub inputs: &'a [StepInput],
    /// What the workspace has of what is named.
    pub known: &'a Mails,
}

impl Own<'_> {
    /// The step with what its condition names by key or id among these steps replaced by a stand-in for the place, for
    /// [`settle`]; notes what names no mail.
    pub fn named(&self, input: &StepInput, problems: &mut FieldProblems) -> StepInput {
        let mut input = input.clone();
        if let Field::Value(rules) = &mut input.condition_rules {
            each_mail(rules, &mut |pointer, which| self.name(&format!("/conditionRules{pointer}"), which, problems));
        }
        input
    }

    fn name(&self, pointer: &str, which: &mut Map<String, Value>, problems: &mut FieldProblems) {
        let campaign = id(which, "campaignId").map(CampaignId);
        let own = campaign.is_none_or(|id| id == self.campaign) && which.get("campaignId").is_none_or(Value::is_string);
        let place = which.get("stepId").and_then(Value::as_str).filter(|_| own).and_then(|name| self.place(name));
        if let Some(place) = place {
            if let Some(step_type) = self.inputs.get(place).and_then(|input| input.step_type) {
                check_type(format!("{pointer}/stepId"), step_type, problems);
            }
            which.insert("stepId".to_owned(), stand_in(place).to_string().into());
            return;
        }
        if own && which.get("stepId").and_then(Value::as_str).is_some_and(|name| Uuid::parse_str(name).is_err()) {
            problems.add(
                format!("{pointer}/stepId"),
                "unknown_step",
                "the id of a step, or the key of one in this request",
            );
            which.remove("stepId");
            return;
        }
        let Some(step) = self.known.checked_campaign(pointer, which, problems) else { return };
        let of = self.known.steps.get(&step).copied().flatten().map(|(campaign, _)| campaign);
        if of == Some(self.campaign) && !self.keeps {
            problems.add(format!("{pointer}/stepId"), "unknown_step", "the step is not in the sequence");
        } else {
            self.known.check_elsewhere(pointer, step, which, problems);
        }
    }

    /// Ids are read without regard to case.
    fn place(&self, name: &str) -> Option<usize> {
        self.names.get(name).or_else(|| self.names.get(&name.to_lowercase())).copied()
    }
}

/// Puts the ids of steps, in their order, in the places of their stand-ins.
pub fn settle(rule: &mut Rule, ids: &[StepId]) {
    rule.redirect(&|which| {
        let meant = id(which, "stepId").and_then(|id| (0..ids.len()).find(|place| stand_in(*place) == id));
        if let Some(id) = meant.and_then(|place| ids.get(place)) {
            which.insert("stepId".to_owned(), id.to_string().into());
        }
    });
}

/// What stands for the step at a place until it has an id. No step has such a one.
fn stand_in(place: usize) -> Uuid {
    Uuid::from_u64_pair(u64::MAX, u64::try_from(place).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rules::mails_tests::{OTHER, OURS, codes, known, opened, step};
    use crate::model::sequence::StepType;
    use serde_json::json;

    /// A sequence of a mail, `first`, known as step 40, and the condition that is asked.
    fn asked(which: &Value, keeps: bool) -> (Value, Vec<(String, String)>) {
        let mail = StepInput {
            key: Some("first".into()),
            id: Some(step(40)),
            step_type: Some(StepType::Email),
            ..StepInput::default()
        };
        let condition = StepInput {
            key: Some("ask".into()),
            step_type: Some(StepType::Condition),
            condition_rules: Field::Value(opened(which)),
            ..StepInput::default()
        };
        let names = [("first".to_owned(), 0), (step(40).to_string(), 0), ("ask".to_owned(), 1)].into();
        let inputs = [mail, condition];
        let own = Own { campaign: OURS, keeps, names: &names, inputs: &inputs, known: &known() };
        let mut problems = FieldProblems::default();
        let named = own.named(&inputs[1], &mut problems);
        let Field::Value(rules) = named.condition_rules else { panic!("no rules") };
        let which = rules.pointer("/all/0/not/value").unwrap().clone();
        if let Ok(mut rule) = Rule::parse(&rules) {
            settle(&mut rule, &[step(41), step(42)]);
            let settled = serde_json::to_value(rule).unwrap().pointer("/all/0/not/value").unwrap().clone();
            return (settled, codes(problems));
        }
        (which, codes(problems))
    }

    #[test]
    fn a_condition_names_steps_of_its_request_by_key_or_id() {
        for name in ["first".to_owned(), step(40).to_string(), step(40).to_string().to_uppercase()] {
            assert_eq!(
                asked(&json!({"stepId": name, "withinDays": 3}), false),
                (json!({"stepId": step(41).0, "withinDays": 3}), vec![])
            );
            let own = json!({"campaignId": OURS.0, "stepId": name});
            assert_eq!(asked(&own, false).0["stepId"], json!(step(41).0));
        }
    }

    #[test]
    fn a_condition_that_names_no_mail_is_refused() {
        for (which, keeps, field, code) in [
            (json!({"stepId": "secnod"}), true, "stepId", "unknown_step"),
            (json!({"stepId": "ask"}), true, "stepId", "not_an_email"),
            (json!({"stepId": step(30).0}), true, "stepId", "unknown_step"),
            (json!({"stepId": step(10).0}), false, "stepId", "unknown_step"),
            (json!({"stepId": step(10).0}), true, "", ""),
            (json!({"stepId": step(20).0}), false, "", ""),
            (json!({"campaignId": OURS.0, "stepId": step(20).0}), true, "stepId", "unknown_step"),
            (json!({"campaignId": OTHER.0, "stepId": step(21).0}), true, "stepId", "not_an_email"),
            (json!({"campaignId": OTHER.0, "stepId": step(40).0}), true, "stepId", "unknown_step"),
            (json!({"campaignId": Uuid::from_u128(3), "stepId": step(20).0}), true, "campaignId", "unknown_campaign"),
        ] {
            let expected =
                (!code.is_empty()).then(|| (format!("/conditionRules/all/0/not/value/{field}"), code.to_owned()));
            assert_eq!(asked(&which, keeps).1, Vec::from_iter(expected), "{which}");
        }
        // Keys are of this request: of another campaign's steps there are only ids, and what is none is told by the rule.
        let (kept, problems) = asked(&json!({"campaignId": OTHER.0, "stepId": "first"}), true);
        assert_eq!((kept["stepId"].clone(), problems), (json!("first"), vec![]));
    }
}
