//! Passes that look after what nobody asks for: they put right what dead processes left behind, and pause campaigns that
//! go wrong. Adopting goes before reaping: a journal knows how far a
//! delivery came, a lease only that nobody was heard of.

mod adopt;
mod guard;
mod reap;

pub use adopt::{AdoptError, AdoptReport, adopt};
pub use guard::guard;
pub use reap::reap;
