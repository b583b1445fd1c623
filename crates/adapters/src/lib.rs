//! Adapters.

mod by_source;
pub mod embedded;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod feedback;
pub mod hooks;
pub mod journal;
pub mod mime;
pub mod postgres;
pub mod smtp;
pub mod template;
pub mod tokens;
pub mod tracking;
