//! `POST /api/campaigns/{id}/enrollments`

use crate::extract::{Body, CampaignsLaunch, Can, Fields, FromFields, InPath, Item};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::{CampaignId, ContactId};
use muster_domain::usecases::enroll_contacts::{self as story, EnrollContacts, EnrollError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Whom to enroll.
#[derive(ToSchema)]
#[schema(as = EnrollContacts, rename_all = "camelCase")]
pub(crate) struct EnrollRequest {
    /// Contacts of this workspace; of its segment, when the campaign is triggered.
    #[schema(min_items = 1, max_items = 1000)]
    contact_ids: Vec<Uuid>,
}

impl FromFields for EnrollRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let contact_ids = fields.required("contactIds", |list| list.list(1..=1000, Item::uuid));
        Some(Self { contact_ids: contact_ids? })
    }
}

/// What became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Enrolled)]
pub(crate) struct EnrollResponse {
    /// New enrollments.
    enrolled: i64,
    /// Contacts that are or were in the campaign already; they stay as they are.
    already: i64,
}

impl From<EnrollError> for Problem {
    fn from(error: EnrollError) -> Self {
        match error {
            EnrollError::NotFound => Self::NotFound,
            EnrollError::InvalidTransition(refused) => Self::InvalidTransition(refused),
            EnrollError::Enrolling => {
                Self::Conflict("The campaign's audience is still being enrolled; try again when that is done.")
            }
            EnrollError::Invalid(problems) => Self::Invalid(problems),
            EnrollError::Store(error) => Self::Store(error),
        }
    }
}

/// Enrolls named contacts into an active or paused campaign, each once.
#[utoipa::path(
    operation_id = "enroll_contacts",
    tag = "enrollments",
    params(("id" = Uuid, Path, description = "The campaign")),
    request_body = EnrollRequest,
    responses((status = 200, description = "Enrolled", body = EnrollResponse))
)]
#[post("/{id}/enrollments")]
pub(crate) async fn enroll_contacts(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<EnrollRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let contacts = body.contact_ids.iter().copied().map(ContactId).collect();
            let joined = story::enroll_contacts(tx, EnrollContacts { id: id.0, contacts }).await?;
            Reply::ok(&EnrollResponse { enrolled: joined.enrolled, already: joined.already })
        })
        .await
}
