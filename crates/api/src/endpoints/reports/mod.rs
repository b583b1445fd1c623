//! Figures and books.

mod analytics;
pub(crate) mod figures;
pub(crate) mod get_analytics;
pub(crate) mod get_balance;
mod rows;
