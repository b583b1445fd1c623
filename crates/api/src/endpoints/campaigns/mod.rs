//! Campaigns: what they say, when they start, and trying them out.

pub(crate) mod campaign;
pub(crate) mod change_campaign;
pub(crate) mod clone_campaign;
pub(crate) mod create_campaign;
pub(crate) mod delete_campaign;
pub(crate) mod fields;
pub(crate) mod get_campaign;
pub(crate) mod list_campaigns;
pub(crate) mod preview_step;
mod recipient;
pub(crate) mod schedule_campaign;
pub(crate) mod send_test;
pub(crate) mod unschedule_campaign;
