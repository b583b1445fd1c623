//! What one step may say, judged field by field.

use super::{MAX_BODY, MAX_STEP_NAME, MAX_SUBJECT, MAX_VARIANTS, MAX_WAIT, StepBody, StepInput};
use crate::model::campaign::CampaignType;
use crate::model::contact::TEXT_FIELDS;
use crate::model::contact::edit::{ContactEdit, check_custom_name, check_tag};
use crate::model::effects::ContactChange;
use crate::model::field::Field;
use crate::model::problem::FieldProblems;
use crate::model::rules::Rule;
use crate::model::sequence::{EmailContent, StepAction, StepType, Variant, Wait};
use crate::model::text::{check_line, check_prose, is_unprintable};
use crate::ports::templates::{TemplateKind, Templates};
use chrono::TimeDelta;
use serde_json::Value;

impl StepInput {
    /// What the step does, or `None` with every bad field noted; pointers begin at the step.
    pub fn body(
        &self,
        kind: CampaignType,
        templates: &dyn Templates,
        problems: &mut FieldProblems,
    ) -> Option<StepBody> {
        let before = problems.0.len();
        if let Field::Value(name) = &self.name {
            check_line(problems, "/name", name, MAX_STEP_NAME);
        }
        let Some(step_type) = self.step_type else {
            problems.add("/stepType", "required", "one of email, wait, condition, action");
            return None;
        };
        self.check_fields_fit(step_type, problems);
        let body = match step_type {
            StepType::Email => self.email(kind, templates, problems).map(StepBody::Email),
            StepType::Wait => self.wait(problems).map(StepBody::Wait),
            StepType::Condition => self.condition(problems).map(StepBody::Condition),
            StepType::Action => self.action(problems).map(StepBody::Action),
        };
        body.filter(|_| problems.0.len() == before)
    }

    /// Fields of another type of step would be stored and ignored: they are refused instead.
    fn check_fields_fit(&self, step_type: StepType, problems: &mut FieldProblems) {
        use StepType::{Condition, Email};
        let fields = [
            ("/subjectLine", self.subject_line.is_value(), step_type == Email),
            ("/emailContent", self.email_content.is_value(), step_type == Email),
            ("/textContent", self.text_content.is_value(), step_type == Email),
            ("/variants", matches!(&self.variants, Field::Value(v) if !v.is_empty()), step_type == Email),
            ("/waitDuration", self.wait_duration.is_value(), step_type == StepType::Wait),
            ("/waitUntil", self.wait_until.is_value(), step_type == StepType::Wait),
            ("/conditionRules", self.condition_rules.is_value(), step_type == Condition),
            ("/action", self.action.is_value(), step_type == StepType::Action),
            ("/nextStepId", self.next.is_value(), step_type != Condition),
            ("/trueNextStepId", self.on_true.is_value(), step_type == Condition),
            ("/falseNextStepId", self.on_false.is_value(), step_type == Condition),
        ];
        for (pointer, given, fits) in fields {
            if given && !fits {
                problems.add(
                    pointer,
                    "not_applicable",
                    format!("a step of type {} has no such field", step_type.as_str()),
                );
            }
        }
    }

    fn email(
        &self,
        kind: CampaignType,
        templates: &dyn Templates,
        problems: &mut FieldProblems,
    ) -> Option<EmailContent> {
        let subject = self.subject_line.clone().value();
        let html = self.email_content.clone().value();
        check_mail(problems, "", subject.as_deref(), html.as_deref(), templates);
        let text_content = self.text_content.clone().value();
        if let Some(text) = &text_content {
            check_body(problems, "/textContent", text, TemplateKind::Text, templates);
        }
        let variants = self.variants.clone().value().unwrap_or_default();
        if kind != CampaignType::AbTest && !variants.is_empty() {
            problems.add("/variants", "not_applicable", "only an ab_test campaign has variants");
        }
        check_variants(problems, &variants, templates);
        Some(EmailContent { subject_line: subject?, email_content: html?, text_content, variants })
    }

    fn wait(&self, problems: &mut FieldProblems) -> Option<Wait> {
        match (self.wait_duration.as_ref(), self.wait_until.as_ref()) {
            (Field::Value(_), Field::Value(_)) => {
                problems.add("/waitUntil", "not_applicable", "a wait has a waitDuration or a waitUntil, not both");
                None
            }
            (Field::Value(wait), _) => {
                if !wait.duration().is_some_and(|long| long > TimeDelta::zero() && long <= MAX_WAIT) {
                    let detail = format!("a wait lasts at least a minute and at most {} days", MAX_WAIT.num_days());
                    problems.add("/waitDuration/value", "out_of_range", detail);
                }
                Some(wait.clone())
            }
            (_, Field::Value(wait)) => {
                if matches!(wait, Wait::Until { weekday: None, time_of_day: None }) {
                    problems.add("/waitUntil", "required", "a weekday, a timeOfDay, or both");
                }
                Some(wait.clone())
            }
            (_, _) => {
                problems.add("/waitDuration", "required", "a wait needs a waitDuration or a waitUntil");
                None
            }
        }
    }

