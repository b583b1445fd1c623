//! The fields of a step as requests bring them. Their forms are judged here, what they say by the domain.

use crate::endpoints::campaigns::fields::{change, not_supported, time_of_day};
use crate::extract::{Fields, Item};
use muster_domain::authoring::step_input::{StepInput, TargetRef};
use muster_domain::model::field::Field;
use muster_domain::model::ids::StepId;
use muster_domain::model::problem::FieldProblems;
use muster_domain::model::schedule::Weekday;
use muster_domain::model::sequence::{StepAction, StepType, Variant, Wait, WaitUnit};
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// No text of a request is longer than its whole body.
const ANY: u64 = u64::MAX;

/// A step. Which fields it takes depends on its type. Targets are an id of the sequence or `"end"`; in a body with
/// several steps a `key` of one of them too; the next in order when absent.
#[derive(ToSchema)]
#[schema(as = StepFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `read_step` reads")]
pub(crate) struct StepFields {
    #[schema(max_length = 200)]
    name: Option<String>,
    #[schema(schema_with = crate::openapi::step_type)]
    step_type: String,
    /// Its place, from 1.
    #[schema(minimum = 1)]
    step_order: Option<i32>,
    /// `email`: a template of at most 998 characters.
    #[schema(example = "Welcome, {{ firstName | default(\"friend\") }}")]
    subject_line: Option<String>,
    /// `email`: an HTML template of at most 512 KiB.
    email_content: Option<String>,
    /// `email`: a text template of at most 512 KiB; made from the HTML when absent.
    text_content: Option<String>,
    /// `email`, in an `ab_test` campaign.
    #[schema(value_type = Option<Vec<Object>>, max_items = 10)]
    variants: Option<Vec<Value>>,
    /// `wait`: `{value, unit}` with `minutes`, `hours`, `days` or `weeks`; a minute to two years.
    #[schema(value_type = Option<Object>, example = json!({"value": 2, "unit": "days"}))]
    wait_duration: Option<Value>,
    /// `wait`: the next such local instant, `{weekday, timeOfDay}`, one of them at least.
    #[schema(value_type = Option<Object>, example = json!({"weekday": "mon", "timeOfDay": "09:00"}))]
    wait_until: Option<Value>,
    /// `condition`: `{field, op, value}`, `{all: […]}`, `{any: […]}` or `{not: {…}}`.
    #[schema(value_type = Option<Object>, example = json!({"field": "tags", "op": "contains", "value": "vip"}))]
    condition_rules: Option<Value>,
    /// `action`: `{type: "add_tag" | "remove_tag", tag}`, `{type: "set_field", field, value}` or `{type: "exit"}`.
    #[schema(value_type = Option<Object>, example = json!({"type": "add_tag", "tag": "vip"}))]
    action: Option<Value>,
    next_step_id: Option<String>,
    true_next_step_id: Option<String>,
    false_next_step_id: Option<String>,
}

/// The same of a step that is there, for the documentation: nothing is needed.
pub(crate) struct ChangeFields;

impl ToSchema for ChangeFields {
    fn name() -> std::borrow::Cow<'static, str> {
        "ChangeStep".into()
    }
}

impl PartialSchema for ChangeFields {
    fn schema() -> RefOr<Schema> {
        let mut schema = StepFields::schema();
        if let RefOr::T(Schema::Object(step)) = &mut schema {
            step.required.clear();
            step.description = Some("What changes in a step; what is absent stays, null clears.".to_owned());
        }
        schema
    }
}

/// Reads one of several steps: with `id` and `key`. What else a GET gives for a step may be sent back.
pub(super) fn read_listed_step(fields: &mut Fields<'_>) -> Option<StepInput> {
    let id = fields.optional("id", |value| value.uuid().map(StepId));
    let key = fields.optional("key", |value| value.text(1..=100));
    for name in ["campaignId", "stats"] {
        fields.optional(name, |value| Some(value.raw()));
    }
    let step = read_step(fields);
    Some(StepInput { id: id?, key: key?, ..step? })
}

