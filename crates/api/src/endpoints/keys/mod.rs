//! API keys.

pub(crate) mod create_key;
pub(crate) mod find_key;
mod key;
pub(crate) mod list_keys;
pub(crate) mod revoke_key;
