//! Figures and books.

pub(crate) mod figures;
pub(crate) mod get_analytics;
pub(crate) mod get_balance;
