//! The ports over a real PostgreSQL. One binary, so that one server serves all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod deliver;
mod fixture;
mod migrations;
mod plan;
mod schema;
mod tenancy;
mod time_lapse;
mod audience;
mod campaign;
mod campaigns;
mod contacts;
mod rules;
mod segments;
mod suppressions;
mod idempotency;
