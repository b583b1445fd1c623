//! `POST /api/segments`

use super::rule_schema::RuleSchema;
use super::segment::{KINDS, SegmentResponse};
use crate::extract::{AudienceWrite, Body, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::segment::SegmentKind;
use muster_domain::usecases::create_segment::{self as story, CreateSegment, CreateSegmentError};
use serde_json::Value;
use utoipa::ToSchema;

/// The segment to make.
#[derive(ToSchema)]
#[schema(as = CreateSegment, rename_all = "camelCase")]
pub(crate) struct CreateRequest {
    /// Its name; need not be unique.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = super::segment::kinds)]
    kind: SegmentKind,
    /// Needed by a dynamic segment and by no other.
    #[schema(value_type = Option<RuleSchema>)]
    rules: Option<Value>,
}

impl FromFields for CreateRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |value| value.line(1..=200));
        let kind = fields.required("kind", |value| value.one_of(&KINDS.map(SegmentKind::as_str), parse_kind));
        let rules = fields.optional("rules", |value| Some(value.raw()));
        Some(Self { name: name?, kind: kind?, rules: rules? })
    }
}

fn parse_kind(name: &str) -> Option<SegmentKind> {
    KINDS.into_iter().find(|kind| kind.as_str() == name)
}

impl From<&CreateRequest> for CreateSegment {
    fn from(request: &CreateRequest) -> Self {
        Self { name: request.name.clone(), kind: request.kind, rules: request.rules.clone() }
    }
}

impl From<CreateSegmentError> for Problem {
    fn from(error: CreateSegmentError) -> Self {
        match error {
            CreateSegmentError::Invalid(problems) => Self::Invalid(problems),
            CreateSegmentError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes a segment. A rule is a comparison `{field, op, value}`, or `{all: […]}`, `{any: […]}`, `{not: {…}}` over rules,
/// at most 8 deep and with at most 100 comparisons.
///
/// `field` is `email`, `firstName`, `lastName`, `company`, `jobTitle`, `city`, `state`, `country`, `timezone`, `tags`,
/// `leadScore` or `customFields.<name>`; `op` is `eq`, `ne`, `in`, `contains`, `startsWith`, `exists`, and for `leadScore`
/// and custom fields `lt`, `lte`, `gt`, `gte`. Text compares without regard to case; `ne` holds for an absent field too.
#[utoipa::path(
    operation_id = "create_segment",
    tag = "segments",
    request_body = CreateRequest,
    responses((status = 201, description = "The segment", body = SegmentResponse, headers(("Location" = String))))
)]
#[post("")]
pub(crate) async fn create_segment(caller: Can<AudienceWrite>, body: Body<CreateRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let segment = story::create_segment(tx, CreateSegment::from(&body.value)).await?;
            Reply::created(format!("/api/segments/{}", segment.id), &SegmentResponse::from(segment))
        })
        .await
}
