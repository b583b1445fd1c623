//! What the rules need from the outside, as traits with contracts.

pub mod advance;
pub mod analytics;
pub mod campaigns;
pub mod contacts;
pub mod deliveries;
pub mod delivery;
pub mod enrollments;
pub mod events;
pub mod feedback;
pub mod hooks;
pub mod idempotency;
pub mod keys;
pub mod readiness;
pub mod segments;
pub mod store;
pub mod suppressions;
pub mod templates;
pub mod tokens;
pub mod tracking;
pub mod transport;
pub mod work;
