//! What a step may hold, field by field.

use super::*;
use crate::model::campaign::CampaignType;
use crate::model::problem::FieldProblems;
use crate::model::sequence::WaitUnit;
use crate::ports::templates::{MockTemplates, TemplateError};
use rstest::rstest;
use serde_json::json;

/// Templates that are refused when they hold `{%`.
fn templates() -> MockTemplates {
    let mut templates = MockTemplates::new();
    templates.expect_check().returning(|_, source| {
        let refused = TemplateError { code: "template_syntax", detail: "line 1".into() };
        if source.contains("{%") { Err(refused) } else { Ok(()) }
    });
    templates
}

fn problems_of(kind: CampaignType, input: &StepInput) -> Vec<(String, String)> {
    let mut problems = FieldProblems::default();
    let body = input.body(kind, &templates(), &mut problems);
    assert_eq!(body.is_none(), !problems.0.is_empty(), "a body, or a reason why not");
    problems.0.into_iter().map(|p| (p.pointer, p.code)).collect()
}

fn of_type(step_type: StepType) -> StepInput {
    StepInput { step_type: Some(step_type), ..StepInput::default() }
}

#[test]
fn an_email_needs_a_subject_and_content_that_parse() {
    let found = problems_of(CampaignType::Drip, &of_type(StepType::Email));
    assert_eq!(found, [("/subjectLine".into(), "required".into()), ("/emailContent".into(), "required".into())]);
    let input = StepInput {
        subject_line: Field::Value("Hi\nBcc: all".into()),
        email_content: Field::Value("{% for %}".into()),
        text_content: Field::Value("{%".into()),
        ..of_type(StepType::Email)
    };
    let found = problems_of(CampaignType::Drip, &input);
    let codes: Vec<_> = found.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("/subjectLine", "invalid_characters"),
            ("/emailContent", "template_syntax"),
            ("/textContent", "template_syntax")
        ]
    );
}

#[test]
fn only_an_ab_test_has_variants() {
    let variant = Variant { name: "B".into(), subject_line: "s".into(), email_content: "c".into() };
    let input = StepInput {
        subject_line: Field::Value("s".into()),
        email_content: Field::Value("c".into()),
        variants: Field::Value(vec![variant.clone(), variant]),
        ..of_type(StepType::Email)
    };
    assert_eq!(problems_of(CampaignType::AbTest, &input), [("/variants/1/name".into(), "duplicate".into())]);
    let found = problems_of(CampaignType::Drip, &input);
    assert!(found.contains(&("/variants".into(), "not_applicable".into())), "{found:?}");
}

#[test]
fn fields_of_another_type_are_refused() {
    let input = StepInput {
        wait_duration: Field::Value(Wait::For { value: 1, unit: WaitUnit::Days }),
        subject_line: Field::Value("s".into()),
        on_true: Field::Value(TargetRef::End),
        ..of_type(StepType::Wait)
    };
    let found = problems_of(CampaignType::Drip, &input);
    assert_eq!(
        found,
        [("/subjectLine".into(), "not_applicable".into()), ("/trueNextStepId".into(), "not_applicable".into())]
    );
}

#[rstest]
#[case(0, WaitUnit::Minutes, false)]
#[case(1, WaitUnit::Minutes, true)]
#[case(730, WaitUnit::Days, true)]
#[case(731, WaitUnit::Days, false)]
#[case(i32::MAX, WaitUnit::Weeks, false)]
#[case(-1, WaitUnit::Hours, false)]
fn a_wait_lasts_a_minute_to_two_years(#[case] value: i32, #[case] unit: WaitUnit, #[case] fine: bool) {
    let input = StepInput { wait_duration: Field::Value(Wait::For { value, unit }), ..of_type(StepType::Wait) };
    assert_eq!(problems_of(CampaignType::Drip, &input).is_empty(), fine);
}

#[rstest]
#[case("firstName", json!("Ada"), true)]
#[case("firstName", json!(null), true)]
#[case("firstName", json!(3), false)]
#[case("leadScore", json!(3), true)]
#[case("leadScore", json!(1_i64 << 40), false)]
#[case("leadScore", json!(null), false)]
#[case("customFields.plan", json!(true), true)]
#[case("customFields.plan", json!([]), false)]
#[case("customFields.", json!("x"), false)]
#[case("customFields.a\u{0}", json!("x"), false)]
#[case("customFields.plan", json!("\u{0}"), false)]
#[case("timezone", json!("Europe/Berlin"), true)]
#[case("timezone", json!("Mars"), false)]
#[case("email", json!("a@example.test"), false)]
#[case("shoeSize", json!("44"), false)]
fn an_action_sets_known_fields_to_what_they_can_hold(#[case] field: &str, #[case] value: Value, #[case] fine: bool) {
    let action = StepAction::SetField { field: field.into(), value };
    let input = StepInput { action: Field::Value(action), ..of_type(StepType::Action) };
    assert_eq!(problems_of(CampaignType::Drip, &input).is_empty(), fine);
}

#[test]
fn one_kind_of_wait_takes_the_place_of_the_other() {
    let current = StepInput {
        wait_duration: Field::Value(Wait::For { value: 1, unit: WaitUnit::Days }),
        ..of_type(StepType::Wait)
    };
    let change = StepInput {
        wait_until: Field::Value(Wait::Until { weekday: None, time_of_day: Some(chrono::NaiveTime::MIN) }),
        ..StepInput::default()
    };
    assert_eq!(problems_of(CampaignType::Drip, &change.over(current)), []);
}
