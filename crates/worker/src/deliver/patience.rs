//! Whether a short wait pays.
//!
//! Waiting some milliseconds so that mails go together is worth it while the mail server answers in less. With one that takes
//! longer every wait would be in vain; so after one that was, the next do without, and then it is tried again.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// So many do without after a wait in vain.
pub(super) const WITHOUT: u32 = 5;

/// What became of the last waits.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// So many are still to do without.
    without: AtomicU32,
}

impl Patience {
    /// Whether whoever asks is to wait.
    pub(super) fn pays(&self) -> bool {
        #[cfg(feature = "fault-injection")]
        if super::faults::always_together() {
            return true;
        }
        self.without.fetch_update(Relaxed, Relaxed, |without| without.checked_sub(1)).is_err()
    }

    /// A wait was in vain.
    pub(super) fn in_vain(&self) {
        self.without.store(WITHOUT, Relaxed);
    }
}
