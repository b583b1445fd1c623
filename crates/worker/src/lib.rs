//! The worker: passes over what there is to do, each a `tick()` that does one round and returns a report.

pub mod deliver;
mod fault;
pub mod housekeeping;
mod outcomes;
pub mod pace;
pub mod plan;
mod trouble;
pub mod worker;
