//! Whether it pays to begin for sessions that are still under way.
//!
//! A mail that was begun for a session which did not come is to be claimed and written once more. Where that happens it is tried
//! again later and later: a mail server that takes its time for messages goes on to do so, and so do other campaigns that take what
//! comes free.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// So many do without after the first guess that was wrong, twice as many after the next.
pub(super) const FIRST: u32 = 5;
/// And no more than these, so that a server that has become quick is found to be.
pub(super) const LONGEST: u32 = 640;

/// What became of the last guesses.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// So many are still to do without.
    without: AtomicU32,
    /// So many were to, after the last that was wrong; none since one was right.
    last: AtomicU32,
}

impl Foresight {
    /// Whether whoever asks is to count on sessions.
    pub(super) fn pays(&self) -> bool {
        #[cfg(feature = "fault-injection")]
        if super::faults::always_together() {
            return true;
        }
        self.without.fetch_update(Relaxed, Relaxed, |without| without.checked_sub(1)).is_err()
    }

    /// So many of those that were `expected` came and were open. Two thirds have to: a mail for which none came costs a claim and a
    /// begin more.
    pub(super) fn came(&self, sessions: usize, expected: usize) {
        if sessions * 3 >= expected * 2 {
            self.last.store(0, Relaxed);
        } else {
            let next = (self.last.load(Relaxed) * 2).clamp(FIRST, LONGEST);
            self.last.store(next, Relaxed);
            self.without.store(next, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many do without until one counts on sessions again.
    fn without(foresight: &Foresight) -> usize {
        std::iter::repeat_with(|| foresight.pays()).take_while(|pays| !pays).count()
    }

    #[test]
    fn a_wrong_guess_is_not_made_again_soon_and_one_after_another_later_and_later() {
        let foresight = Foresight::default();
        assert_eq!(without(&foresight), 0);
        for expected in [5, 10, 20, 40, 80, 160, 320, 640, 640] {
            foresight.came(6, 10);
            assert_eq!(without(&foresight), expected);
        }
        for enough in [(7, 10), (2, 3)] {
            foresight.came(enough.0, enough.1);
            assert_eq!(without(&foresight), 0, "two thirds are enough");
        }
        foresight.came(0, 1);
        assert_eq!(without(&foresight), 5);
    }
}
