//! The phase journal: three points, and the bug that has none.

use muster_adapters::faults::{Bug, point};
use muster_domain::model::delivery::Attempt;
use muster_domain::ports::transport::{Journal, Phase};
use std::io;
use std::sync::Arc;

pub(super) struct Faulty {
    pub(super) inner: Arc<dyn Journal>,
    pub(super) bug: Option<Bug>,
}

impl Journal for Faulty {
    fn record(&self, attempt: Attempt, phase: &Phase) -> io::Result<()> {
        if let Phase::Replied { .. } = phase {
            point("C7b");
        }
        if self.bug != Some(Bug::SendThenMark) {
            self.inner.record(attempt, phase)?;
        }
        match phase {
            Phase::Dot => point("C6"),
            Phase::Replied { .. } => point("C8"),
            Phase::Begun | Phase::Recorded => {}
        }
        Ok(())
    }
}
