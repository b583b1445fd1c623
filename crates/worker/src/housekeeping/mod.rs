//! Passes that look after what nobody asks for: they put right what dead processes left behind, pause campaigns that
//! go wrong, and let go what is kept for a time only. Adopting goes before reaping: a journal knows how far a
//! delivery came, a lease only that nobody was heard of.

mod adopt;
mod forget;
mod grace;
mod guard;
mod reap;

pub use adopt::{AdoptError, AdoptReport, adopt};
pub use forget::forget;
pub(crate) use grace::Grace;
pub use guard::guard;
pub use reap::reap;
