//! A contact as answers show it.

use crate::timestamp::Timestamp;
use muster_domain::model::contact::{Contact, ContactFacts, FieldValue};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A contact.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Contact)]
pub(crate) struct ContactResponse {
    /// Its id.
    id: Uuid,
    /// Where mail goes; unique in the workspace without regard to case.
    #[schema(format = "email")]
    email: String,
    #[schema(required)]
    first_name: Option<String>,
    #[schema(required)]
    last_name: Option<String>,
    #[schema(required)]
    company: Option<String>,
    #[schema(required)]
    job_title: Option<String>,
    #[schema(required)]
    city: Option<String>,
    #[schema(required)]
    state: Option<String>,
    #[schema(required)]
    country: Option<String>,
    /// A name of the IANA time zone database.
    #[schema(required, example = "Europe/Berlin")]
    timezone: Option<String>,
    /// In lower case, sorted.
    tags: Vec<String>,
    /// From -1000000000 to 1000000000.
    lead_score: i32,
    /// Strings, numbers and booleans by name.
    #[schema(value_type = HashMap<String, Value>)]
    custom_fields: BTreeMap<String, FieldValue>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Contact> for ContactResponse {
    fn from(contact: Contact) -> Self {
        let ContactFacts { mut fields, tags, lead_score, custom_fields, .. } = contact.facts;
        let mut text = |name: &str| fields.remove(name);
        Self {
            id: contact.id.0,
            email: contact.email.into(),
            first_name: text("firstName"),
            last_name: text("lastName"),
            company: text("company"),
            job_title: text("jobTitle"),
            city: text("city"),
            state: text("state"),
            country: text("country"),
            timezone: text("timezone"),
            tags: tags.into_iter().collect(),
            lead_score,
            custom_fields,
            created_at: contact.created_at.into(),
            updated_at: contact.updated_at.into(),
        }
    }
}
