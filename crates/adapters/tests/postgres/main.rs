//! The ports over a real PostgreSQL. One binary, so that one server serves all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audience;
mod campaign;
mod campaigns;
mod contacts;
mod deliver;
mod engagement_rules;
mod events;
mod feedback;
mod fixture;
mod idempotency;
mod migrations;
mod personal_data;
mod plan;
mod rules;
mod schema;
mod segments;
mod suppressions;
mod tenancy;
mod time_lapse;
