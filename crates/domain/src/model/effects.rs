//! What action steps do to a contact.

use super::contact::{ContactFacts, FieldValue, TEXT_FIELDS};
use super::sequence::StepAction;
use serde_json::Value;

/// One change of a contact's tags or fields.
#[derive(Debug, Clone, PartialEq)]
pub enum ContactChange {
    /// Put this tag on; lower case.
    AddTag(String),
    /// Take this tag off.
    RemoveTag(String),
    /// Set a text field, named as callers name it, never `email`; `None` clears it.
    SetText(&'static str, Option<String>),
    /// Set the lead score.
    SetScore(i32),
    /// Set a custom field; `None` removes it.
    SetCustom(String, Option<FieldValue>),
}

impl ContactChange {
    /// The change that an action asks for; `None` for one that is none (`exit`) or cannot be made.
    pub fn of(action: &StepAction) -> Option<Self> {
        match action {
            StepAction::AddTag { tag } => Some(Self::AddTag(tag.trim().to_lowercase())),
            StepAction::RemoveTag { tag } => Some(Self::RemoveTag(tag.trim().to_lowercase())),
            StepAction::SetField { field, value } => Self::set(field, value),
            StepAction::Exit => None,
        }
    }

    /// Setting `field` to `value`; `None` when the field is unknown or cannot hold it.
    pub fn set(field: &str, value: &Value) -> Option<Self> {
        if let Some(name) = field.strip_prefix("customFields.") {
            let value = match value {
                Value::Null => None,
                Value::String(text) => Some(FieldValue::Text(text.clone())),
                Value::Number(number) => Some(FieldValue::Number(number.as_f64()?)),
                Value::Bool(flag) => Some(FieldValue::Flag(*flag)),
                Value::Array(_) | Value::Object(_) => return None,
            };
            return Some(Self::SetCustom(name.to_owned(), value));
        }
        if field == "leadScore" {
            return Some(Self::SetScore(i32::try_from(value.as_i64()?).ok()?));
        }
        let known = TEXT_FIELDS.into_iter().skip(1).find(|name| *name == field)?;
        match value {
            Value::Null => Some(Self::SetText(known, None)),
            Value::String(text) => Some(Self::SetText(known, Some(text.clone()))),
            _ => None,
        }
    }

    /// Makes the change on `facts`.
    pub fn apply(&self, facts: &mut ContactFacts) {
        match self {
            Self::AddTag(tag) => {
                facts.tags.insert(tag.clone());
            }
            Self::RemoveTag(tag) => {
                facts.tags.remove(tag);
            }
            Self::SetText(field, Some(text)) => {
                facts.fields.insert((*field).to_owned(), text.clone());
            }
            Self::SetText(field, None) => {
                facts.fields.remove(*field);
            }
            Self::SetScore(score) => facts.lead_score = *score,
            Self::SetCustom(name, Some(value)) => {
                facts.custom_fields.insert(name.clone(), value.clone());
            }
            Self::SetCustom(name, None) => {
                facts.custom_fields.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_address_cannot_be_set_by_a_step() {
        assert_eq!(ContactChange::set("email", &json!("x@example.org")), None);
    }

    #[test]
    fn each_field_takes_what_it_can_hold() {
        assert_eq!(
            ContactChange::set("city", &json!("Bath")),
            Some(ContactChange::SetText("city", Some("Bath".into())))
        );
        assert_eq!(ContactChange::set("city", &json!(3)), None);
        assert_eq!(ContactChange::set("leadScore", &json!(7)), Some(ContactChange::SetScore(7)));
        assert_eq!(ContactChange::set("leadScore", &json!("7")), None);
        assert_eq!(
            ContactChange::set("customFields.plan", &json!(null)),
            Some(ContactChange::SetCustom("plan".into(), None))
        );
        assert_eq!(ContactChange::set("customFields.plan", &json!([1])), None);
    }
}
