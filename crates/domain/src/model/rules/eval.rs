//! Asking a rule about one contact.

use super::comparison::{Comparison, Scalar, Subject, Test, Than, fold};
use super::{Did, Engaged, Rule};
use crate::model::contact::{ContactFacts, FieldValue};
use std::collections::BTreeSet;

impl Rule {
    /// Whether the rule holds for a contact of whom `facts` are known.
    ///
    /// A comparison that [`Comparison::read`] refuses holds for nobody; [`Rule::parse`] lets none through.
    pub fn holds(&self, facts: &ContactFacts) -> bool {
        match self {
            Rule::All { all } => all.iter().all(|rule| rule.holds(facts)),
            Rule::Any { any } => any.iter().any(|rule| rule.holds(facts)),
            Rule::Not { not } => !not.holds(facts),
            Rule::Compare { field, op, value } => {
                Comparison::read(field, *op, value).is_ok_and(|comparison| comparison.holds(facts))
            }
        }
    }
}

impl Rule {
    /// What it asks of what the contact did, each question once.
    pub fn questions(&self) -> BTreeSet<Engaged> {
        match self {
            Rule::All { all: rules } | Rule::Any { any: rules } => rules.iter().flat_map(Rule::questions).collect(),
            Rule::Not { not } => not.questions(),
            Rule::Compare { field, op, value } => match Comparison::read(field, *op, value) {
                Ok(Comparison { test: Test::Engaged(question, _), .. }) => [question].into(),
                _ => BTreeSet::new(),
            },
        }
    }

    /// Changes every value that says of which campaign or step a mail is: the copy of a campaign speaks of itself.
    pub fn redirect(&mut self, change: &impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
        match self {
            Rule::All { all: rules } | Rule::Any { any: rules } => {
                for rule in rules {
                    rule.redirect(change);
                }
            }
            Rule::Not { not } => not.redirect(change),
            Rule::Compare { field, value: serde_json::Value::Object(which), .. } if Did::parse(field).is_some() => {
                change(which);
            }
            Rule::Compare { .. } => {}
        }
    }
}

impl Comparison {
    /// Whether it holds for a contact of whom `facts` are known.
    pub fn holds(&self, facts: &ContactFacts) -> bool {
        match &self.subject {
            Subject::Text(name) => self.test.of_text(facts.fields.get(*name).map(|text| fold(text))),
            Subject::Tags => self.test.of_tags(facts),
            Subject::LeadScore => self.test.of_number(f64::from(facts.lead_score)),
            Subject::Custom(name) => self.test.of_custom(facts.custom_fields.get(name)),
            Subject::Did(_) => self.test.of_engagement(facts),
        }
    }
}

impl Test {
    fn of_engagement(&self, facts: &ContactFacts) -> bool {
        matches!(self, Test::Engaged(question, yes) if facts.engaged.contains(question) == *yes)
    }

    fn of_text(&self, text: Option<String>) -> bool {
        let Some(text) = text else {
            return matches!(self, Test::NoneOf(_) | Test::Exists(false));
        };
        match self {
            Test::OneOf(these) => these.iter().any(|one| one.is_text(&text)),
            Test::NoneOf(these) => !these.iter().any(|one| one.is_text(&text)),
            Test::Order(than, Scalar::Text(value)) => than.accepts(text.as_str().cmp(value)),
            Test::Order(_, Scalar::Number(_)) | Test::Engaged(..) => false,
            Test::Contains(part) => text.contains(part.as_str()),
            Test::StartsWith(part) => text.starts_with(part.as_str()),
            Test::Exists(there) => *there,
        }
    }

    fn of_tags(&self, facts: &ContactFacts) -> bool {
        let tags = &facts.tags;
        match self {
            Test::OneOf(these) => these.iter().any(|one| tags.iter().any(|tag| one.is_text(tag))),
            Test::NoneOf(these) => !these.iter().any(|one| tags.iter().any(|tag| one.is_text(tag))),
            Test::Order(..) | Test::Engaged(..) => false,
            Test::Contains(tag) => tags.contains(tag),
            Test::StartsWith(part) => tags.iter().any(|tag| tag.starts_with(part.as_str())),
            Test::Exists(there) => *there != tags.is_empty(),
        }
    }

    fn of_number(&self, number: f64) -> bool {
        match self {
            Test::OneOf(these) => these.iter().any(|one| one.is_number(Some(number))),
            Test::NoneOf(these) => !these.iter().any(|one| one.is_number(Some(number))),
            Test::Order(than, Scalar::Number(value)) => than.accepts_partial(number.partial_cmp(value)),
            Test::Order(_, Scalar::Text(_)) | Test::Contains(_) | Test::StartsWith(_) | Test::Engaged(..) => false,
            Test::Exists(there) => *there,
        }
    }

    fn of_custom(&self, value: Option<&FieldValue>) -> bool {
        let Some(value) = value else { return self.of_text(None) };
        let text = fold(&value.to_text());
        let number = value.as_number();
        let is = |one: &Scalar| one.is_text(&text) || one.is_number(number);
        match self {
            Test::OneOf(these) => these.iter().any(is),
            Test::NoneOf(these) => !these.iter().any(is),
            Test::Order(than, Scalar::Number(value)) => {
                than.accepts_partial(number.and_then(|number| number.partial_cmp(value)))
            }
            Test::Order(..) => number.is_none() && self.of_text(Some(text)),
            Test::Contains(_) | Test::StartsWith(_) | Test::Exists(_) => self.of_text(Some(text)),
            Test::Engaged(..) => false,
        }
    }
}

