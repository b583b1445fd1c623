//! The fields of a contact as requests bring them.

use crate::extract::{Change, Fields, FromFields};
use muster_domain::model::contact::TEXT_FIELDS;
use muster_domain::model::contact::edit::ContactEdit;
use muster_domain::model::problem::FieldProblems;
use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;

/// What is to be known of a contact. Null clears a field, and so does a text of blanks.
#[derive(ToSchema)]
#[schema(as = ContactFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `EditRequest` reads")]
pub(crate) struct ContactFields {
    /// RFC 5321, ASCII; needed for a new contact.
    #[schema(format = "email", max_length = 254, nullable = false)]
    email: Option<String>,
    #[schema(max_length = 200)]
    first_name: Option<String>,
    #[schema(max_length = 200)]
    last_name: Option<String>,
    #[schema(max_length = 200)]
    company: Option<String>,
    #[schema(max_length = 200)]
    job_title: Option<String>,
    #[schema(max_length = 200)]
    city: Option<String>,
    #[schema(max_length = 200)]
    state: Option<String>,
    #[schema(max_length = 200)]
    country: Option<String>,
    /// A name of the IANA time zone database.
    #[schema(max_length = 200, example = "Europe/Berlin")]
    timezone: Option<String>,
    /// All of them: those not named are taken off. Kept in lower case, each of at most 100 characters.
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    lead_score: Option<i32>,
    /// Strings of at most 500 characters, numbers and booleans; null removes one, those not named stay. At most 100,
    /// with names of 1 to 64 letters, digits, `_` and `-`.
    #[schema(example = json!({"plan": "gold", "seats": 3, "vip": true}))]
    custom_fields: Option<HashMap<String, Value>>,
}

/// An edit, read from a body.
pub(crate) struct EditRequest(pub(crate) ContactEdit);

impl FromFields for EditRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut edit = ContactEdit::default();
        let mut problems = FieldProblems::default();
        for name in TEXT_FIELDS.into_iter().chain(["tags", "leadScore", "customFields"]) {
            let value = match fields.change(name, |item| Some(item.raw()))? {
                Change::Keep => continue,
                Change::Clear => Value::Null,
                Change::Set(value) => value,
            };
            problems.keep(&format!("/{name}"), edit.set(name, &value));
        }
        fields.refuse_all(problems);
        Some(Self(edit))
    }
}

/// An edit that makes a contact, read from a body.
pub(crate) struct NewRequest(pub(crate) ContactEdit);

impl FromFields for NewRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        if !fields.has(TEXT_FIELDS[0]) {
            fields.refuse(TEXT_FIELDS[0], "required", "an e-mail address is needed");
        }
        EditRequest::read(fields).map(|EditRequest(edit)| Self(edit))
    }
}
