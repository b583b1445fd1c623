//! `POST /api/campaigns`

use super::campaign::CampaignResponse;
use super::fields::{ScheduleRequest, SettingsRequest, read_content};
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::campaign::CampaignType;
use muster_domain::model::content::ContentInput;
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::create_campaign::{self as story, CreateCampaign, CreateError};
use utoipa::ToSchema;
use uuid::Uuid;

/// The campaign to make.
#[derive(ToSchema)]
#[schema(as = CreateCampaign, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `CreateRequest` reads")]
pub(crate) struct CreateFields {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(max_length = 2000)]
    description: Option<String>,
    #[schema(schema_with = crate::openapi::campaign_type)]
    campaign_type: String,
    /// Its audience.
    segment_id: Uuid,
    #[schema(format = "email", max_length = 254)]
    from_email: String,
    #[schema(min_length = 1, max_length = 200)]
    from_name: String,
    #[schema(format = "email", max_length = 254)]
    reply_to_email: Option<String>,
    schedule: Option<ScheduleRequest>,
    settings: Option<SettingsRequest>,
}

/// The same, read.
pub(crate) struct CreateRequest(CreateCampaign);

impl FromFields for CreateRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let names = CampaignType::ALL.map(CampaignType::as_str);
        let missing: Vec<_> = ["name", "fromEmail", "fromName"].into_iter().filter(|name| !fields.has(name)).collect();
        for name in missing {
            fields.refuse(name, "required", "is required");
        }
        let campaign_type = fields.required("campaignType", |value| value.one_of(&names, CampaignType::parse));
        let segment_id = fields.required("segmentId", |value| value.uuid().map(SegmentId));
        let content: Option<ContentInput> = read_content(fields);
        Some(Self(CreateCampaign {
            campaign_type: Some(campaign_type?),
            segment_id: Some(segment_id?),
            content: content?,
        }))
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid(problems) => Self::Invalid(problems),
            CreateError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes a draft without steps.
#[utoipa::path(
    operation_id = "create_campaign",
    tag = "campaigns",
    request_body = CreateFields,
    responses((status = 201, description = "The campaign", body = CampaignResponse,
        headers(("Location" = String), ("ETag" = String))))
)]
#[post("")]
pub(crate) async fn create_campaign(caller: Can<CampaignsWrite>, body: Body<CreateRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let campaign = story::create_campaign(tx, &caller, body.value.0.clone()).await?;
            let location = format!("/api/campaigns/{}", campaign.id);
            Ok(Reply::created(location, &CampaignResponse::new(&campaign, &caller))?.etag(campaign.version))
        })
        .await
}
