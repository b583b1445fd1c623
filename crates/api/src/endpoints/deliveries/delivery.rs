//! A delivery as answers show it.

use crate::problem::Problem;
use crate::state::ApiState;
use crate::timestamp::Timestamp;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use muster_domain::model::delivery::{DeliveryKey, DeliveryState};
use muster_domain::ports::deliveries::DeliveryView;
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use serde::Serialize;
use std::future::{Ready, ready};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

/// States as callers name them. One that a worker has claimed reads `pending`: nothing of it has begun.
pub(super) const STATES: [(&str, DeliveryState); 8] = [
    ("pending", DeliveryState::Pending),
    ("sending", DeliveryState::Sending),
    ("sent", DeliveryState::Sent),
    ("failed", DeliveryState::Failed),
    ("suppressed", DeliveryState::Suppressed),
    ("skipped", DeliveryState::Skipped),
    ("inDoubt", DeliveryState::InDoubt),
    ("cancelled", DeliveryState::Cancelled),
];

/// The names of the states, for the documentation.
pub(super) fn states() -> Object {
    crate::openapi::one_of(STATES.map(|(name, _)| name)).build()
}

fn name(state: DeliveryState) -> &'static str {
    let shown = if state == DeliveryState::Claimed { DeliveryState::Pending } else { state };
    STATES.into_iter().find(|(_, known)| *known == shown).map_or("pending", |(name, _)| name)
}

/// One mail to one contact.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub(crate) struct DeliveryResponse {
    /// Opaque, and the same for the delivery's life.
    id: String,
    campaign_id: Uuid,
    step_id: Uuid,
    contact_id: Uuid,
    /// Where it stands. `inDoubt`: the connection broke after the last byte and before the answer, so it may have been
    /// delivered.
    #[schema(schema_with = states)]
    state: &'static str,
    /// How often it was begun since it was queued, or begun again.
    attempts: i16,
    /// The header of that name, to look for it in the logs of mail servers.
    message_id: String,
    queued_at: Timestamp,
    /// When it ended; null while it is under way.
    #[schema(required)]
    ended_at: Option<Timestamp>,
    /// What the mail server said, or why there was no mail.
    #[schema(required)]
    detail: Option<String>,
}

impl DeliveryResponse {
    pub(super) fn new(tokens: &dyn Tokens, view: DeliveryView) -> Self {
        Self {
            id: tokens.seal(TokenPurpose::Delivery, view.key),
            campaign_id: view.campaign.0,
            step_id: view.step.0,
            contact_id: view.contact.0,
            state: name(view.state),
            attempts: view.attempts,
            message_id: format!("<{}@{}>", tokens.seal(TokenPurpose::MessageId, view.key), view.from_email.domain()),
            queued_at: view.queued_at.into(),
            ended_at: view.ended_at.map(Into::into),
            detail: view.detail,
        }
    }
}

/// The delivery named in the path. What is no id of ours names nothing: 404.
pub(crate) struct DeliveryInPath(pub(super) DeliveryKey);

impl FromRequest for DeliveryInPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<ApiState>>();
        let opened = state
            .zip(request.match_info().get("id"))
            .and_then(|(state, id)| state.tokens.open(TokenPurpose::Delivery, id));
        ready(opened.map(Self).ok_or_else(|| crate::allow::elsewhere(request)))
    }
}
