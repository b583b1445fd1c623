//! What pausing, resuming and completing share.

use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::problem::Problem;
use muster_domain::usecases::pause_campaign::TransitionError;
use serde::Serialize;
use utoipa::ToSchema;

impl From<TransitionError> for Problem {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::NotFound => Self::NotFound,
            TransitionError::InvalidTransition(refused) => Self::InvalidTransition(refused),
            TransitionError::Stale => Self::Store(muster_domain::ports::store::StoreError::Conflict),
            TransitionError::Store(error) => Self::Store(error),
        }
    }
}

/// A campaign that was moved on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transition)]
pub(crate) struct TransitionResponse {
    /// Always true: what fails is told as a problem.
    pub(crate) success: bool,
    /// The campaign as it is now.
    pub(crate) campaign: CampaignResponse,
}
