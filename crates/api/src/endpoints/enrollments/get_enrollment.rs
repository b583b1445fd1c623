//! `GET /api/campaigns/{id}/enrollments/{contactId}`

use super::enrollment::EnrollmentResponse;
use crate::extract::{CampaignsRead, Can, InPath};
use crate::problem::Problem;
use crate::timestamp::Timestamp;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::decision::Resolution;
use muster_domain::model::delivery::DeliveryState;
use muster_domain::model::enrollment::Passage;
use muster_domain::model::events::{EventKind, Machine};
use muster_domain::model::ids::{CampaignId, ContactId, StepId, StepNo};
use muster_domain::ports::analytics::{Happened, HistoryEvent};
use muster_domain::usecases::get_enrollment::{self as story, Way};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// One contact's way through a campaign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EnrollmentHistory)]
pub(crate) struct WayResponse {
    /// Where the contact stands.
    enrollment: EnrollmentResponse,
    /// What happened, in order.
    events: Vec<EventResponse>,
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EnrollmentEvent)]
pub(crate) struct EventResponse {
    /// When.
    at: Timestamp,
    /// What: `enrolled`, `wait_began`, `wait_ended`, `wait_cancelled`, `condition_true`, `condition_false`, `action_done`,
    /// `email_queued`, `completed`, `exited`, and of a mail `email_pending`, `email_sending`, `email_sent`, `email_failed`,
    /// `email_suppressed`, `email_skipped`, `email_in_doubt`, `email_cancelled`; of one that had ended, `email_retried` and
    /// `email_resolved`; of what was done with one, `email_opened`, `email_clicked`, `email_replied`, `email_refused`,
    /// `email_bounced`, `email_complained`, `email_delivered`, `email_unsubscribed`.
    #[serde(rename = "type")]
    what: &'static str,
    /// At which step.
    #[schema(required)]
    step_id: Option<Uuid>,
    /// Its name.
    #[schema(required)]
    step_name: Option<String>,
    /// Why, with `exited`; on what grounds, with `email_retried` and `email_resolved`: `hand`, `late_answer`, `bounce`,
    /// `event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// How often the mail was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i16>,
    /// What the mail server said, or why there was no mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The link that was followed, as it stands in the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// Why it is taken for a program's doing and not a person's: `head`, `agent`, `too_soon`, `every_link`, `hidden_link`,
    /// `auto_reply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'static str>,
}

/// Everything that happened to one contact in a campaign, and why: each step, decision and mail, and what was done with it.
#[utoipa::path(
    operation_id = "get_enrollment",
    tag = "enrollments",
    params(("id" = Uuid, Path, description = "The campaign"), ("contactId" = Uuid, Path, description = "The contact")),
    responses((status = 200, description = "The way of the contact", body = WayResponse))
)]
#[get("/{id}/enrollments/{contactId}")]
pub(crate) async fn get_enrollment(caller: Can<CampaignsRead>, path: InPath<(CampaignId, ContactId)>) -> Answer {
    let (id, contact) = path.0;
    let way = caller.read(async |tx| story::get_enrollment(tx, id, contact).await).await?;
    Ok(HttpResponse::Ok().json(WayResponse::from(way.ok_or(Problem::NotFound)?)))
}

impl From<Way> for WayResponse {
    fn from(way: Way) -> Self {
        let names: HashMap<StepNo, (StepId, String)> =
            way.steps.into_iter().map(|(no, id, name)| (no, (id, name))).collect();
        let enrolled = EventResponse::new(way.enrollment.enrolled_at.into(), "enrolled", None);
        let told = way.events.into_iter().map(|event| {
            let named = names.get(&event.step).cloned();
            EventResponse::of(event, named)
        });
        let events = std::iter::once(enrolled).chain(told).collect();
        Self { enrollment: EnrollmentResponse::new(&way.campaign, way.enrollment), events }
    }
}

impl EventResponse {
    fn new(at: Timestamp, what: &'static str, step: Option<(StepId, String)>) -> Self {
        let (step_id, step_name) = step.map(|(id, name)| (id.0, name)).unzip();
        Self { at, what, step_id, step_name, reason: None, attempts: None, detail: None, link: None, machine: None }
    }

    fn of(event: HistoryEvent, step: Option<(StepId, String)>) -> Self {
        let at = event.at.into();
        match event.what {
            Happened::Passed(Passage::Left(reason)) => {
                Self { reason: Some(reason.as_str()), ..Self::new(at, "exited", step) }
            }
            Happened::Passed(passage) => Self::new(at, passed(passage), step),
            Happened::Mail { state, attempts, detail } => {
                Self { attempts: Some(attempts), detail, ..Self::new(at, mail(state), step) }
            }
            Happened::Decided { resolution, evidence, detail } => {
                let what = if resolution == Resolution::Resend { "email_retried" } else { "email_resolved" };
                Self { reason: Some(evidence), detail, ..Self::new(at, what, step) }
            }
            Happened::Engaged { kind, link, machine } => {
                Self { link, machine: machine.map(Machine::as_str), ..Self::new(at, engaged(kind), step) }
            }
        }
    }
}

fn passed(passage: Passage) -> &'static str {
    match passage {
        Passage::WaitBegan => "wait_began",
        Passage::WaitEnded => "wait_ended",
        Passage::WaitCancelled => "wait_cancelled",
        Passage::True => "condition_true",
        Passage::False => "condition_false",
        Passage::Acted => "action_done",
        Passage::Queued => "email_queued",
        Passage::Ended => "completed",
        Passage::Left(_) => "exited",
    }
}

fn mail(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending | DeliveryState::Claimed => "email_pending",
        DeliveryState::Sending => "email_sending",
        DeliveryState::Sent => "email_sent",
        DeliveryState::Failed => "email_failed",
        DeliveryState::Suppressed => "email_suppressed",
        DeliveryState::Skipped => "email_skipped",
        DeliveryState::InDoubt => "email_in_doubt",
        DeliveryState::Cancelled => "email_cancelled",
    }
}

fn engaged(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Opened => "email_opened",
        EventKind::Clicked => "email_clicked",
        EventKind::Replied => "email_replied",
        EventKind::Refused => "email_refused",
        EventKind::Bounced => "email_bounced",
        EventKind::Complained => "email_complained",
        EventKind::Delivered => "email_delivered",
        EventKind::Unsubscribed => "email_unsubscribed",
    }
}
