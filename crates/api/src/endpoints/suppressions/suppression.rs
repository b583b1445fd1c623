//! An entry of the list as answers show it.

use crate::timestamp::Timestamp;
use muster_domain::model::suppression::{Entry, Suppressible, Suppression, SuppressionReason};
use serde::Serialize;
use utoipa::ToSchema;

/// An address or a domain that is never mailed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Suppression)]
pub(crate) struct SuppressionResponse {
    /// The address, in lower case; null when it is a domain.
    #[schema(required, format = "email")]
    email: Option<String>,
    /// The domain, in lower case; null when it is an address. It stands for every address of exactly this domain, not
    /// for those of its subdomains.
    #[schema(required, example = json!(null))]
    domain: Option<String>,
    /// Why: `unsubscribed`, `bounced`, `complained`, `manual` or `erased`.
    #[schema(value_type = String, example = "manual")]
    reason: SuppressionReason,
    /// Where it comes from: `api`, `import`, `erasure`, the id of a campaign, or what a caller said.
    source: String,
    /// Since when.
    created_at: Timestamp,
}

impl SuppressionResponse {
    /// The same as cells of a table, in the order of its members.
    pub(super) fn cells(self) -> [String; 5] {
        let Self { email, domain, reason, source, created_at } = self;
        let created_at = created_at.to_string();
        [email.unwrap_or_default(), domain.unwrap_or_default(), reason.as_str().to_owned(), source, created_at]
    }

    /// An entry that was found by what was asked for: of somebody erased the address is known from there alone.
    pub(crate) fn found(suppression: Suppression, asked: &Suppressible) -> Self {
        let entry = match suppression.entry {
            Entry::Erased => Entry::of_key(asked.key()),
            known => known,
        };
        Self::from(Suppression { entry, ..suppression })
    }
}

impl From<Suppression> for SuppressionResponse {
    fn from(suppression: Suppression) -> Self {
        let (email, domain) = match suppression.entry {
            Entry::Address(email) => (Some(email), None),
            Entry::Domain(domain) => (None, Some(domain)),
            Entry::Erased => (None, None),
        };
        let (reason, source) = (suppression.reason, suppression.source);
        Self { email, domain, reason, source, created_at: suppression.created_at.into() }
    }
}