impl Scalar {
    fn is_text(&self, text: &str) -> bool {
        matches!(self, Scalar::Text(value) if value == text)
    }

    fn is_number(&self, number: Option<f64>) -> bool {
        matches!((self, number), (Scalar::Number(value), Some(number)) if value.partial_cmp(&number).is_some_and(std::cmp::Ordering::is_eq))
    }
}

impl Than {
    fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Than::Less => ordering.is_lt(),
            Than::AtMost => ordering.is_le(),
            Than::Greater => ordering.is_gt(),
            Than::AtLeast => ordering.is_ge(),
        }
    }

    fn accepts_partial(self, ordering: Option<std::cmp::Ordering>) -> bool {
        ordering.is_some_and(|ordering| self.accepts(ordering))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn ada() -> ContactFacts {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let custom = |name: &str, value| (name.to_owned(), value);
        ContactFacts {
            fields: [text("email", "Ada@Example.test"), text("firstName", "ADA"), text("city", "MÜNCHEN")].into(),
            tags: ["vip".to_owned(), "beta tester".to_owned()].into(),
            lead_score: 42,
            custom_fields: [
                custom("plan", FieldValue::Text("Pro".to_owned())),
                custom("seats", FieldValue::Number(12.0)),
                custom("ordered", FieldValue::Text("7".to_owned())),
                custom("trial", FieldValue::Flag(false)),
                custom("since", FieldValue::Text("2026-03-01".to_owned())),
            ]
            .into(),
            ..ContactFacts::default()
        }
    }

    #[rstest]
    #[case("email", "eq", json!("ada@example.TEST"), true)]
    #[case("city", "eq", json!("münchen"), true)]
    #[case("city", "startsWith", json!("Mü"), true)]
    #[case("city", "contains", json!("NCH"), true)]
    #[case("city", "in", json!(["Bonn", "münchen"]), true)]
    #[case("city", "ne", json!("bonn"), true)]
    #[case("city", "ne", json!("münchen"), false)]
    #[case("company", "ne", json!("x"), true)]
    #[case("company", "eq", json!(""), false)]
    #[case("company", "contains", json!(""), false)]
    #[case("company", "exists", json!(false), true)]
    #[case("company", "exists", json!(true), false)]
    #[case("tags", "contains", json!("VIP"), true)]
    #[case("tags", "contains", json!("beta"), false)]
    #[case("tags", "startsWith", json!("beta"), true)]
    #[case("tags", "eq", json!("vip"), true)]
    #[case("tags", "ne", json!("gone"), true)]
    #[case("tags", "in", json!(["gone", "vip"]), true)]
    #[case("tags", "exists", json!(true), true)]
    #[case("leadScore", "gte", json!(42), true)]
    #[case("leadScore", "gt", json!(42), false)]
    #[case("leadScore", "lt", json!(42.5), true)]
    #[case("leadScore", "in", json!([1, 42]), true)]
    #[case("customFields.plan", "eq", json!("pro"), true)]
    #[case("customFields.plan", "gt", json!(1), false)]
    #[case("customFields.seats", "eq", json!(12), true)]
    #[case("customFields.seats", "eq", json!("12"), true)]
    #[case("customFields.seats", "gt", json!(9), true)]
    #[case("customFields.seats", "gt", json!("9"), true)]
    #[case("customFields.seats", "gt", json!("2020-01-01"), false)]
    #[case("customFields.ordered", "eq", json!(7), true)]
    #[case("customFields.ordered", "lt", json!(10), true)]
    #[case("customFields.trial", "eq", json!(false), true)]
    #[case("customFields.trial", "ne", json!(false), false)]
    #[case("customFields.since", "lt", json!("2026-10-01"), true)]
    #[case("customFields.since", "gt", json!("2026-10-01"), false)]
    #[case("customFields.gone", "ne", json!(1), true)]
    #[case("customFields.gone", "lt", json!(1), false)]
    #[case("customFields.Plan", "exists", json!(true), false)]
    fn a_comparison_holds_or_not(#[case] field: &str, #[case] op: &str, #[case] value: Value, #[case] holds: bool) {
        let rule = Rule::parse(&json!({"field": field, "op": op, "value": value})).unwrap();
        assert_eq!(rule.holds(&ada()), holds);
    }

    #[test]
    fn groups_combine_what_is_in_them() {
        let holds = |json: Value| Rule::parse(&json).unwrap().holds(&ada());
        let yes = json!({"field": "tags", "op": "eq", "value": "vip"});
        let no = json!({"not": yes});
        assert!(holds(json!({"all": []})) && !holds(json!({"any": []})));
        assert!(holds(json!({"all": [yes, yes]})) && !holds(json!({"all": [yes, no]})));
        assert!(holds(json!({"any": [no, yes]})) && !holds(json!({"any": [no, no]})));
    }
}
