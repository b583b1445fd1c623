//! What the image and the links of a tracked mail lead to. Public: the token in the address is all that is needed.

mod agent;
pub(crate) mod do_not_track;
mod passage;
pub(crate) mod record_click;
pub(crate) mod record_open;
pub(crate) mod record_trap;

use crate::ingest::NotStored;
use crate::state::ApiState;
use actix_web::HttpRequest;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::usecases::record_engagement::{Place, Visit};
use uuid::Uuid;

/// The token of the address, as it was sent: whatever it is, it is looked at as a token.
fn token(request: &HttpRequest) -> &str {
    request.match_info().get("token").unwrap_or_default()
}

/// Stores the visit that a request is, unless its sender asks not to be followed.
async fn keep(state: &ApiState, request: &HttpRequest, delivery: DeliveryKey, place: Place) -> Result<(), NotStored> {
    if state.do_not_track.forbids(request) {
        return Ok(());
    }
    let visit = Visit { id: Uuid::now_v7(), delivery, place, machine: agent::machine(request) };
    state.ingest.keep(visit).await
}
