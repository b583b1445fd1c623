//! REST routes onto the use cases of the domain.
//!
//! `routes.rs` has the whole URL table; `endpoints/` has one file for each of its lines; `extract/` has what handlers
//! take, `transact.rs` how they reach storage, `problem.rs` every way to fail.

mod allow;
mod app;
mod auth;
mod csv_table;
mod cursor;
mod docs;
mod edge;
mod endpoints;
pub mod extract;
mod health;
mod import;
mod ingest;
mod intake;
pub mod limits;
mod metrics;
mod openapi;
mod problem;
mod reply;
mod routes;
mod state;
mod timestamp;
mod transact;

pub use app::{run_figures_server, run_server};
pub use cursor::Cursors;
pub use endpoints::tracking::do_not_track::DoNotTrack;
pub use metrics::recorder;
pub use openapi::{openapi, to_json};
pub use problem::{BadField, PROBLEM_JSON, Problem, ProblemBody};
pub use reply::Reply;
pub use state::{ApiParts, ApiState};
pub use timestamp::Timestamp;
pub use transact::{Answer, Written};
