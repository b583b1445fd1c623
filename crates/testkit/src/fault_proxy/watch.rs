//! Waiting for something to be said.

/// On which side of the pattern a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server never hears it.
    Before,
    /// The server hears it and does it; its answer is swallowed.
    After,
}

/// Where the next connections are cut.
#[derive(Debug, Clone)]
pub(super) struct Trap {
    what: What,
    times: u64,
}

#[derive(Debug, Clone)]
enum What {
    Octets(usize),
    Pattern { pattern: Vec<u8>, side: Side },
}

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it passes.
    Pass,
    /// Only so many octets pass, then the connection is cut.
    CutAfter(usize),
    /// It passes; the server's next word does not.
    Swallow,
}

impl Trap {
    pub(super) fn after(octets: usize) -> Self {
        Self { what: What::Octets(octets), times: 1 }
    }

    pub(super) fn on(pattern: &[u8], side: Side, times: u64) -> Self {
        assert!(!pattern.is_empty(), "nothing ends in nothing");
        Self { what: What::Pattern { pattern: pattern.to_owned(), side }, times }
    }

    /// What becomes of `chunk`, said after `tail`. A trap that closes is used up once.
    pub(super) fn judge(&mut self, tail: &Tail, chunk: &[u8]) -> Fate {
        if self.times == 0 {
            return Fate::Pass;
        }
        let fate = match &mut self.what {
            What::Octets(left) if chunk.len() < *left => {
                *left -= chunk.len();
                return Fate::Pass;
            }
            What::Octets(left) => Fate::CutAfter(*left),
            What::Pattern { pattern, side } => match tail.ends_in(pattern, chunk) {
                false => return Fate::Pass,
                true if *side == Side::Before => Fate::CutAfter(0),
                true => Fate::Swallow,
            },
        };
        self.times -= 1;
        fate
    }
}

/// The end of what was said before, so that a pattern in two chunks is found.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    const KEPT: usize = 256;

    /// Whether a `pattern` ends in `chunk`, wherever it begins.
    fn ends_in(&self, pattern: &[u8], chunk: &[u8]) -> bool {
        let before = self.0.len().saturating_sub(pattern.len() - 1);
        [&self.0[before..], chunk].concat().windows(pattern.len()).any(|window| window == pattern)
    }

    pub(super) fn keep(&mut self, chunk: &[u8]) {
        self.0.extend_from_slice(chunk);
        let surplus = self.0.len().saturating_sub(Self::KEPT);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_in_two_chunks_is_found_and_one_of_the_past_is_not() {
        let mut tail = Tail::default();
        let mut trap = Trap::on(b"COMMIT", Side::After, 2);
        assert_eq!(trap.judge(&tail, b"xCOM"), Fate::Pass);
        tail.keep(b"xCOM");
        assert_eq!(trap.judge(&tail, b"MIT;y"), Fate::Swallow);
        tail.keep(b"MIT;y");
        assert_eq!(trap.judge(&tail, b"COMMIT"), Fate::Swallow, "the one of the past does not count again");
        assert_eq!(trap.judge(&tail, b"COMMIT"), Fate::Pass, "used up");
    }

    #[test]
    fn octets_are_counted_over_chunks() {
        let (tail, mut trap) = (Tail::default(), Trap::after(5));
        assert_eq!(trap.judge(&tail, b"abc"), Fate::Pass);
        assert_eq!(trap.judge(&tail, b"def"), Fate::CutAfter(2));
        assert_eq!(trap.judge(&tail, b"ghi"), Fate::Pass);
    }
}
