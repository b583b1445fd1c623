//! Asking what a contact did with the mails that it got.

use super::Op;
use crate::model::events::EventKind;
use crate::model::ids::{CampaignId, LinkNo, StepId};
use crate::model::problem::FieldProblems;
use serde_json::Value;
use std::fmt::Write;
use uuid::Uuid;

/// A period is no longer than this, in days.
pub const MAX_DAYS: i32 = 3_650;

/// What a contact did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Did {
    /// Got a mail.
    Received,
    /// Opened one.
    Opened,
    /// Followed a link.
    Clicked,
    /// Answered one.
    Replied,
}

impl Did {
    /// Everything that can be asked for.
    pub const ALL: [Did; 4] = [Did::Received, Did::Opened, Did::Clicked, Did::Replied];

    /// As written in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Did::Received => "received",
            Did::Opened => "opened",
            Did::Clicked => "clicked",
            Did::Replied => "replied",
        }
    }

    /// The field of that name.
    pub fn parse(name: &str) -> Option<Did> {
        Self::ALL.into_iter().find(|did| did.as_str() == name)
    }

    /// The events that tell of it; getting a mail is none.
    pub fn event(self) -> Option<EventKind> {
        match self {
            Did::Received => None,
            Did::Opened => Some(EventKind::Opened),
            Did::Clicked => Some(EventKind::Clicked),
            Did::Replied => Some(EventKind::Replied),
        }
    }
}

/// A question: did the contact, as a person, do this, with a mail of that campaign or step, within that time?
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Engaged {
    /// What.
    pub did: Did,
    /// With a mail of this campaign. Without one: in a condition of the campaign that it stands in, in a segment of any.
    pub campaign: Option<CampaignId>,
    /// With a mail of this step.
    pub step: Option<StepId>,
    /// Following this very link.
    pub link: Option<LinkNo>,
    /// No longer ago than so many days.
    pub within_days: Option<i32>,
}

impl Engaged {
    /// Reads `value` for `eq`, `ne` and `exists`; whether the answer is to be yes comes with the question.
    pub(super) fn read(did: Did, op: Op, value: &Value) -> Result<(Self, bool), FieldProblems> {
        let any = Self { did, campaign: None, step: None, link: None, within_days: None };
        match (op, value) {
            (Op::Eq | Op::Exists, Value::Bool(yes)) => Ok((any, *yes)),
            (Op::Ne, Value::Bool(yes)) => Ok((any, !yes)),
            (Op::Eq | Op::Ne, Value::Object(_)) => Ok((any.narrowed(value)?, op == Op::Eq)),
            (Op::Eq | Op::Ne, _) => {
                let detail = "true, false, or an object with campaignId, stepId, url (of clicked) and withinDays";
                Err(FieldProblems::one("/value", "invalid_type", detail))
            }
            (Op::Exists, _) => Err(FieldProblems::one("/value", "invalid_type", "exists takes true or false")),
            _ => {
                let detail = format!("{} does not work on this field; it takes eq, ne, exists", op.as_str());
                Err(FieldProblems::one("/op", "op_not_allowed", detail))
            }
        }
    }

    fn narrowed(mut self, value: &Value) -> Result<Self, FieldProblems> {
        let mut problems = FieldProblems::default();
        for (name, part) in value.as_object().into_iter().flatten() {
            let pointer = format!("/value/{}", name.replace('~', "~0").replace('/', "~1"));
            let id = |problems: &mut FieldProblems| {
                let id = part.as_str().and_then(|text| Uuid::parse_str(text).ok());
                if id.is_none() {
                    problems.add(pointer.clone(), "invalid_id", "an id is needed");
                }
                id
            };
            match name.as_str() {
                "campaignId" => self.campaign = id(&mut problems).map(CampaignId),
                "stepId" => self.step = id(&mut problems).map(StepId),
                "url" if self.did == Did::Clicked => match part.as_str().map(str::trim) {
                    Some(url) if may_be_followed(url) => self.link = Some(LinkNo::of(url)),
                    Some(url) if !url.is_empty() => {
                        let detail = "only links that begin with http://, https:// or a placeholder are counted";
                        problems.add(pointer, "never_counted", detail);
                    }
                    _ => problems.add(pointer, "invalid_type", "the address of a link, as its author wrote it"),
                },
                "withinDays" => match part.as_i64().and_then(|days| i32::try_from(days).ok()) {
                    Some(days) if (1..=MAX_DAYS).contains(&days) => self.within_days = Some(days),
                    _ => problems.add(pointer, "out_of_range", format!("a whole number from 1 to {MAX_DAYS}")),
                },
                _ => {
                    let mut known = "campaignId, stepId".to_owned();
                    if self.did == Did::Clicked {
                        known.push_str(", url");
                    }
                    let _ = write!(known, " or withinDays");
                    problems.add(pointer, "unknown_field", format!("{} takes {known}", self.did.as_str()));
                }
            }
        }
        problems.into_result().map(|()| self)
    }
}

