//! Temporary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "postgres/deliver/mod.rs"]
mod deliver;
