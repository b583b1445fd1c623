//! What a request or an imported row says about a contact, checked field by field.

use super::{
    Contact, ContactFacts, FieldValue, MAX_CUSTOM_FIELDS, MAX_CUSTOM_NAME, MAX_CUSTOM_TEXT, MAX_LEAD_SCORE, MAX_TAG,
    MAX_TAGS, MAX_TEXT, NewContact, TEXT_FIELDS,
};
use crate::model::address::EmailAddress;
use crate::model::problem::FieldProblems;
use crate::model::text::{check_line, check_prose};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What to do with a contact's tags.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum TagEdit {
    /// Leave them.
    #[default]
    Keep,
    /// These and no others.
    Replace(BTreeSet<String>),
    /// These beside those that are there.
    Add(BTreeSet<String>),
}

/// Changes of a contact, each field checked; what is not mentioned stays as it is.
#[derive(Clone, PartialEq, Default)]
pub struct ContactEdit {
    /// A new address.
    pub email: Option<EmailAddress>,
    /// Text fields but `email`; `None` clears one.
    pub text: BTreeMap<&'static str, Option<String>>,
    /// Tags.
    pub tags: TagEdit,
    /// The lead score.
    pub lead_score: Option<i32>,
    /// Removes all custom fields that there are, before any is set.
    pub without_custom_fields: bool,
    /// Custom fields; `None` removes one.
    pub custom_fields: BTreeMap<String, Option<FieldValue>>,
}

/// How much it says, not what.
impl fmt::Debug for ContactEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactEdit")
            .field("email", &self.email.is_some())
            .field("text", &self.text.len())
            .field("custom_fields", &self.custom_fields.len())
            .finish_non_exhaustive()
    }
}

impl ContactEdit {
    /// Takes in `value` for `field`, named as callers name it (`firstName`, `tags`, `leadScore`, `customFields`, …).
    ///
    /// Null clears a field, and so does a text of blanks alone; the address cannot be cleared. Texts lose the blanks
    /// around them, tags become lower case. Problems point below the field: `/3` is the fourth tag.
    pub fn set(&mut self, field: &str, value: &Value) -> Result<(), FieldProblems> {
        match (field, value) {
            ("email", Value::String(text)) => self.email = Some(EmailAddress::parse(text)?),
            ("email", Value::Null) => return Err(FieldProblems::one("", "required", "an e-mail address is needed")),
            ("tags", Value::Null) => self.tags = TagEdit::Replace(BTreeSet::new()),
            ("tags", Value::Array(tags)) => self.tags = TagEdit::Replace(check_tags(tags)?),
            ("tags", _) => return Err(wrong_type("must be an array of strings")),
            ("leadScore", Value::Null) => self.lead_score = Some(0),
            ("leadScore", Value::Number(number)) => self.lead_score = Some(check_lead_score(number)?),
            ("leadScore", _) => return Err(wrong_type("must be a whole number")),
            ("customFields", Value::Object(fields)) => {
                let mut problems = FieldProblems::default();
                for (name, value) in fields {
                    let place = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                    problems.keep(&place, self.set_custom(name, value));
                }
                problems.into_result()?;
            }
            ("customFields", Value::Null) => self.without_custom_fields = true,
            ("customFields", _) => return Err(wrong_type("must be an object of strings, numbers and booleans")),
            (field, value) => {
                let Some(field) = TEXT_FIELDS.into_iter().find(|name| *name == field) else {
                    return Err(FieldProblems::one("", "unknown_field", "is not a field of a contact"));
                };
                match value {
                    Value::Null => {
                        self.text.insert(field, None);
                    }
                    Value::String(text) => self.set_text(field, text)?,
                    _ => return Err(wrong_type("must be a string")),
                }
            }
        }
        Ok(())
    }

    /// Takes in a text field other than `email`; a text of blanks alone clears it.
    pub fn set_text(&mut self, field: &'static str, text: &str) -> Result<(), FieldProblems> {
        let text = text.trim();
        if text.is_empty() {
            self.text.insert(field, None);
            return Ok(());
        }
        let mut problems = FieldProblems::default();
        check_line(&mut problems, "", text, MAX_TEXT);
        if field == "timezone" && problems.0.is_empty() && text.parse::<chrono_tz::Tz>().is_err() {
            problems.add("", "unknown_timezone", "a name of the IANA time zone database, such as Europe/Berlin");
        }
        problems.into_result()?;
        self.text.insert(field, Some(text.to_owned()));
        Ok(())
    }

