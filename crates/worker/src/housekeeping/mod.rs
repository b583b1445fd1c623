//! Passes that put right what dead processes left behind. Adopting goes before reaping: a journal knows how far a
//! delivery came, a lease only that nobody was heard of.

mod adopt;
mod reap;

pub use adopt::{AdoptError, AdoptReport, adopt};
pub use reap::reap;
