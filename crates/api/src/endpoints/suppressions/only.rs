//! Naming one entry, in a query string or a path.

use crate::allow::elsewhere;
use crate::extract::Fields;
use crate::problem::Problem;
use actix_web::HttpRequest;
use muster_domain::model::address::{DomainName, EmailAddress};
use muster_domain::model::suppression::Suppressible;
use utoipa::IntoParams;

/// Which entry is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `read_only` reads")]
pub(crate) struct OnlyParams {
    /// The one of this address, in upper or lower case; not that of its domain.
    #[param(format = "email", max_length = 254)]
    email: Option<String>,
    /// The one of this domain, in upper or lower case.
    #[param(max_length = 254)]
    domain: Option<String>,
}

/// The entry that a path names.
pub(super) fn in_path(entry: &str, request: &HttpRequest) -> Result<Suppressible, Problem> {
    // What is neither an address nor a domain cannot be on the list; it may be another address of ours.
    Suppressible::parse(entry).ok_or_else(|| elsewhere(request))
}

/// What a query string names.
pub(super) enum Only {
    /// Nothing.
    Any,
    /// One entry.
    This(Suppressible),
}

impl Only {
    /// The entry, if one is named.
    pub(super) fn named(self) -> Option<Suppressible> {
        match self {
            Only::Any => None,
            Only::This(entry) => Some(entry),
        }
    }
}

/// What is named; `None` when a problem was noted.
pub(super) fn read_only(fields: &mut Fields<'_>) -> Option<Only> {
    let email = fields.optional("email", |value| value.parsed(254, EmailAddress::parse));
    let domain = fields.optional("domain", |value| value.parsed(254, DomainName::parse));
    match (email?, domain?) {
        (Some(_), Some(_)) => {
            fields.refuse("domain", "not_allowed", "either an address or a domain, not both");
            None
        }
        (Some(email), None) => Some(Only::This(Suppressible::Address(email))),
        (None, Some(domain)) => Some(Only::This(Suppressible::Domain(domain))),
        (None, None) => Some(Only::Any),
    }
}
