//! An enrollment as answers show it.

use crate::timestamp::Timestamp;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::enrollment::{EnrollmentStatus, Standing};
use muster_domain::model::lifecycle::Status;
use muster_domain::ports::analytics::EnrollmentView;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One contact in one campaign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Enrollment)]
pub(crate) struct EnrollmentResponse {
    /// The campaign.
    campaign_id: Uuid,
    /// The contact.
    contact_id: Uuid,
    /// Its address; null once the contact is erased.
    #[schema(required)]
    email: Option<String>,
    /// Where it stands; open enrollments of a paused campaign read `paused`.
    #[schema(value_type = String, example = "active")]
    status: EnrollmentStatus,
    /// Why it left, with `exited`.
    #[schema(required)]
    exit_reason: Option<&'static str>,
    /// The step at which it is, or which it enters next; the last one when it has ended.
    #[schema(required)]
    step_id: Option<Uuid>,
    /// The version of the sequence that it walks.
    sequence_version: i32,
    /// When it entered the campaign.
    enrolled_at: Timestamp,
    /// When it goes on by itself; null while a mail is on its way and at the end.
    #[schema(required)]
    due_at: Option<Timestamp>,
    /// When its last mail was accepted.
    #[schema(required)]
    last_email_sent_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    ended_at: Option<Timestamp>,
}

impl EnrollmentResponse {
    pub(super) fn new(campaign: &Campaign, enrollment: EnrollmentView) -> Self {
        Self {
            campaign_id: campaign.id.0,
            contact_id: enrollment.contact_id.0,
            email: enrollment.email,
            status: EnrollmentStatus::read(enrollment.standing, campaign.status() == Status::Paused),
            exit_reason: match enrollment.standing {
                Standing::Exited(reason) => Some(reason.as_str()),
                _ => None,
            },
            step_id: enrollment.step.map(|id| id.0),
            sequence_version: enrollment.version.0,
            enrolled_at: enrollment.enrolled_at.into(),
            due_at: enrollment.due_at.map(Into::into),
            last_email_sent_at: enrollment.last_email_sent_at.map(Into::into),
            ended_at: enrollment.ended_at.map(Into::into),
        }
    }
}
