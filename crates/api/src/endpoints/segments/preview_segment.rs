//! `POST /api/segments/preview`

use super::rule_schema::RuleSchema;
use crate::endpoints::contacts::ContactResponse;
use crate::extract::{AudienceRead, Body, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::usecases::preview_segment::{self as story, PreviewSegmentError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Rules to try.
#[derive(ToSchema)]
#[schema(as = PreviewSegment, rename_all = "camelCase")]
pub(crate) struct PreviewRequest {
    #[schema(value_type = RuleSchema)]
    rules: Value,
}

impl FromFields for PreviewRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rules = fields.required("rules", |value| Some(value.raw()));
        Some(Self { rules: rules? })
    }
}

/// Whom rules reach now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SegmentPreview)]
pub(crate) struct PreviewResponse {
    /// How many.
    count: i64,
    /// The first of them, at most 10.
    #[schema(max_items = 10)]
    sample: Vec<ContactResponse>,
}

impl From<PreviewSegmentError> for Problem {
    fn from(error: PreviewSegmentError) -> Self {
        match error {
            PreviewSegmentError::Invalid(problems) => Self::Invalid(problems),
            PreviewSegmentError::Store(error) => Self::Store(error),
        }
    }
}

/// Counts the contacts that rules reach and shows some of them; nothing is stored.
#[utoipa::path(
    operation_id = "preview_segment",
    tag = "segments",
    request_body = PreviewRequest,
    responses((status = 200, description = "Whom they reach", body = PreviewResponse))
)]
#[post("/preview")]
pub(crate) async fn preview_segment(caller: Can<AudienceRead>, body: Body<PreviewRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let preview = story::preview_segment(tx, &body.rules).await?;
            let sample = preview.sample.into_iter().map(ContactResponse::from).collect();
            Reply::ok(&PreviewResponse { count: preview.count, sample })
        })
        .await
}
