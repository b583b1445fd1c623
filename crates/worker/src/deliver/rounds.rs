//! Begins in rounds: several mails for each session are marked and locked together, and then go out one after the other.
//!
//! With few sessions a begin of one mail for each costs the database nearly as much as one of five, and everybody waits for its commit.
//! So where a begin took over the sessions of the one before it, the next ones take several mails for each. The first of them go like those
//! of any other begin; each message then ends with the sender of the session's next behind it, once the database has said that the
//! locks are held still. What is not reserved when the time is over, or when somebody else wants the sessions, is pending again.

use super::begun::{Begun, Named};
use super::counter::{Place, SEATED_WITHIN};
use super::foresight::Foresight;
use super::line::Line;
use muster_domain::model::delivery::Attempt;
use muster_domain::ports::transport::WireMessage;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Mails for each session, at most.
const AT_MOST: usize = 5;
/// No round is begun later than this after the first, so that whoever waits for the counter, or for the locks, does not do so for long.
pub(super) const WITHIN: Duration = Duration::from_millis(15);

/// The rounds of one begin.
pub(super) struct Rounds {
    line: Arc<Line>,
    /// Its begin was made then or later.
    since: Instant,
    /// When the last round was over; its locks were held then or later.
    held_at: Instant,
    until: Instant,
    /// Reserved last; begun when the next round is asked for.
    reserved: Vec<Attempt>,
    /// Gone to the mail server, or with its refusal.
    gone: HashSet<Attempt>,
    /// Those that may begin, in their order.
    later: VecDeque<Attempt>,
}

impl Rounds {
    pub(super) fn of(line: &Arc<Line>, since: Instant) -> Self {
        let line = Arc::clone(line);
        let (reserved, gone, later) = (Vec::new(), HashSet::new(), VecDeque::new());
        Self { line, since, held_at: since, until: since, reserved, gone, later }
    }

    /// The first round is over: these of the `attempts` that may begin were reserved.
    pub(super) fn first(&mut self, attempts: &[Attempt], reserved: &[Attempt]) {
        self.until = Instant::now() + within();
        self.later = attempts.iter().copied().collect();
        self.reserved(reserved);
    }

    /// Whether there is time for another, and a session to follow.
    pub(super) fn go_on(&self) -> bool {
        !self.reserved.is_empty() && Instant::now() < self.until
    }

    /// Lets those go that were reserved last, each with one of the `letters` behind it, if its session takes any. A process that stood
    /// still since the last round names nobody: the database may have ended the begin meanwhile.
    pub(super) fn follow(
        &mut self,
        places: &mut HashMap<Attempt, Place>,
        letters: &mut HashMap<Attempt, WireMessage>,
    ) -> Vec<(Attempt, oneshot::Receiver<Named>)> {
        let stood_still = self.held_at.elapsed() > SEATED_WITHIN;
        let mut following = Vec::with_capacity(self.reserved.len());
        for attempt in std::mem::take(&mut self.reserved) {
            let Some(place) = places.remove(&attempt) else { continue };
            self.gone.insert(attempt);
            let begun = Begun::of(&self.line, attempt, self.since, place);
            // Without another behind it, it goes by itself.
            if begun.takes_another_behind()
                && !stood_still
                && let Some((next, message)) = self.next(letters)
            {
                following.push((next, begun.go_before(message)));
            }
        }
        following
    }

    fn next(&mut self, letters: &mut HashMap<Attempt, WireMessage>) -> Option<(Attempt, WireMessage)> {
        std::iter::from_fn(|| self.later.pop_front())
            .find_map(|attempt| letters.remove(&attempt).map(|message| (attempt, message)))
    }

    /// A further round is over, and these were reserved.
    pub(super) fn reserved(&mut self, reserved: &[Attempt]) {
        self.held_at = Instant::now();
        self.reserved = reserved.to_vec();
    }

    /// Those that have gone, whatever becomes of the rest.
    pub(super) fn gone(&self) -> &HashSet<Attempt> {
        &self.gone
    }
}

fn within() -> Duration {
    #[cfg(feature = "fault-injection")]
    if super::faults::always_together() {
        return WITHIN * 10;
    }
    WITHIN
}

/// What became of the last begins in rounds of a campaign.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Whether a begin has taken over the sessions of the one before it: this mail server has others named behind a message.
    followed: AtomicBool,
    /// Whether the last rounds came to their end.
    ended: Foresight,
}

impl Record {
    /// A begin took over so many sessions for its first mails, of which there were so many.
    pub(super) fn followed(&self, sessions: usize, first: usize) {
        if sessions * 3 >= first * 2 {
            self.followed.store(true, Relaxed);
        }
    }

    /// Of a begin in rounds so many mails began.
    pub(super) fn came(&self, begun: usize, of: usize) {
        self.ended.came(begun, of);
    }

    /// How many mails a begin may have for each of its sessions.
    pub(super) fn for_each_session(&self) -> usize {
        #[cfg(feature = "fault-injection")]
        if super::faults::always_together() {
            return AT_MOST;
        }
        if self.followed.load(Relaxed) && self.ended.pays() { AT_MOST } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_rounds_where_sessions_are_taken_over_and_the_last_came_to_their_end() {
        let record = Record::default();
        assert_eq!(record.for_each_session(), 1, "nobody knows yet");
        record.followed(6, 10);
        assert_eq!(record.for_each_session(), 1);
        record.followed(7, 10);
        assert_eq!(record.for_each_session(), AT_MOST);
        record.came(33, 50);
        let without = std::iter::repeat_with(|| record.for_each_session()).take_while(|mails| *mails == 1).count();
        assert_eq!(without, crate::deliver::foresight::FIRST as usize);
        record.came(34, 50);
        assert_eq!(record.for_each_session(), AT_MOST);
    }
}