/// Whether a link that its author wrote so can ever be counted: of everything else no click is known.
fn may_be_followed(url: &str) -> bool {
    let web = |(scheme, _): (&str, &str)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    url.starts_with("{{") || url.starts_with("{%") || url.split_once("://").is_some_and(web)
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;
    use crate::model::contact::ContactFacts;
    use serde_json::json;

    const ID: &str = "0199a1b2-0000-7000-8000-000000000001";

    fn flaws(rule: &Value) -> Vec<(String, String)> {
        Rule::parse(rule).unwrap_err().0.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn every_part_narrows_the_question() {
        let value = json!({"campaignId": ID, "stepId": ID, "url": "https://x.test/", "withinDays": 7});
        let id = Uuid::parse_str(ID).unwrap();
        let want = Engaged {
            did: Did::Clicked,
            campaign: Some(CampaignId(id)),
            step: Some(StepId(id)),
            link: Some(LinkNo::of("https://x.test/")),
            within_days: Some(7),
        };
        assert_eq!(Engaged::read(Did::Clicked, Op::Eq, &value).unwrap(), (want.clone(), true));
        assert_eq!(Engaged::read(Did::Clicked, Op::Ne, &value).unwrap(), (want, false));
    }

    #[test]
    fn whatever_link_may_be_counted_can_be_asked_for() {
        for url in ["https://x.test/{{ id }}", "HTTP://x.test", "{{ url }}", "{% if a %}https://a.test{% endif %}"] {
            let (asked, _) = Engaged::read(Did::Clicked, Op::Eq, &json!({"url": format!(" {url} ")})).unwrap();
            assert_eq!(asked.link, Some(LinkNo::of(url)), "{url}");
        }
    }

    #[test]
    fn flaws_are_named_where_they_are() {
        let rule = |field: &str, op: &str, value: Value| json!({"all": [{"field": field, "op": op, "value": value}]});
        for (json, pointer, code) in [
            (rule("opened", "eq", json!("yes")), "/all/0/value", "invalid_type"),
            (rule("opened", "exists", json!({})), "/all/0/value", "invalid_type"),
            (rule("opened", "gt", json!(1)), "/all/0/op", "op_not_allowed"),
            (rule("opened", "in", json!([ID])), "/all/0/op", "op_not_allowed"),
            (rule("opened", "eq", json!({"url": "https://x.test/"})), "/all/0/value/url", "unknown_field"),
            (rule("clicked", "eq", json!({"url": ""})), "/all/0/value/url", "invalid_type"),
            (rule("clicked", "eq", json!({"url": "mailto:a@x.test"})), "/all/0/value/url", "never_counted"),
            (rule("clicked", "eq", json!({"url": "/pricing"})), "/all/0/value/url", "never_counted"),
            (rule("received", "eq", json!({"campaignId": "mine"})), "/all/0/value/campaignId", "invalid_id"),
            (rule("replied", "eq", json!({"stepId": 7})), "/all/0/value/stepId", "invalid_id"),
            (rule("opened", "ne", json!({"withinDays": 0})), "/all/0/value/withinDays", "out_of_range"),
            (rule("opened", "ne", json!({"withinDays": 3_651})), "/all/0/value/withinDays", "out_of_range"),
            (rule("opened", "ne", json!({"withinDays": 1.5})), "/all/0/value/withinDays", "out_of_range"),
            (rule("opened", "eq", json!({"a/b": 1})), "/all/0/value/a~1b", "unknown_field"),
        ] {
            assert_eq!(flaws(&json), [(pointer.to_owned(), code.to_owned())], "{json}");
        }
        assert_eq!(flaws(&rule("opened", "eq", json!({"stepId": 1, "withinDays": 0}))).len(), 2, "all at once");
    }

    #[test]
    fn an_answer_is_known_or_it_is_no() {
        let holds = |op: &str, value: Value, facts: &ContactFacts| {
            Rule::parse(&json!({"field": "opened", "op": op, "value": value})).unwrap().holds(facts)
        };
        let (nobody, mut ada) = (ContactFacts::default(), ContactFacts::default());
        ada.engaged.insert(Engaged::read(Did::Opened, Op::Exists, &json!(true)).unwrap().0);
        for (op, value, of_ada) in [
            ("eq", json!(true), true),
            ("eq", json!({}), true),
            ("exists", json!(true), true),
            ("ne", json!(false), true),
            ("eq", json!(false), false),
            ("ne", json!({}), false),
            ("exists", json!(false), false),
        ] {
            assert_eq!(holds(op, value.clone(), &ada), of_ada, "{op} {value}");
            assert_eq!(holds(op, value.clone(), &nobody), !of_ada, "{op} {value}");
        }
        assert!(!holds("eq", json!({"withinDays": 7}), &ada), "another question");
    }

    #[test]
    fn a_rule_knows_its_questions() {
        let rule = json!({"any": [
            {"field": "city", "op": "eq", "value": "Bonn"},
            {"not": {"field": "opened", "op": "eq", "value": {"withinDays": 7}}},
            {"all": [{"field": "opened", "op": "ne", "value": {"withinDays": 7}}, {"field": "clicked", "op": "eq", "value": true}]},
        ]});
        let dids: Vec<Did> = Rule::parse(&rule).unwrap().questions().into_iter().map(|question| question.did).collect();
        assert_eq!(dids, [Did::Opened, Did::Clicked], "each once");
    }
}
