//! Addresses and domains that are never mailed in this tenant.

pub(crate) mod export_suppressions;
pub(crate) mod get_suppression;
pub(crate) mod import_suppressions;
pub(crate) mod lift_suppression;
pub(crate) mod list_suppressions;
mod only;
pub(crate) mod suppress_address;
mod suppression;

pub(crate) use suppression::SuppressionResponse;
