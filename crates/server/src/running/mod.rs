//! What the commands run, and how it ends: signals, the HTTP server, the worker, the private database, the mail catcher.

pub mod api_server;
pub mod database;
pub mod engine;
pub mod figures_server;
pub mod kept_key;
pub mod mail;
pub mod private_database;
pub mod signals;
pub mod welcome;
pub mod whole;

use muster_adapters::postgres::PoolOptions;
use std::time::Duration;

/// Connections for requests.
pub const API_POOL: PoolOptions = PoolOptions { max_size: 10, wait: Duration::from_secs(5) };

/// Connections for the worker: its turns of delivering, its two transactions of advancing, and a few for bookkeeping.
pub const WORKER_POOL: PoolOptions = PoolOptions { max_size: 8, wait: Duration::from_secs(10) };
