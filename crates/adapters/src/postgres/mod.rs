//! The ports over PostgreSQL, one file for each file of the domain's `ports`.
//!
//! Every statement runs in a `PgTx`: the only way to a connection, and it always names a role and, for the
//! application's role, a tenant, so that row-level security is under every query.

mod advance;
mod books;
mod deliver;
mod delivery_keys;
mod error;
mod exits;
mod facts;
mod json;
mod locks;
mod migrate;
pub mod personal_data;
mod pool;
mod prepared;
pub mod recount;
mod rule_sql;
pub mod schema;
mod sequences;
mod statement;
mod stats;
mod tx;
mod unit;
mod work;

mod analytics;
mod campaigns;
mod contacts;
mod deliveries;
mod enrollments;
mod events;
mod feedback;
mod hooks;
mod idempotency;
mod keys;
mod language;
mod readiness;
mod segments;
mod suppressions;
mod tenancy;
mod time_lapse;

pub use language::foreign_messages;
pub use migrate::{MigrateError, MigrateReport, migrate, pending_migrations};
pub use pool::{PgStore, PoolOptions};
pub use time_lapse::{TimeInUse, TimeLapseError, begin_time_lapse, time_in_use};
pub use unit::PgUnit;

pub(crate) use error::{StoreErrorExt, internal};
pub(crate) use tx::PgTx;
