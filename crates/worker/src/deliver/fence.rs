//! The journal of this process, which lets no attempt come to its final dot that may be somebody else's by then.
//!
//! Between the begin and the dot lie replies of the mail server, and whoever waits for one may stand still for longer than a lease.
//! By then the delivery is in doubt, and where the campaign has it so it is sent once more: who goes on must not send it as well.

use super::leases::Leases;
use muster_domain::model::delivery::Attempt;
use muster_domain::ports::transport::{Journal, Phase};
use std::io;
use std::sync::Arc;

/// See the module.
pub(super) struct Fenced {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) leases: Arc<Leases>,
}

impl Journal for Fenced {
    fn record(&self, attempt: Attempt, phase: &Phase) -> io::Result<()> {
        self.journal.record(attempt, phase)?;
        // As the last thing, because writing may take its time, too. Should the process die here, its journal says more than was done.
        if *phase == Phase::Dot && !self.leases.lasts(&attempt) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the lease ran out before the final dot"));
        }
        Ok(())
    }
}
