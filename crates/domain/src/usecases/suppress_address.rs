//! Never mail an address again.

use crate::model::address::EmailAddress;
use crate::model::problem::FieldProblems;
use crate::model::suppression::SuppressionReason;
use crate::model::text::check_line;
use crate::ports::store::{StoreError, Tx};
use crate::ports::suppressions::Suppressed;

/// A source has no more characters than this.
pub const MAX_SOURCE: usize = 200;
/// The source of what a caller suppresses without saying where it comes from.
pub const DEFAULT_SOURCE: &str = "api";

/// Which address, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressAddress {
    /// The address.
    pub email: String,
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

/// Puts an address on the tenant's list. Once this is committed no delivery to it begins, its contacts have left their
/// campaigns, and what was queued for them is cancelled. An address that is on the list keeps its reason and source.
pub async fn suppress_address(tx: &mut Tx, command: &SuppressAddress) -> Result<Suppressed, SuppressAddressError> {
    let mut problems = FieldProblems::default();
    let email = problems.keep("/email", EmailAddress::parse(&command.email));
    let reason = command.reason.unwrap_or(SuppressionReason::Manual);
    if reason == SuppressionReason::Erased {
        problems.add("/reason", "not_allowed", "only erasing a contact suppresses its address as erased");
    }
    let source = command.source.as_deref().unwrap_or(DEFAULT_SOURCE).trim();
    check_line(&mut problems, "/source", source, MAX_SOURCE);
    let email = match (email, problems.into_result()) {
        (Some(email), Ok(())) => email,
        (_, checked) => return Err(SuppressAddressError::Invalid(checked.err().unwrap_or_default())),
    };
    let now = tx.now().await?;
    Ok(tx.suppressions().suppress(&email, reason, source, now).await?)
}