    /// Takes in a custom field; null removes it.
    pub fn set_custom(&mut self, name: &str, value: &Value) -> Result<(), FieldProblems> {
        check_custom_name(name)?;
        let value = match value {
            Value::Null => None,
            Value::String(text) => {
                let mut problems = FieldProblems::default();
                check_prose(&mut problems, "", text, MAX_CUSTOM_TEXT);
                problems.into_result()?;
                Some(FieldValue::Text(text.clone()))
            }
            Value::Number(number) => {
                let Some(number) = number.as_f64().filter(|_| kept_exactly(number)) else {
                    let detail = "is too large a number to be kept exactly; send it as a string";
                    return Err(FieldProblems::one("", "out_of_range", detail));
                };
                Some(FieldValue::Number(number))
            }
            Value::Bool(flag) => Some(FieldValue::Flag(*flag)),
            Value::Array(_) | Value::Object(_) => return Err(wrong_type("must be a string, a number or a boolean")),
        };
        self.custom_fields.insert(name.to_owned(), value);
        Ok(())
    }

    /// A new contact of what was said. Needs an address.
    pub fn create(&self) -> Result<NewContact, FieldProblems> {
        let Some(email) = &self.email else {
            return Err(FieldProblems::one("/email", "required", "an e-mail address is needed"));
        };
        let mut new = NewContact::of(email.clone());
        self.apply(&mut new.email, &mut new.facts)?;
        Ok(new)
    }

    /// What `contact` is after this edit; `None` when it stays as it is.
    pub fn revise(&self, contact: &Contact) -> Result<Option<Contact>, FieldProblems> {
        let mut after = contact.clone();
        Ok(self.apply(&mut after.email, &mut after.facts)?.then_some(after))
    }

    /// Makes the changes and tells whether there were any. Changes nothing when a limit would be passed.
    pub fn apply(&self, email: &mut EmailAddress, facts: &mut ContactFacts) -> Result<bool, FieldProblems> {
        self.check_limits(facts)?;
        let mut changed = false;
        if let Some(new) = self.email.as_ref().filter(|new| *new != email) {
            *email = new.clone();
            facts.fields.insert(TEXT_FIELDS[0].to_owned(), new.as_str().to_owned());
            changed = true;
        }
        for (field, text) in &self.text {
            changed |= put(&mut facts.fields, field, text.as_ref());
        }
        match &self.tags {
            TagEdit::Keep => {}
            TagEdit::Replace(tags) => {
                changed |= facts.tags != *tags;
                facts.tags.clone_from(tags);
            }
            TagEdit::Add(tags) => {
                for tag in tags {
                    changed |= facts.tags.insert(tag.clone());
                }
            }
        }
        if let Some(score) = self.lead_score {
            changed |= facts.lead_score != score;
            facts.lead_score = score;
        }
        if self.without_custom_fields {
            changed |= !facts.custom_fields.is_empty();
            facts.custom_fields.clear();
        }
        for (name, value) in &self.custom_fields {
            changed |= put(&mut facts.custom_fields, name, value.as_ref());
        }
        Ok(changed)
    }

    fn check_limits(&self, facts: &ContactFacts) -> Result<(), FieldProblems> {
        let mut problems = FieldProblems::default();
        let tags = match &self.tags {
            TagEdit::Keep => 0,
            TagEdit::Replace(tags) => tags.len(),
            TagEdit::Add(tags) => facts.tags.union(tags).count(),
        };
        if tags > MAX_TAGS {
            problems.add("/tags", "too_many", format!("a contact has at most {MAX_TAGS} tags"));
        }
        let stays = |name: &&String| !self.without_custom_fields && !self.custom_fields.contains_key(*name);
        let stay = facts.custom_fields.keys().filter(stays).count();
        let set = self.custom_fields.values().flatten().count();
        if set > 0 && stay + set > MAX_CUSTOM_FIELDS {
            problems.add(
                "/customFields",
                "too_many",
                format!("a contact has at most {MAX_CUSTOM_FIELDS} custom fields"),
            );
        }
        problems.into_result()
    }
}

