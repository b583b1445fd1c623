//! Rules for the documentation: a schema that speaks of itself, which no derive can write.

use muster_domain::model::rules::{MAX_COMPARISONS, MAX_DAYS, MAX_DEPTH, MAX_LIST, Op};
use serde_json::json;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for a rule wherever a request or an answer has one; see [`muster_domain::model::rules`].
pub(crate) struct RuleSchema;

impl ToSchema for RuleSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Rule".into()
    }
}

impl PartialSchema for RuleSchema {
    fn schema() -> RefOr<Schema> {
        let description = format!(
            "A comparison, or a group of rules; at most {MAX_DEPTH} deep and with at most {MAX_COMPARISONS} comparisons. \
             Text compares without regard to case; `ne` holds for an absent field too."
        );
        let rule = OneOfBuilder::new()
            .description(Some(description))
            .item(comparison())
            .item(group("all", "Every one holds; none at all holds too.", list()))
            .item(group("any", "At least one holds.", list()))
            .item(group("not", "It does not hold; of a list, none does.", one_or_list()))
            .examples([json!({"all": [
                {"field": "country", "op": "eq", "value": "DE"},
                {"any": [
                    {"field": "tags", "op": "contains", "value": "vip"},
                    {"field": "leadScore", "op": "gte", "value": 50},
                ]},
                {"not": {"field": "customFields.plan", "op": "eq", "value": "free"}},
                {"field": "clicked", "op": "eq", "value": {"withinDays": 30}},
            ]})])
            .build();
        Schema::OneOf(rule).into()
    }
}

fn itself() -> RefOr<Schema> {
    Ref::from_schema_name("Rule").into()
}

fn list() -> ArrayBuilder {
    ArrayBuilder::new().items(itself()).max_items(Some(MAX_COMPARISONS))
}

fn one_or_list() -> OneOfBuilder {
    OneOfBuilder::new().item(itself()).item(list().min_items(Some(1)))
}

fn group(name: &str, description: &str, of: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    ObjectBuilder::new()
        .description(Some(description))
        .property(name, of)
        .required(name)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// Which mail, and when.
fn engagement() -> ObjectBuilder {
    let text =
        |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description.to_owned()));
    let id = |description: &str| text(description).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    let days = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_DAYS))
        .description(Some("No longer ago than so many days"));
    ObjectBuilder::new()
        .description(Some("For what a contact did: which mails are meant, and when. `true` means any, and so does `{}`."))
        .property(
            "campaignId",
            id("Mails of this campaign. Without it, and without a step, a condition means its own campaign, a segment any"),
        )
        .property("stepId", id("Mails of this step"))
        .property("url", text("For `clicked`: this link, as its author wrote it and `byLink` shows it"))
        .property("withinDays", days)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn comparison() -> ObjectBuilder {
    let field = ObjectBuilder::new().schema_type(Type::String).description(Some(
        "`email`, `firstName`, `lastName`, `company`, `jobTitle`, `city`, `state`, `country`, `timezone`, `tags`, \
         `leadScore` or `customFields.<name>`; or what a contact did with mails: `received`, `opened`, `clicked`, `replied`. \
         Opens and clicks are those of people",
    ));
    let op = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Op::ALL.map(Op::as_str)))
        .description(Some("`lt`, `lte`, `gt`, `gte` are for `leadScore` and custom fields; `leadScore` compares only; what a contact did takes `eq`, `ne` and `exists`"));
    let value = OneOfBuilder::new()
        .description(Some("As the field and `op` need it: `in` takes a list, `exists` true or false"))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(ObjectBuilder::new().schema_type(Type::Number))
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(engagement())
        .item(ArrayBuilder::new().min_items(Some(1)).max_items(Some(MAX_LIST)));
    ["field", "op", "value"].into_iter().fold(
        ObjectBuilder::new()
            .description(Some("A comparison."))
            .property("field", field)
            .property("op", op)
            .property("value", value)
            .additional_properties(Some(AdditionalProperties::FreeForm(false))),
        ObjectBuilder::required,
    )
}
