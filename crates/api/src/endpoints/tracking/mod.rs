//! What the image and the links of a tracked mail lead to. Public: the token in the address is all that is needed.

mod agent;
mod passage;
pub(crate) mod record_click;
pub(crate) mod record_open;
pub(crate) mod record_trap;

use actix_web::HttpRequest;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::usecases::record_engagement::{Place, Visit};
use uuid::Uuid;

/// The token of the address, as it was sent: whatever it is, it is looked at as a token.
fn token(request: &HttpRequest) -> &str {
    request.match_info().get("token").unwrap_or_default()
}

/// The visit that a request is.
fn visit(request: &HttpRequest, delivery: DeliveryKey, place: Place) -> Visit {
    Visit { id: Uuid::now_v7(), delivery, place, machine: agent::machine(request) }
}
