//! Hooks, and what is reported to them.

pub(crate) mod create_hook;
pub(crate) mod find_hook;
mod hook;
pub(crate) mod list_hooks;
pub(crate) mod receive_feedback;
pub(crate) mod revoke_hook;
mod signed;
