//! `POST /api/suppressions`

use super::suppression::SuppressionResponse;
use crate::extract::{AudienceWrite, Body, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::suppression::SuppressionReason;
use muster_domain::ports::suppressions::Suppressed;
use muster_domain::usecases::suppress_address::{self as story, SuppressAddress, SuppressAddressError};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// The reasons that a caller can give.
const REASONS: [&str; 4] = ["unsubscribed", "bounced", "complained", "manual"];

fn reasons() -> Object {
    crate::openapi::one_of(REASONS).default(Some("manual".into())).build()
}

/// The address never to be mailed again.
#[derive(ToSchema)]
#[schema(as = SuppressAddress, rename_all = "camelCase")]
pub(crate) struct SuppressRequest {
    /// The address.
    #[schema(format = "email", max_length = 254)]
    email: String,
    #[schema(schema_with = reasons)]
    reason: Option<SuppressionReason>,
    /// Where this comes from, in the caller's words.
    #[schema(min_length = 1, max_length = 200, default = "api")]
    source: Option<String>,
}

impl FromFields for SuppressRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| value.text(0..=1000));
        let parse = |name: &str| SuppressionReason::parse(name).filter(|_| REASONS.contains(&name));
        let reason = fields.optional("reason", |value| value.one_of(&REASONS, parse));
        let source = fields.optional("source", |value| value.line(1..=200));
        Some(Self { email: email?, reason: reason?, source: source? })
    }
}

impl From<&SuppressRequest> for SuppressAddress {
    fn from(request: &SuppressRequest) -> Self {
        Self { email: request.email.clone(), reason: request.reason, source: request.source.clone() }
    }
}

impl From<SuppressAddressError> for Problem {
    fn from(error: SuppressAddressError) -> Self {
        match error {
            SuppressAddressError::Invalid(problems) => Self::Invalid(problems),
            SuppressAddressError::Store(error) => Self::Store(error),
        }
    }
}

/// Puts an address on the list, for all workspaces of the tenant. Once this has answered no delivery to it begins; its
/// contacts have left their campaigns as `suppressed`, and what was queued for them is cancelled. An address that is on
/// the list keeps its reason and source, and is answered with 200.
#[utoipa::path(
    operation_id = "suppress_address",
    tag = "suppressions",
    request_body = SuppressRequest,
    responses(
        (status = 201, description = "It is on the list now", body = SuppressionResponse, headers(("Location" = String))),
        (status = 200, description = "It was on the list before", body = SuppressionResponse)
    )
)]
#[post("/suppressions")]
pub(crate) async fn suppress_address(caller: Can<AudienceWrite>, body: Body<SuppressRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            match story::suppress_address(tx, &SuppressAddress::from(&body.value)).await? {
                Suppressed::Added(added) => {
                    let location = format!("/api/suppressions/{}", in_path(&added.email_key));
                    Reply::created(location, &SuppressionResponse::from(added))
                }
                Suppressed::Already(there) => Reply::ok(&SuppressionResponse::from(there)),
            }
        })
        .await
}

/// An address as a segment of a path: everything but letters, digits and `-._~` percent-encoded (RFC 3986 section 2.1).
fn in_path(email: &str) -> String {
    use std::fmt::Write;
    let mut path = String::with_capacity(email.len() + 8);
    for byte in email.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_in_a_path_has_nothing_that_a_path_reads_otherwise() {
        assert_eq!(super::in_path("a/b?c#d%e+f@x.test"), "a%2Fb%3Fc%23d%25e%2Bf%40x.test");
    }
}
