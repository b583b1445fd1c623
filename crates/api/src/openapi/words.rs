//! Schemas of texts that are one of a few words or have one form, made from the domain's own lists: for
//! `schema(schema_with = …)` and `param(schema_with = …)`.

use muster_domain::model::campaign::CampaignType;
use muster_domain::model::lifecycle::Status;
use muster_domain::model::principal::Scope;
use muster_domain::model::schedule::Weekday;
use muster_domain::model::sequence::StepType;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder};
use utoipa::openapi::{Array, RefOr, Schema, Type};

/// One of these words.
pub(crate) fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

fn of_form(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// A version in `If-Match` (RFC 9110 section 13.1.1): one entity tag, or any.
pub(crate) fn entity_tag() -> RefOr<Schema> {
    of_form(r#"^(\*|(W/)?"[!#-~]*")$"#).into()
}

/// A type of campaigns.
pub(crate) fn campaign_type() -> Object {
    one_of(CampaignType::ALL.map(CampaignType::as_str)).build()
}

/// A status of campaigns.
pub(crate) fn campaign_status() -> Object {
    one_of(Status::ALL.map(Status::as_str)).build()
}

/// A type of steps.
pub(crate) fn step_type() -> Object {
    one_of(StepType::ALL.map(StepType::as_str)).build()
}

/// What a key may do.
pub(crate) fn scopes() -> Array {
    ArrayBuilder::new().items(one_of(Scope::ALL.map(Scope::as_str))).min_items(Some(1)).max_items(Some(7)).build()
}

/// Days of the week.
pub(crate) fn weekdays() -> Array {
    let days = one_of(Weekday::ALL.map(Weekday::as_str));
    ArrayBuilder::new().items(days).min_items(Some(1)).max_items(Some(7)).build()
}

/// A local time.
pub(crate) fn time_of_day() -> Object {
    of_form("^([01][0-9]|2[0-3]):[0-5][0-9]$").examples(["09:00"]).build()
}
