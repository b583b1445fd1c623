//! The steps of a campaign.

pub(crate) mod add_step;
pub(crate) mod change_step;
mod fields;
pub(crate) mod get_step;
pub(crate) mod get_steps;
pub(crate) mod remove_step;
pub(crate) mod replace_steps;
pub(crate) mod step;
