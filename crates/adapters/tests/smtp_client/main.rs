//! The SMTP client against the scripted sink: every phase, every fault, every way back to the pool.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behind;
mod bodies;
mod encryption;
mod journalling;
mod phases;
mod pipelining;
mod pooling;
mod support;
