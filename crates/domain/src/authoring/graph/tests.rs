//! What makes a sequence valid, and that a valid one always comes to rest.

use super::*;
use crate::model::rules::Rule;
use crate::model::sequence::{Wait, WaitUnit};
use crate::ports::templates::MockTemplates;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

fn email(key: &str) -> StepInput {
    StepInput {
        key: Some(key.into()),
        step_type: Some(StepType::Email),
        subject_line: Field::Value("s".into()),
        email_content: Field::Value("c".into()),
        ..StepInput::default()
    }
}

fn wait(key: &str) -> StepInput {
    StepInput {
        key: Some(key.into()),
        step_type: Some(StepType::Wait),
        wait_duration: Field::Value(Wait::For { value: 1, unit: WaitUnit::Days }),
        ..StepInput::default()
    }
}

fn condition(key: &str, on_true: &str, on_false: &str) -> StepInput {
    StepInput {
        key: Some(key.into()),
        step_type: Some(StepType::Condition),
        condition_rules: Field::Value(json!({ "field": "tags", "op": "contains", "value": "vip" })),
        on_true: to(on_true),
        on_false: to(on_false),
        ..StepInput::default()
    }
}

fn exit(key: &str) -> StepInput {
    StepInput {
        key: Some(key.into()),
        step_type: Some(StepType::Action),
        action: Field::Value(StepAction::Exit),
        ..StepInput::default()
    }
}

/// An empty name stands for no target.
fn to(name: &str) -> Field<TargetRef> {
    match name {
        "" => Field::Absent,
        "end" => Field::Value(TargetRef::End),
        name => Field::Value(TargetRef::Step(name.into())),
    }
}

fn judge(kind: CampaignType, registered: &[RegisteredStep], inputs: &[StepInput]) -> Result<Plan, FieldProblems> {
    let mut templates = MockTemplates::new();
    templates.expect_check().returning(|_, _| Ok(()));
    let (campaign, mails) = (CampaignId(Uuid::nil()), Mails::default());
    plan(inputs, &Authoring { campaign, kind, launched: false, registered, mails: &mails, templates: &templates })
}

fn drip(inputs: &[StepInput]) -> Result<Sequence, FieldProblems> {
    judge(CampaignType::Drip, &[], inputs).map(built)
}

fn built(plan: Plan) -> Sequence {
    let ids = (0..plan.new_steps()).map(|n| StepId(Uuid::from_u128(n as u128 + 1))).collect();
    let first = StepNo(plan.last_no().0 + 1);
    plan.into_sequence(ids, first).unwrap().0
}

fn codes<T: std::fmt::Debug>(result: Result<T, FieldProblems>) -> Vec<(String, String)> {
    result.unwrap_err().0.into_iter().map(|p| (p.pointer, p.code)).collect()
}

fn pair(pointer: &str, code: &str) -> (String, String) {
    (pointer.into(), code.into())
}

#[test]
fn an_empty_sequence_is_a_sequence() {
    assert_eq!(drip(&[]), Ok(Sequence::default()));
}

#[test]
fn an_absent_target_is_the_next_in_order_and_the_last_leads_out() {
    let sequence = drip(&[email("a"), condition("b", "", "end"), wait("c")]).unwrap();
    assert_eq!(sequence.steps[0].targets(), [Target::Step(StepNo(2))]);
    assert_eq!(sequence.steps[1].targets(), [Target::Step(StepNo(3)), Target::End]);
    assert_eq!(sequence.steps[2].targets(), [Target::End]);
    assert!(sequence.steps[0].explicit.is_none());
    assert_eq!(sequence.steps[1].explicit, Explicit { on_false: true, ..Explicit::default() });
    assert_eq!(sequence.steps[2].name, "Step 3");
}

#[test]
fn what_an_author_wrote_can_be_read_back() {
    let mut tagged = exit("f");
    tagged.action = Field::Value(StepAction::AddTag { tag: "late".into() });
    tagged.next = to("b");
    let sequence = drip(&[email("a"), wait("b"), condition("c", "d", "f"), email("d"), exit("e"), tagged]).unwrap();
    let again: Vec<_> = sequence.steps.iter().map(|step| StepInput::of(step, &sequence)).collect();
    let registered: Vec<_> = sequence
        .steps
        .iter()
        .map(|step| RegisteredStep { no: step.no, id: step.id, step_type: step.step_type() })
        .collect();
    let replanned = judge(CampaignType::Drip, &registered, &again).unwrap();
    assert_eq!(replanned.new_steps(), 0);
    assert_eq!(replanned.into_sequence(vec![], StepNo(7)).unwrap().0, sequence);
}

#[test]
fn a_target_that_is_not_there_is_named() {
    let mut first = email("a");
    first.next = to("nowhere");
    let found = codes(drip(&[first, condition("b", "gone", "end")]));
    assert_eq!(found, [pair("/0/nextStepId", "unknown_step"), pair("/1/trueNextStepId", "unknown_step")]);
}

#[test]
fn a_step_nobody_comes_to_is_named() {
    let mut first = email("a");
    first.next = to("c");
    assert_eq!(codes(drip(&[first, email("b"), email("c")])), [pair("/1", "unreachable")]);
    assert_eq!(codes(drip(&[exit("a"), email("b")])), [pair("/1", "unreachable")], "nobody goes on after an exit");
}