    fn condition(&self, problems: &mut FieldProblems) -> Option<Rule> {
        let Field::Value(rules) = &self.condition_rules else {
            problems.add("/conditionRules", "required", "a condition needs rules");
            return None;
        };
        problems.keep("/conditionRules", Rule::parse(rules))
    }

    fn action(&self, problems: &mut FieldProblems) -> Option<StepAction> {
        let Field::Value(action) = &self.action else {
            problems.add("/action", "required", "an action step needs an action");
            return None;
        };
        // Contacts carry their tags in the form that the check gives back.
        match action {
            StepAction::AddTag { tag } => {
                problems.keep("/action/tag", check_tag(tag)).map(|tag| StepAction::AddTag { tag })
            }
            StepAction::RemoveTag { tag } => {
                problems.keep("/action/tag", check_tag(tag)).map(|tag| StepAction::RemoveTag { tag })
            }
            StepAction::SetField { field, value } => {
                check_set_field(problems, field, value);
                Some(action.clone())
            }
            StepAction::Exit => Some(StepAction::Exit),
        }
    }
}

fn check_mail(
    problems: &mut FieldProblems,
    at: &str,
    subject: Option<&str>,
    html: Option<&str>,
    templates: &dyn Templates,
) {
    let pointer = format!("{at}/subjectLine");
    match subject {
        None => problems.add(pointer, "required", "an e-mail needs a subject"),
        Some(subject) => {
            check_line(problems, &pointer, subject, MAX_SUBJECT);
            // One reason is enough for what no header can carry.
            if !subject.contains(is_unprintable) {
                check_template(problems, &pointer, subject, TemplateKind::Header, templates);
            }
        }
    }
    let pointer = format!("{at}/emailContent");
    match html {
        None => problems.add(pointer, "required", "an e-mail needs content"),
        Some(html) => {
            if html.trim().is_empty() {
                problems.add(pointer.as_str(), "required", "a text that is not blank is needed");
            }
            check_body(problems, &pointer, html, TemplateKind::Html, templates);
        }
    }
}

fn check_body(problems: &mut FieldProblems, pointer: &str, text: &str, kind: TemplateKind, templates: &dyn Templates) {
    if text.len() > MAX_BODY {
        // Parsing something far too large would only cost time.
        problems.add(pointer, "too_long", format!("at most {} KiB", MAX_BODY / 1024));
        return;
    }
    check_prose(problems, pointer, text, MAX_BODY);
    check_template(problems, pointer, text, kind, templates);
}

fn check_template(
    problems: &mut FieldProblems,
    pointer: &str,
    text: &str,
    kind: TemplateKind,
    templates: &dyn Templates,
) {
    if let Err(error) = templates.check(kind, text) {
        problems.add(pointer, error.code, error.detail);
    }
}

fn check_variants(problems: &mut FieldProblems, variants: &[Variant], templates: &dyn Templates) {
    if variants.len() > MAX_VARIANTS {
        problems.add("/variants", "too_many", format!("at most {MAX_VARIANTS} variants"));
        return;
    }
    for (n, variant) in variants.iter().enumerate() {
        let at = format!("/variants/{n}");
        let name = format!("{at}/name");
        check_line(problems, &name, &variant.name, MAX_STEP_NAME);
        if variants.iter().take(n).any(|earlier| earlier.name == variant.name) {
            problems.add(name, "duplicate", "another variant has this name");
        }
        check_mail(problems, &at, Some(&variant.subject_line), Some(&variant.email_content), templates);
    }
}

/// A step may set what a caller may set, except for the address: that is who the contact is.
fn check_set_field(problems: &mut FieldProblems, field: &str, value: &Value) {
    let mut edit = ContactEdit::default();
    let fits = if let Some(name) = field.strip_prefix("customFields.") {
        if problems.keep("/action/field", check_custom_name(name)).is_none() {
            return;
        }
        edit.set_custom(name, value)
    } else if field != "email" && (field == "leadScore" || TEXT_FIELDS.contains(&field)) {
        edit.set(field, value)
    } else {
        let detail = "a contact field other than email and tags, leadScore, or customFields.<name>";
        problems.add("/action/field", "unknown_field", detail);
        return;
    };
    if problems.keep("/action/value", fits).is_some() && ContactChange::set(field, value).is_none() {
        problems.add("/action/value", "wrong_type", "the field cannot hold this");
    }
}