/// Reads the fields that every request about a step takes.
pub(super) fn read_step(fields: &mut Fields<'_>) -> Option<StepInput> {
    let types = StepType::ALL.map(StepType::as_str);
    let order = change(fields, "stepOrder", |value| value.integer(1..=i64::from(i16::MAX)));
    let name = change(fields, "name", text);
    let step_type = fields.optional("stepType", |value| value.one_of(&types, StepType::parse));
    let subject_line = change(fields, "subjectLine", text);
    let email_content = change(fields, "emailContent", text);
    let text_content = change(fields, "textContent", text);
    let template_id = not_supported(fields, "templateId", &Value::Null);
    let variants = change(fields, "variants", |value| value.list(0..=100, |one| one.object(read_variant)));
    let wait_duration = change(fields, "waitDuration", |value| value.object(read_duration));
    let wait_until = change(fields, "waitUntil", |value| value.object(read_until));
    let condition_rules = change(fields, "conditionRules", |value| Some(value.raw()));
    let action = change(fields, "action", |value| value.object(read_action));
    let next = change(fields, "nextStepId", target);
    let on_true = change(fields, "trueNextStepId", target);
    let on_false = change(fields, "falseNextStepId", target);
    template_id?;
    Some(StepInput {
        id: None,
        key: None,
        order: order?,
        name: name?,
        step_type: step_type?,
        subject_line: subject_line?,
        email_content: email_content?,
        text_content: text_content?,
        variants: variants?,
        wait_duration: wait_duration?,
        wait_until: wait_until?,
        condition_rules: condition_rules?,
        action: action?,
        next: next?,
        on_true: on_true?,
        on_false: on_false?,
    })
}

fn text(value: Item<'_>) -> Option<String> {
    value.text(0..=ANY)
}

fn target(value: Item<'_>) -> Option<TargetRef> {
    let name = value.text(1..=100)?;
    Some(if name == "end" { TargetRef::End } else { TargetRef::Step(name) })
}

fn read_variant(fields: &mut Fields<'_>) -> Option<Variant> {
    let name = fields.required("name", text);
    let subject_line = fields.required("subjectLine", text);
    let email_content = fields.required("emailContent", text);
    Some(Variant { name: name?, subject_line: subject_line?, email_content: email_content? })
}

fn read_duration(fields: &mut Fields<'_>) -> Option<Wait> {
    let value = fields.required("value", |value| value.integer(1..=i64::from(i32::MAX)));
    let units = WaitUnit::ALL.map(WaitUnit::as_str);
    let unit = fields.required("unit", |value| value.one_of(&units, WaitUnit::parse));
    Some(Wait::For { value: i32::try_from(value?).unwrap_or(i32::MAX), unit: unit? })
}

fn read_until(fields: &mut Fields<'_>) -> Option<Wait> {
    let days = Weekday::ALL.map(Weekday::as_str);
    let weekday = fields.optional("weekday", |value| value.one_of(&days, Weekday::parse));
    let time_of_day = fields.optional("timeOfDay", time_of_day);
    let event = not_supported(fields, "event", &Value::Null);
    let timeout = not_supported(fields, "timeout", &Value::Null);
    event.and(timeout)?;
    Some(Wait::Until { weekday: weekday?, time_of_day: time_of_day? })
}

fn read_action(fields: &mut Fields<'_>) -> Option<StepAction> {
    let kind = fields.required("type", |value| value.parsed(ANY, action_type))?;
    match kind {
        "add_tag" => fields.required("tag", text).map(|tag| StepAction::AddTag { tag }),
        "remove_tag" => fields.required("tag", text).map(|tag| StepAction::RemoveTag { tag }),
        "set_field" => {
            let field = fields.required("field", text);
            let value = change(fields, "value", |value| Some(value.raw()));
            if value == Some(Field::Absent) {
                fields.refuse("value", "required", "is required; null clears the field");
                return None;
            }
            Some(StepAction::SetField { field: field?, value: value?.value().unwrap_or_default() })
        }
        _ => Some(StepAction::Exit),
    }
}

fn action_type(name: &str) -> Result<&'static str, FieldProblems> {
    match name {
        "add_tag" => Ok("add_tag"),
        "remove_tag" => Ok("remove_tag"),
        "set_field" => Ok("set_field"),
        "exit" => Ok("exit"),
        "webhook" | "enroll_in" => Err(FieldProblems::one("", "not_supported", "is not supported yet")),
        _ => Err(FieldProblems::one("", "unknown_value", "must be one of: add_tag, remove_tag, set_field, exit")),
    }
}
