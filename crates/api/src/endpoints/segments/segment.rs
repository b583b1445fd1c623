//! A segment as answers show it.

use super::rule_schema::RuleSchema;
use crate::timestamp::Timestamp;
use muster_domain::model::rules::Rule;
use muster_domain::model::segment::{Segment, SegmentKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

/// The kinds of segments.
pub(super) const KINDS: [SegmentKind; 2] = [SegmentKind::Static, SegmentKind::Dynamic];

/// The same for the documentation.
pub(super) fn kinds() -> Object {
    let description =
        "`static`: contacts are put on its list; `dynamic`: whoever its rules hold for. Stays as it was made.";
    crate::openapi::one_of(KINDS.map(SegmentKind::as_str)).description(Some(description)).build()
}

/// A segment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Segment)]
pub(crate) struct SegmentResponse {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    #[schema(schema_with = kinds)]
    kind: SegmentKind,
    /// Its rules; null for a static one.
    #[schema(required, value_type = Option<RuleSchema>)]
    rules: Option<Rule>,
    /// How many contacts are members now; only where one segment is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    contact_count: Option<i64>,
    /// When it was made.
    created_at: Timestamp,
    /// When its name or rules were last changed.
    updated_at: Timestamp,
}

impl From<Segment> for SegmentResponse {
    fn from(segment: Segment) -> Self {
        Self {
            id: segment.id.0,
            name: segment.name,
            kind: segment.definition.kind(),
            rules: segment.definition.rules().cloned(),
            contact_count: None,
            created_at: segment.created_at.into(),
            updated_at: segment.updated_at.into(),
        }
    }
}

impl SegmentResponse {
    /// With its size.
    pub(super) fn of_size(self, contacts: i64) -> Self {
        Self { contact_count: Some(contacts), ..self }
    }
}
