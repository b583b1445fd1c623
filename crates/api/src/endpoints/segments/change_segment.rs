//! `PATCH /api/segments/{id}`

use super::rule_schema::RuleSchema;
use super::segment::SegmentResponse;
use crate::extract::{AudienceWrite, Body, Can, Fields, FromFields, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::patch;
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::change_segment::{self as story, ChangeSegment, ChangeSegmentError};
use serde_json::Value;
use utoipa::ToSchema;

/// What is to be different; what is absent stays.
#[derive(ToSchema)]
#[schema(as = ChangeSegment, rename_all = "camelCase")]
pub(crate) struct ChangeRequest {
    /// Its new name.
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// Its new rules; dynamic segments only.
    #[schema(value_type = Option<RuleSchema>, nullable = false)]
    rules: Option<Value>,
}

impl FromFields for ChangeRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.replace("name", |value| value.line(1..=200));
        let rules = fields.replace("rules", |value| Some(value.raw()));
        Some(Self { name: name?, rules: rules? })
    }
}

impl From<ChangeSegmentError> for Problem {
    fn from(error: ChangeSegmentError) -> Self {
        match error {
            ChangeSegmentError::NotFound => Self::NotFound,
            ChangeSegmentError::Invalid(problems) => Self::Invalid(problems),
            ChangeSegmentError::Store(error) => Self::Store(error),
        }
    }
}

/// Changes a segment's name or rules; its kind stays. Who is enrolled somewhere already stays there.
#[utoipa::path(
    operation_id = "change_segment",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment")),
    request_body = ChangeRequest,
    responses((status = 200, description = "The segment", body = SegmentResponse))
)]
#[patch("/{id}")]
pub(crate) async fn change_segment(
    caller: Can<AudienceWrite>,
    InPath(id): InPath<SegmentId>,
    body: Body<ChangeRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let command = ChangeSegment { id, name: body.name.clone(), rules: body.rules.clone() };
            let segment = story::change_segment(tx, command).await?;
            Reply::ok(&SegmentResponse::from(segment))
        })
        .await
}
