//! Addresses that are never mailed in this tenant.

pub(crate) mod lift_suppression;
pub(crate) mod list_suppressions;
pub(crate) mod suppress_address;
mod suppression;
