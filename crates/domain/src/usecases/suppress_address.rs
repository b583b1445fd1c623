//! Never mail an address, or a domain, again.

use crate::model::address::{DomainName, EmailAddress};
use crate::model::problem::FieldProblems;
use crate::model::suppression::{MAX_SOURCE, NewSuppression, Suppressible, SuppressionReason};
use crate::model::text::check_line;
use crate::ports::store::{StoreError, Tx};
use crate::ports::suppressions::Suppressed;

/// The source of what a caller suppresses without saying where it comes from.
pub const DEFAULT_SOURCE: &str = "api";

/// Which address or domain, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressAddress {
    /// The address; needed unless there is a domain.
    pub email: Option<String>,
    /// The domain, in place of an address.
    pub domain: Option<String>,
    /// Why; [`SuppressionReason::Manual`] when absent.
    pub reason: Option<SuppressionReason>,
    /// Where this comes from; [`DEFAULT_SOURCE`] when absent.
    pub source: Option<String>,
}

/// Why nothing was suppressed.
#[derive(Debug, thiserror::Error)]
pub enum SuppressAddressError {
    /// The command says something impossible.
    #[error("invalid suppression")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts an address or a domain on the tenant's list. Once this is committed no delivery to it begins. Contacts of an
/// address have left their campaigns, and what was queued for them is cancelled; those of a domain leave when their next
/// mail is due. What is on the list keeps its reason and source.
pub async fn suppress_address(tx: &mut Tx, command: &SuppressAddress) -> Result<Suppressed, SuppressAddressError> {
    let new = read(command).map_err(SuppressAddressError::Invalid)?;
    let now = tx.now().await?;
    let done = match &new.what {
        Suppressible::Address(email) => tx.suppressions().suppress(email, new.reason, &new.source, now).await,
        Suppressible::Domain(domain) => tx.suppressions().suppress_domain(domain, new.reason, &new.source, now).await,
    };
    Ok(done?)
}

fn read(command: &SuppressAddress) -> Result<NewSuppression, FieldProblems> {
    let mut problems = FieldProblems::default();
    let what = match (&command.email, &command.domain) {
        (Some(_), Some(_)) => {
            problems.add("/domain", "not_allowed", "either an address or a domain, not both");
            None
        }
        (None, Some(domain)) => problems.keep("/domain", DomainName::parse(domain)).map(Suppressible::Domain),
        (email, None) => {
            let email = EmailAddress::parse(email.as_deref().unwrap_or_default());
            problems.keep("/email", email).map(Suppressible::Address)
        }
    };
    let reason = command.reason.unwrap_or(SuppressionReason::Manual);
    if reason == SuppressionReason::Erased {
        problems.add("/reason", "not_allowed", "only erasing a contact suppresses its address as erased");
    }
    let source = command.source.as_deref().unwrap_or(DEFAULT_SOURCE).trim().to_owned();
    check_line(&mut problems, "/source", &source, MAX_SOURCE);
    match (what, problems.into_result()) {
        (Some(what), Ok(())) => Ok(NewSuppression { what, reason, source }),
        (_, checked) => Err(checked.err().unwrap_or_default()),
    }
}
