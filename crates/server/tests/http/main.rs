//! The REST API over HTTP and a database of its own for each test.

mod app;

mod bad_input;
mod campaigns;
mod contacts;
mod conventions;
mod deliveries;
mod footer;
mod hooks;
mod idempotency;
mod import;
mod keys;
mod lifecycle;
mod matrix;
mod nasty_text;
mod openapi;
mod operations;
mod scopes;
mod segments;
mod steps;
mod suppression_lists;
mod suppressions;
mod tenants;
mod tracking;
mod unsubscribe;
