//! Adapters.

pub mod embedded;
pub mod postgres;
pub mod smtp;
pub mod tokens;
pub mod journal;
pub mod mime;
pub mod template;