/// Sets or removes an entry; tells whether that changed anything.
fn put<T: Clone + PartialEq>(map: &mut BTreeMap<String, T>, name: &str, value: Option<&T>) -> bool {
    match value {
        Some(value) if map.get(name) == Some(value) => false,
        Some(value) => {
            map.insert(name.to_owned(), value.clone());
            true
        }
        None => map.remove(name).is_some(),
    }
}

/// A tag as it is kept: without blanks around it, in lower case.
pub fn check_tag(text: &str) -> Result<String, FieldProblems> {
    let tag = text.trim().to_lowercase();
    let mut problems = FieldProblems::default();
    check_line(&mut problems, "", &tag, MAX_TAG);
    problems.into_result()?;
    Ok(tag)
}

fn check_tags(tags: &[Value]) -> Result<BTreeSet<String>, FieldProblems> {
    let mut problems = FieldProblems::default();
    let mut checked = BTreeSet::new();
    for (index, tag) in tags.iter().enumerate() {
        let tag = tag.as_str().ok_or_else(|| wrong_type("must be a string")).and_then(check_tag);
        checked.extend(problems.keep(&format!("/{index}"), tag));
    }
    problems.into_result()?;
    if checked.len() > MAX_TAGS {
        return Err(FieldProblems::one("", "too_many", format!("a contact has at most {MAX_TAGS} tags")));
    }
    Ok(checked)
}

/// The name of a custom field: letters, digits, `_` and, but for the first, `-`.
pub fn check_custom_name(name: &str) -> Result<(), FieldProblems> {
    if name.len() > MAX_CUSTOM_NAME {
        return Err(FieldProblems::one("", "too_long", format!("a name has at most {MAX_CUSTOM_NAME} characters")));
    }
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if name.is_empty() || name.starts_with('-') || !name.bytes().all(legal) {
        let detail = "a name has letters A to Z, digits, _ and -, and does not begin with -";
        return Err(FieldProblems::one("", "invalid_name", detail));
    }
    Ok(())
}

/// Whether a double has room for every digit of a whole number: up to 2^53. Ids are often larger.
fn kept_exactly(number: &serde_json::Number) -> bool {
    const MOST: u64 = 1 << 53;
    match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => whole <= MOST,
        (None, Some(negative)) => negative.unsigned_abs() <= MOST,
        (None, None) => number.as_f64().is_some_and(f64::is_finite),
    }
}

