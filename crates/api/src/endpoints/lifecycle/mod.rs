//! What moves a campaign through its life.

pub(crate) mod complete_campaign;
pub(crate) mod launch_campaign;
pub(crate) mod pause_campaign;
pub(crate) mod resume_campaign;
mod transition;
