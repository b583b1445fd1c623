//! The campaign of the demonstration: whom it is for, its eight steps, and what each contact should get of it.

use serde::Deserialize;
use serde_json::{Value, json};

/// Contacts whose first name begins with one of these get one mail, the others another.
const FIRST_HALF: std::ops::RangeInclusive<char> = 'a'..='l';

/// Whom the mails are from.
const FROM: (&str, &str) = ("Muster Demo", "demo@muster.example");

/// What the API tells of a contact, as far as the mails depend on it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contact {
    pub(super) email: String,
    first_name: Option<String>,
    city: Option<String>,
}

/// A mail as it should arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) subject: String,
    /// How its text begins.
    pub(super) greeting: String,
}

/// How many contacts should enter each step, in the order of the steps.
pub(super) fn entering(audience: &[Contact]) -> [u64; 8] {
    let all = audience.len() as u64;
    let first = audience.iter().filter(|contact| contact.is_in_first_half()).count() as u64;
    [all, all, all, first, all - first, all, all, all]
}

/// Everybody with an address who did not ask to be left alone.
pub(super) fn segment() -> Value {
    json!({
        "name": "Everybody who wants mail",
        "kind": "dynamic",
        "rules": {"all": [
            {"field": "email", "op": "exists", "value": true},
            {"not": {"field": "tags", "op": "contains", "value": "no-mail"}}
        ]}
    })
}

/// The campaign over that segment.
pub(super) fn campaign(segment: &str) -> Value {
    let (name, email) = FROM;
    json!({
        "name": "A welcome in four mails",
        "campaignType": "drip",
        "segmentId": segment,
        "fromName": name,
        "fromEmail": email,
        "schedule": {"timezone": "UTC"},
        "settings": {"postalAddress": "Muster Demo\n1 Example Street\nSampleton"}
    })
}

/// Mail, wait, choose, one mail or the other, tag, wait for Tuesday at nine, last mail.
pub(super) fn steps() -> Value {
    let half: Vec<Value> = FIRST_HALF
        .map(|letter| json!({"field": "firstName", "op": "startsWith", "value": letter.to_string()}))
        .collect();
    let mail = |key: &str, name: &str, subject: &str| {
        json!({
            "key": key,
            "name": name,
            "stepType": "email",
            "subjectLine": subject.replace("{name}", r#"{{ firstName | default("friend") }}"#),
            "textContent": "Hello {{ firstName | default(\"friend\") }}{% if city %} in {{ city }}{% endif %},\n\n\
                this mail was sent to show what Muster does.\n",
            "emailContent": "<p>Hello {{ firstName | default(\"friend\") }}{% if city %} in {{ city }}{% endif %},</p>\
                <p>this mail was sent to show what <b>Muster</b> does.</p>"
        })
    };
    let [welcome, first, second, last] = SUBJECTS;
    let mut choice_first = mail("first", "Tips A-L", first);
    choice_first["nextStepId"] = json!("tag");
    json!({"steps": [
        mail("welcome", "Welcome", welcome),
        {"name": "Two days", "stepType": "wait", "waitDuration": {"value": 2, "unit": "days"}},
        {
            "name": "A to L?",
            "stepType": "condition",
            "conditionRules": {"any": half},
            "trueNextStepId": "first",
            "falseNextStepId": "second"
        },
        choice_first,
        mail("second", "Tips M-Z", second),
        {"key": "tag", "name": "Tag", "stepType": "action", "action": {"type": "add_tag", "tag": "welcomed"}},
        {"name": "Tuesday 9", "stepType": "wait", "waitUntil": {"weekday": "tue", "timeOfDay": "09:00"}},
        mail("last", "Last mail", last),
    ]})
}

/// Subjects of the four mails.
const SUBJECTS: [&str; 4] =
    ["Welcome, {name}!", "{name}, tips from A to L", "{name}, tips from M to Z", "See you on Tuesday, {name}"];

impl Contact {
    /// The mails that this contact should get, in this order.
    pub(super) fn letters(&self) -> [Letter; 3] {
        let [welcome, first, second, last] = SUBJECTS;
        let name = self.first_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("friend");
        let city = self.city.as_deref().filter(|city| !city.is_empty());
        let greeting = format!("Hello {name}{},", city.map(|city| format!(" in {city}")).unwrap_or_default());
        let choice = if self.is_in_first_half() { first } else { second };
        [welcome, choice, last]
            .map(|subject| Letter { subject: subject.replace("{name}", name), greeting: greeting.clone() })
    }

    fn is_in_first_half(&self) -> bool {
        let first = self.first_name.as_ref().and_then(|name| name.to_lowercase().chars().next());
        first.is_some_and(|letter| FIRST_HALF.contains(&letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first_name: Option<&str>, city: Option<&str>) -> Contact {
        Contact {
            email: "a@b.test".to_owned(),
            first_name: first_name.map(str::to_owned),
            city: city.map(str::to_owned),
        }
    }

    #[test]
    fn the_name_decides_which_mail_comes_second() {
        let second = |name: Option<&str>| contact(name, None).letters()[1].subject.clone();
        assert_eq!(second(Some("Ada")), "Ada, tips from A to L");
        assert_eq!(second(Some("lee")), "lee, tips from A to L");
        assert_eq!(second(Some("Mo")), "Mo, tips from M to Z");
        assert_eq!(second(None), "friend, tips from M to Z");
        assert_eq!(entering(&[contact(Some("Ada"), None), contact(None, None)]), [2, 2, 2, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn an_unknown_city_is_left_out() {
        let greeting = |city| contact(Some("Ada"), city).letters()[0].greeting.clone();
        assert_eq!(greeting(Some("Bonn")), "Hello Ada in Bonn,");
        assert_eq!(greeting(None), "Hello Ada,");
    }
}
