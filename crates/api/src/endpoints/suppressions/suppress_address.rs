//! `POST /api/suppressions`

use super::suppression::SuppressionResponse;
use crate::extract::{AudienceWrite, Body, Can, Fields, FromFields, Item};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::suppression::{Suppressible, Suppression, SuppressionReason};
use muster_domain::ports::suppressions::Suppressed;
use muster_domain::usecases::suppress_address::{self as story, SuppressAddress, SuppressAddressError};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// The reasons that a caller can give, for the documentation.
pub(super) fn reasons() -> Object {
    let words = SuppressionReason::GIVEN.map(SuppressionReason::as_str);
    crate::openapi::one_of(words).default(Some("manual".into())).build()
}

/// Reads a reason that a caller can give.
pub(super) fn read_reason(value: Item<'_>) -> Option<SuppressionReason> {
    let given = SuppressionReason::GIVEN;
    value.one_of(&given.map(SuppressionReason::as_str), |name| given.into_iter().find(|reason| reason.as_str() == name))
}

/// The address, or the domain, never to be mailed again.
#[derive(ToSchema)]
#[schema(as = SuppressAddress, rename_all = "camelCase")]
pub(crate) struct SuppressRequest {
    /// The address; needed unless there is a domain.
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
    /// The domain, in place of an address. Addresses of exactly this domain are not mailed; its subdomains are domains of
    /// their own.
    #[schema(max_length = 254, example = "example.com")]
    domain: Option<String>,
    #[schema(schema_with = reasons)]
    reason: Option<SuppressionReason>,
    /// Where this comes from, in the caller's words.
    #[schema(min_length = 1, max_length = 200, default = "api")]
    source: Option<String>,
}

impl FromFields for SuppressRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.optional("email", |value| value.text(0..=1000));
        let domain = fields.optional("domain", |value| value.text(0..=1000));
        if email == Some(None) && domain == Some(None) {
            fields.refuse("email", "required", "an address or a domain is needed");
        }
        let reason = fields.optional("reason", read_reason);
        let source = fields.optional("source", |value| value.line(1..=200));
        Some(Self { email: email?, domain: domain?, reason: reason?, source: source? })
    }
}

impl SuppressRequest {
    /// What was on the list before. Of somebody erased the address is known from the request alone.
    fn told(&self, there: Suppression) -> SuppressionResponse {
        match self.email.as_deref().and_then(Suppressible::parse) {
            Some(asked) => SuppressionResponse::found(there, &asked),
            None => SuppressionResponse::from(there),
        }
    }
}

impl From<&SuppressRequest> for SuppressAddress {
    fn from(request: &SuppressRequest) -> Self {
        let SuppressRequest { email, domain, reason, source } = request;
        Self { email: email.clone(), domain: domain.clone(), reason: *reason, source: source.clone() }
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

/// Puts an address or a domain on the list, for all workspaces of the tenant. Once this has answered no delivery to it
/// begins. Contacts of an address have left their campaigns as `suppressed`, and what was queued for them is cancelled;
/// contacts of a domain leave when their next mail is due. What is on the list keeps its reason and source, and is
/// answered with 200.
#[utoipa::path(
    operation_id = "suppress_address",
    tag = "suppressions",
    request_body = SuppressRequest,
    responses(
        (status = 201, description = "It is on the list now", body = SuppressionResponse, headers(("Location" = String))),
        (status = 200, description = "It was on the list before", body = SuppressionResponse)
    )
)]
#[post("")]
pub(crate) async fn suppress_address(caller: Can<AudienceWrite>, body: Body<SuppressRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            match story::suppress_address(tx, &SuppressAddress::from(&body.value)).await? {
                Suppressed::Added(added) => {
                    let location = format!("/api/suppressions/{}", in_path(added.entry.key().unwrap_or_default()));
                    Reply::created(location, &SuppressionResponse::from(added))
                }
                Suppressed::Already(there) => Reply::ok(&body.value.told(there)),
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