fn check_lead_score(number: &serde_json::Number) -> Result<i32, FieldProblems> {
    let whole =
        number.as_f64().filter(|number| number.fract() == 0.0).ok_or_else(|| wrong_type("must be a whole number"))?;
    if whole.abs() > f64::from(MAX_LEAD_SCORE) {
        let detail = format!("must be from -{MAX_LEAD_SCORE} to {MAX_LEAD_SCORE}");
        return Err(FieldProblems::one("", "out_of_range", detail));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within ±10^9")]
    Ok(whole as i32)
}

fn wrong_type(detail: &str) -> FieldProblems {
    FieldProblems::one("", "wrong_type", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edit(fields: &Value) -> Result<ContactEdit, FieldProblems> {
        let mut edit = ContactEdit::default();
        let mut problems = FieldProblems::default();
        for (name, value) in fields.as_object().unwrap() {
            problems.keep(&format!("/{name}"), edit.set(name, value));
        }
        problems.into_result().map(|()| edit)
    }

    fn codes(fields: &Value) -> Vec<(String, String)> {
        let problems = edit(fields).expect_err("a problem is named").0;
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    fn facts(fields: &Value) -> ContactFacts {
        edit(fields).unwrap().create().unwrap().facts
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let bad = json!({
            "email": "nobody",
            "firstName": "a\r\nBcc: x",
            "lastName": "x".repeat(201),
            "city": 5,
            "timezone": "Mars/Olympus",
            "leadScore": 1.5,
            "tags": ["ok", "", 3, "a\u{0}b"],
            "customFields": {"-x": 1, "a b": 1, "list": [], "long": "x".repeat(501), "nul": "\u{0}"},
            "nickname": "x",
        });
        let named: BTreeMap<String, String> = codes(&bad).into_iter().collect();
        let expected = [
            ("/city", "wrong_type"),
            ("/customFields/-x", "invalid_name"),
            ("/customFields/a b", "invalid_name"),
            ("/customFields/list", "wrong_type"),
            ("/customFields/long", "too_long"),
            ("/customFields/nul", "invalid_characters"),
            ("/email", "invalid_email"),
            ("/firstName", "invalid_characters"),
            ("/lastName", "too_long"),
            ("/leadScore", "wrong_type"),
            ("/nickname", "unknown_field"),
            ("/tags/1", "required"),
            ("/tags/2", "wrong_type"),
            ("/tags/3", "invalid_characters"),
            ("/timezone", "unknown_timezone"),
        ];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(at, code)| (at.to_owned(), code.to_owned())).collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn null_clears_and_what_is_not_mentioned_stays() {
        let mut email = EmailAddress::parse("ada@example.org").unwrap();
        let mut known = facts(&json!({
            "email": "ada@example.org", "firstName": "Ada", "city": "London", "tags": ["A", "b "], "leadScore": 5,
            "customFields": {"plan": "gold", "seats": 3},
        }));
        assert_eq!(known.tags, ["a".to_owned(), "b".to_owned()].into());
        let change = edit(&json!({"firstName": null, "customFields": {"plan": null, "vip": true}})).unwrap();
        assert_eq!(change.apply(&mut email, &mut known), Ok(true));
        assert!(!known.fields.contains_key("firstName"));
        assert_eq!(known.fields["city"], "London");
        assert_eq!(known.lead_score, 5);
        assert_eq!(known.custom_fields.keys().collect::<Vec<_>>(), ["seats", "vip"]);
        assert_eq!(change.apply(&mut email, &mut known), Ok(false), "the same again changes nothing");
        let bare = edit(&json!({"customFields": null})).unwrap();
        for changed in [true, false] {
            assert_eq!(bare.apply(&mut email, &mut known), Ok(changed));
            assert!(known.custom_fields.is_empty());
        }
    }

    #[test]
    fn the_address_can_be_changed_but_not_cleared() {
        assert_eq!(codes(&json!({"email": null})), [("/email".to_owned(), "required".to_owned())]);
        let mut email = EmailAddress::parse("old@example.org").unwrap();
        let mut known = NewContact::of(email.clone()).facts;
        let change = edit(&json!({"email": "New@example.org"})).unwrap();
        assert_eq!(change.apply(&mut email, &mut known), Ok(true));
        assert_eq!(known.fields["email"], "New@example.org");
    }

    #[test]
    fn limits_count_what_is_there_already() {
        let mut email = EmailAddress::parse("ada@example.org").unwrap();
        let many: serde_json::Map<_, _> = (0..100).map(|n| (format!("f{n}"), json!(n))).collect();
        let mut known = facts(&json!({"email": "ada@example.org", "customFields": many}));
        let before = known.clone();
        let more = edit(&json!({"city": "Bath", "customFields": {"one_more": 1}})).unwrap();
        assert!(more.apply(&mut email, &mut known).is_err());
        assert_eq!(known, before, "nothing was changed");
        let swap = edit(&json!({"customFields": {"f0": null, "one_more": 1}})).unwrap();
        assert_eq!(swap.apply(&mut email, &mut known), Ok(true));
    }

    #[test]
    fn lead_scores_end_at_a_thousand_million() {
        assert_eq!(edit(&json!({"leadScore": 1_000_000_000})).unwrap().lead_score, Some(1_000_000_000));
        assert_eq!(edit(&json!({"leadScore": -1e9})).unwrap().lead_score, Some(-1_000_000_000));
        assert_eq!(codes(&json!({"leadScore": 1_000_000_001})), [("/leadScore".to_owned(), "out_of_range".to_owned())]);
        assert_eq!(codes(&json!({"leadScore": 1e300})), [("/leadScore".to_owned(), "out_of_range".to_owned())]);
    }
}
