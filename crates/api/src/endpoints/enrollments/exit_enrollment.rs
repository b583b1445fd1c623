//! `POST /api/campaigns/{id}/enrollments/{contactId}/exit`

use super::enrollment::EnrollmentResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::{CampaignId, ContactId};
use muster_domain::usecases::exit_enrollment::{self as story, ExitError};

impl From<ExitError> for Problem {
    fn from(error: ExitError) -> Self {
        match error {
            ExitError::NotFound => Self::NotFound,
            ExitError::Ended => Self::Conflict("The enrollment has ended before."),
            ExitError::Store(error) => Self::Store(error),
        }
    }
}

/// Takes one contact out of a campaign: mail to it that has not begun is cancelled, and none begins after the answer.
#[utoipa::path(
    operation_id = "exit_enrollment",
    tag = "enrollments",
    params(("id" = Uuid, Path, description = "The campaign"), ("contactId" = Uuid, Path, description = "The contact")),
    responses((status = 200, description = "The enrollment, exited", body = EnrollmentResponse))
)]
#[post("/{id}/enrollments/{contactId}/exit")]
pub(crate) async fn exit_enrollment(
    caller: Can<CampaignsLaunch>,
    path: InPath<(CampaignId, ContactId)>,
    body: Body<Nothing>,
) -> Answer {
    let (id, contact) = path.0;
    caller
        .write(&body.repeat, async |tx| {
            let (campaign, enrollment) = story::exit_enrollment(tx, id, contact).await?;
            Reply::ok(&EnrollmentResponse::new(&campaign, enrollment))
        })
        .await
}
