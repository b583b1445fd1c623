//! A step as answers show it.

use crate::endpoints::campaigns::campaign::TIME_OF_DAY;
use muster_domain::model::figures::Counts;
use muster_domain::model::ids::CampaignId;
use muster_domain::model::schedule::Weekday;
use muster_domain::model::sequence::{Sequence, Step, StepKind, Target, Variant, Wait};
use muster_domain::usecases::get_steps::CampaignSteps;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// The steps of a campaign, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = Steps)]
pub(crate) struct StepsResponse {
    data: Vec<StepResponse>,
}

impl From<&CampaignSteps> for StepsResponse {
    fn from(steps: &CampaignSteps) -> Self {
        Self { data: steps_of(steps) }
    }
}

/// A step. A target that its author did not name is null: it is the next in order, after the last the end.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Step)]
pub(crate) struct StepResponse {
    /// Stays the same for the campaign's life.
    pub(super) id: Uuid,
    campaign_id: Uuid,
    /// Its place, from 1.
    step_order: i16,
    name: String,
    #[schema(schema_with = crate::openapi::step_type)]
    step_type: &'static str,
    #[serde(flatten)]
    body: BodyResponse,
    stats: StatsResponse,
}

/// What a step does, by its type.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = StepBody)]
pub(crate) enum BodyResponse {
    /// `email`
    #[serde(rename_all = "camelCase")]
    Email {
        subject_line: String,
        email_content: String,
        #[schema(required)]
        text_content: Option<String>,
        /// Not supported yet: always null.
        #[schema(required)]
        template_id: Option<Uuid>,
        variants: Vec<VariantResponse>,
        #[schema(required)]
        next_step_id: Option<String>,
    },
    /// `wait`
    #[serde(rename_all = "camelCase")]
    Wait {
        #[schema(required)]
        wait_duration: Option<DurationResponse>,
        #[schema(required)]
        wait_until: Option<UntilResponse>,
        #[schema(required)]
        next_step_id: Option<String>,
    },
    /// `condition`
    #[serde(rename_all = "camelCase")]
    Condition {
        #[schema(value_type = Object)]
        condition_rules: Value,
        #[schema(required)]
        true_next_step_id: Option<String>,
        #[schema(required)]
        false_next_step_id: Option<String>,
    },
    /// `action`
    #[serde(rename_all = "camelCase")]
    Action {
        #[schema(value_type = Object, example = json!({"type": "add_tag", "tag": "vip"}))]
        action: Value,
        #[schema(required)]
        next_step_id: Option<String>,
    },
}

/// One variant of an A/B test.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Variant)]
pub(crate) struct VariantResponse {
    name: String,
    subject_line: String,
    email_content: String,
}

/// How long a wait lasts.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitDuration)]
pub(crate) struct DurationResponse {
    value: i32,
    /// `minutes`, `hours`, `days` or `weeks`.
    #[schema(value_type = String, example = "days")]
    unit: &'static str,
}

/// The local instant a wait waits for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitUntil)]
pub(crate) struct UntilResponse {
    #[schema(required, value_type = Option<String>, example = "mon")]
    weekday: Option<&'static str>,
    #[schema(required, example = "09:00")]
    time_of_day: Option<String>,
}

/// What came of a step over its whole life, counted as in `Figures`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StepStats)]
pub(crate) struct StatsResponse {
    emails_sent: i64,
    emails_delivered: i64,
    emails_bounced: i64,
    unique_opens: i64,
    all_unique_opens: i64,
    unique_clicks: i64,
    all_unique_clicks: i64,
    replies: i64,
    spam_complaints: i64,
    unsubscribes: i64,
}

impl From<Counts> for StatsResponse {
    fn from(counts: Counts) -> Self {
        Self {
            emails_sent: counts.sent,
            emails_delivered: counts.delivered(),
            emails_bounced: counts.bounces(),
            unique_opens: counts.opens.human_unique,
            all_unique_opens: counts.opens.unique,
            unique_clicks: counts.clicks.human_unique,
            all_unique_clicks: counts.clicks.unique,
            replies: counts.replied,
            spam_complaints: counts.complained,
            unsubscribes: counts.unsubscribed,
        }
    }
}

/// Every step of a campaign as answers show it.
pub(crate) fn steps_of(steps: &CampaignSteps) -> Vec<StepResponse> {
    let counts = |step: &Step| steps.counts.get(&step.no).copied().unwrap_or_default();
    steps
        .sequence
        .steps
        .iter()
        .map(|step| StepResponse::new(steps.campaign.id, step, &steps.sequence, counts(step)))
        .collect()
}

impl StepResponse {
    fn new(campaign: CampaignId, step: &Step, sequence: &Sequence, counts: Counts) -> Self {
        Self {
            id: step.id.0,
            campaign_id: campaign.0,
            step_order: step.order,
            name: step.name.clone(),
            step_type: step.step_type().as_str(),
            body: body(step, sequence),
            stats: counts.into(),
        }
    }
}

fn body(step: &Step, sequence: &Sequence) -> BodyResponse {
    let target = |explicit: bool, target: &Target| match target {
        _ if !explicit => None,
        Target::End => Some("end".to_owned()),
        Target::Step(no) => sequence.step(*no).map(|step| step.id.to_string()),
    };
    match &step.kind {
        StepKind::Email { content, next } => BodyResponse::Email {
            subject_line: content.subject_line.clone(),
            email_content: content.email_content.clone(),
            text_content: content.text_content.clone(),
            template_id: None,
            variants: content.variants.iter().map(VariantResponse::from).collect(),
            next_step_id: target(step.explicit.next, next),
        },
        StepKind::Wait { wait, next } => {
            let (wait_duration, wait_until) = waiting(wait);
            BodyResponse::Wait { wait_duration, wait_until, next_step_id: target(step.explicit.next, next) }
        }
        StepKind::Condition { rule, on_true, on_false } => BodyResponse::Condition {
            condition_rules: serde_json::to_value(rule).unwrap_or_default(),
            true_next_step_id: target(step.explicit.on_true, on_true),
            false_next_step_id: target(step.explicit.on_false, on_false),
        },
        StepKind::Action { action, next } => BodyResponse::Action {
            action: serde_json::to_value(action).unwrap_or_default(),
            next_step_id: target(step.explicit.next, next),
        },
    }
}

fn waiting(wait: &Wait) -> (Option<DurationResponse>, Option<UntilResponse>) {
    match wait {
        Wait::For { value, unit } => (Some(DurationResponse { value: *value, unit: unit.as_str() }), None),
        Wait::Until { weekday, time_of_day } => {
            let time_of_day = time_of_day.map(|time| time.format(TIME_OF_DAY).to_string());
            (None, Some(UntilResponse { weekday: weekday.map(Weekday::as_str), time_of_day }))
        }
    }
}

impl From<&Variant> for VariantResponse {
    fn from(variant: &Variant) -> Self {
        Self {
            name: variant.name.clone(),
            subject_line: variant.subject_line.clone(),
            email_content: variant.email_content.clone(),
        }
    }
}
