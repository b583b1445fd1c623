//! `PATCH /api/campaigns/{id}`

use super::campaign::CampaignResponse;
use super::fields::{ScheduleRequest, SettingsRequest, change, read_content};
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields, IfMatch, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::patch;
use muster_domain::model::content::ContentInput;
use muster_domain::model::field::Field;
use muster_domain::model::ids::{CampaignId, SegmentId};
use muster_domain::usecases::change_campaign::{self as story, ChangeCampaign, ChangeError};
use utoipa::ToSchema;
use uuid::Uuid;

/// What changes. What is absent stays, null clears.
#[derive(ToSchema)]
#[schema(as = ChangeCampaign, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `ChangeRequest` reads")]
pub(crate) struct ChangeFields {
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// In drafts and scheduled campaigns only.
    #[schema(nullable = false)]
    segment_id: Option<Uuid>,
    #[schema(format = "email", max_length = 254, nullable = false)]
    from_email: Option<String>,
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    from_name: Option<String>,
    #[schema(format = "email", max_length = 254)]
    reply_to_email: Option<String>,
    schedule: Option<ScheduleRequest>,
    settings: Option<SettingsRequest>,
}

/// The same, read.
pub(crate) struct ChangeRequest {
    segment_id: Field<SegmentId>,
    content: ContentInput,
}

impl FromFields for ChangeRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let segment_id = change(fields, "segmentId", |value| value.uuid().map(SegmentId));
        let content = read_content(fields);
        Some(Self { segment_id: segment_id?, content: content? })
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::InvalidTransition(refused) => Self::InvalidTransition(refused),
            ChangeError::VersionMismatch(_) => Self::VersionMismatch,
            ChangeError::Invalid(problems) => Self::Invalid(problems),
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// Changes a campaign, unless it is completed; its audience only before the launch. Within `schedule` and `settings`
/// too, what is absent stays. A new `schedule.startAt` of a scheduled campaign moves its start.
#[utoipa::path(
    operation_id = "change_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign"), ("If-Match" = Option<String>, Header)),
    request_body = ChangeFields,
    responses(
        (status = 200, description = "The campaign as it is now", body = CampaignResponse, headers(("ETag" = String))),
        (status = 409, description = "Its status forbids it", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[patch("/{id}")]
pub(crate) async fn change_campaign(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    IfMatch(expected): IfMatch,
    body: Body<ChangeRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let ChangeRequest { segment_id, content } = &body.value;
            let command = ChangeCampaign { id, expected, segment_id: segment_id.clone(), content: content.clone() };
            let campaign = story::change_campaign(tx, command).await?;
            Ok(Reply::ok(&CampaignResponse::new(&campaign, &caller))?.etag(campaign.version))
        })
        .await
}
