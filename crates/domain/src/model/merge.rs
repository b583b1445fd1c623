//! What templates see of a contact: one shape for real deliveries, previews and test mails.

use super::contact::ContactFacts;
use serde_json::{Map, Value, json};

/// The values that merge tags are filled from: the contact's text fields by their names (`email`, `firstName`, …),
/// `leadScore`, `tags` as a sorted list and `customFields` by name. What the contact does not have is not there.
///
/// ```
/// use muster_domain::model::{contact::ContactFacts, merge::merge_values};
///
/// let facts = ContactFacts { fields: [("firstName".to_owned(), "Ada".to_owned())].into(), ..ContactFacts::default() };
/// assert_eq!(
///     merge_values(&facts),
///     serde_json::json!({ "firstName": "Ada", "leadScore": 0, "tags": [], "customFields": {} }),
/// );
/// ```
pub fn merge_values(facts: &ContactFacts) -> Value {
    let mut values: Map<String, Value> =
        facts.fields.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
    values.insert("leadScore".to_owned(), json!(facts.lead_score));
    values.insert("tags".to_owned(), facts.tags.iter().map(String::as_str).collect());
    values.insert("customFields".to_owned(), json!(facts.custom_fields));
    Value::Object(values)
}

/// The same, and `unsubscribeUrl` where the mail has one.
pub fn merge_values_with(facts: &ContactFacts, unsubscribe_url: Option<&str>) -> Value {
    let mut values = merge_values(facts);
    if let (Value::Object(values), Some(url)) = (&mut values, unsubscribe_url) {
        values.insert("unsubscribeUrl".to_owned(), Value::from(url));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::contact::FieldValue;

    #[test]
    fn whole_numbers_are_merged_without_a_fraction() {
        let custom_fields = [
            ("orders".to_owned(), FieldValue::Number(3.0)),
            ("ratio".to_owned(), FieldValue::Number(0.5)),
            ("vip".to_owned(), FieldValue::Flag(true)),
            ("colour".to_owned(), FieldValue::Text("red".to_owned())),
        ];
        let facts = ContactFacts {
            tags: ["b".to_owned(), "a".to_owned()].into(),
            custom_fields: custom_fields.into(),
            ..ContactFacts::default()
        };
        let values = merge_values(&facts);
        assert_eq!(values["customFields"], json!({ "orders": 3, "ratio": 0.5, "vip": true, "colour": "red" }));
        assert_eq!(values["tags"], json!(["a", "b"]));
    }
}
