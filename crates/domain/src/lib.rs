//! Muster's domain: the campaign lifecycle, the step engine, and the ports they need.
//!
//! Pure: no I/O, no clock, no framework. Business time comes in as `now`.

pub mod authoring;
pub mod model;
pub mod ports;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod usecases;
