//! Adapters.

pub mod embedded;
pub mod journal;
pub mod mime;
pub mod postgres;
pub mod smtp;
pub mod template;
pub mod tokens;