#[test]
fn a_loop_needs_a_wait() {
    let again = [email("a"), condition("b", "a", "end")];
    assert_eq!(codes(drip(&again)), [pair("/1/trueNextStepId", "loop_without_wait")]);
    assert!(drip(&[email("a"), wait("w"), condition("b", "a", "end")]).is_ok());
    let mut own = email("a");
    own.next = to("a");
    assert_eq!(codes(drip(&[own])), [pair("/0/nextStepId", "loop_without_wait")]);
}

#[test]
fn a_broadcast_has_one_email() {
    let found = codes(judge(CampaignType::Broadcast, &[], &[email("a"), wait("b"), email("c")]));
    assert_eq!(found, [pair("/2/stepType", "too_many_email_steps")]);
}

#[test]
fn keys_and_ids_are_unique_and_known() {
    let id = StepId(Uuid::from_u128(9));
    let known = [RegisteredStep { no: StepNo(4), id, step_type: StepType::Email }];
    let with = |id, input: StepInput| StepInput { id: Some(id), ..input };
    let found = codes(judge(CampaignType::Drip, &known, &[email("a"), email("a"), email("end")]));
    assert_eq!(found, [pair("/1/key", "duplicate"), pair("/2/key", "invalid")]);
    let found = codes(judge(CampaignType::Drip, &known, &[with(id, email("a")), with(id, email("b"))]));
    assert_eq!(found, [pair("/1/id", "duplicate")]);
    let found = codes(judge(CampaignType::Drip, &known, &[with(id, wait("a"))]));
    assert_eq!(found, [pair("/0/stepType", "fixed")]);
    let stranger = StepId(Uuid::from_u128(8));
    assert_eq!(
        codes(judge(CampaignType::Drip, &known, &[with(stranger, email("a"))])),
        [pair("/0/id", "unknown_step")]
    );

    let sequence = built(judge(CampaignType::Drip, &known, &[email("a"), with(id, email("b"))]).unwrap());
    assert_eq!(sequence.steps.iter().map(|step| step.no.0).collect::<Vec<_>>(), [5, 4]);
}

#[test]
fn a_hundred_steps_are_enough() {
    let steps: Vec<_> = (0..=MAX_STEPS).map(|n| email(&n.to_string())).collect();
    assert_eq!(codes(drip(&steps)), [pair("", "too_many")]);
    assert!(drip(&steps[1..]).is_ok());
}

#[test]
fn numbers_that_run_out_make_no_sequence() {
    let plan = judge(CampaignType::Drip, &[], &[email("a"), email("b")]).unwrap();
    let ids = vec![StepId(Uuid::nil()), StepId(Uuid::max())];
    assert_eq!(plan.into_sequence(ids, StepNo(i16::MAX)), None);
}

/// Any steps with any targets: half of them nonsense.
fn any_steps() -> impl Strategy<Value = Vec<StepInput>> {
    let target = |count: usize| prop_oneof![3 => Just(String::new()), 1 => Just("end".to_owned()), 3 => (0..count).prop_map(|n| n.to_string())];
    (1..9_usize).prop_flat_map(move |count| {
        let step = (0..4_u8, target(count), target(count));
        prop::collection::vec(step, count).prop_map(|steps| {
            let inputs = steps.into_iter().enumerate().map(|(n, (kind, one, two))| {
                let key = n.to_string();
                let plain = match kind {
                    0 => return condition(&key, &one, &two),
                    1 => wait(&key),
                    2 if one.is_empty() => return exit(&key),
                    _ => email(&key),
                };
                StepInput { next: to(&one), ..plain }
            });
            inputs.collect()
        })
    })
}

proptest! {
    /// From every step, whatever its conditions say, a contact comes to a wait or to the end within as many steps as
    /// there are.
    #[test]
    fn whatever_is_accepted_ends_or_waits(inputs in any_steps(), turns in prop::collection::vec(any::<bool>(), 9)) {
        let Ok(sequence) = drip(&inputs) else { return Ok(()) };
        for start in &sequence.steps {
            let mut at = Target::Step(start.no);
            let mut walked = 0;
            while let Target::Step(no) = at {
                let step = sequence.step(no).expect("every target is there");
                if step.step_type() == StepType::Wait {
                    break;
                }
                walked += 1;
                prop_assert!(walked <= sequence.steps.len(), "walks in circles without a wait");
                let targets = step.targets();
                at = targets[usize::from(targets.len() > 1 && turns[walked % turns.len()])];
            }
        }
    }

    /// Judging never panics and every refusal has a reason.
    #[test]
    fn whatever_is_refused_says_why(inputs in any_steps()) {
        if let Err(problems) = drip(&inputs) {
            prop_assert!(!problems.0.is_empty());
        }
    }
}

#[test]
fn a_stored_sequence_reads_back_as_it_was() {
    let sequence = drip(&[email("a"), wait("b"), condition("c", "d", "end"), exit("d")]).unwrap();
    let rule = Rule::parse(&json!({ "field": "tags", "op": "contains", "value": "vip" })).unwrap();
    assert!(matches!(&sequence.steps[2].kind, StepKind::Condition { rule: stored, .. } if *stored == rule));
    let json = serde_json::to_value(&sequence).unwrap();
    assert_eq!(serde_json::from_value::<Sequence>(json).unwrap(), sequence);
}
