//! Mails one by one, and what is decided of those that did not simply arrive.

pub(crate) mod delivery;
pub(crate) mod list_deliveries;
pub(crate) mod resolve_delivery;
pub(crate) mod retry_deliveries;
