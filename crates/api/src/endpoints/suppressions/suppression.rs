//! An entry of the list as answers show it.

use crate::timestamp::Timestamp;
use muster_domain::model::suppression::{Suppression, SuppressionReason};
use serde::Serialize;
use utoipa::ToSchema;

/// An address that is never mailed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Suppression)]
pub(crate) struct SuppressionResponse {
    /// The address, in lower case.
    #[schema(format = "email")]
    email: String,
    /// Why: `unsubscribed`, `bounced`, `complained`, `manual` or `erased`.
    #[schema(value_type = String, example = "manual")]
    reason: SuppressionReason,
    /// Where it comes from: `api`, the id of a campaign, or what a caller said.
    source: String,
    /// Since when.
    created_at: Timestamp,
}

impl From<Suppression> for SuppressionResponse {
    fn from(suppression: Suppression) -> Self {
        Self {
            email: suppression.email_key,
            reason: suppression.reason,
            source: suppression.source,
            created_at: suppression.created_at.into(),
        }
    }
}
