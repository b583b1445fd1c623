//! The counter: `MAIL FROM` and its reply for the mails of one begin, while its transaction is open.

use super::begun::{Begun, Named};
use super::rest::Rest;
use super::rounds::Rounds;
use super::sessions::{Expected, Hand, LONGEST_TO_SIT, Lent, Sessions};
use async_trait::async_trait;
use futures::future::join_all;
use futures::join;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::delivery::Reservations;
use muster_domain::ports::transport::{Journal, Phase, TransportError, WireMessage};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

/// `MAIL FROM` and its reply, for all of a batch together; a transaction is open meanwhile.
const RESERVE_AT_MOST: Duration = Duration::from_secs(1);

/// A process that took longer to sit everybody down stood still: by then the database may have ended the begin, and whoever waited for
/// its locks may have been told that nothing begins any more.
pub(super) const SEATED_WITHIN: Duration = Duration::from_millis(500);
const _: () = assert!(
    SEATED_WITHIN.as_millis() > 5 * LONGEST_TO_SIT.as_millis()
        && SEATED_WITHIN.as_millis() + RESERVE_AT_MOST.as_millis() < 2_000,
    "whoever waits as long as may be is not taken to have stood still, and the database ends a begin after 2 s without a word from it"
);

/// The reply to the message before comes before the answer to the one that was named behind it. A begin goes on without those that a server
/// has not answered by then.
pub(super) const NAMED_AND_ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// One mail at the counter: written, with a session to go out on.
pub(super) struct Place {
    pub(super) message: WireMessage,
    pub(super) lent: Lent,
    pub(super) standing: Standing,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was asked of the server.
    Idle,
    /// The server accepted the sender.
    Reserved,
    /// The server refused the sender: the attempt ends there.
    Refused(SendOutcome),
    /// The server gave no answer.
    Lost,
}

/// The mails of one begin.
pub(super) struct Counter {
    sessions: Arc<Sessions>,
    hand: Hand,
    /// Those that have no session yet.
    letters: HashMap<Attempt, WireMessage>,
    places: HashMap<Attempt, Place>,
    /// Where there are several for each session.
    rounds: Option<Rounds>,
    /// Those that may begin.
    may_begin: Vec<Attempt>,
    journal: Arc<dyn Journal>,
    answered: usize,
    lost: usize,
    /// How long the server took for the sender that it accepted soonest; what is refused may be refused on our side.
    quickest: Option<Duration>,
    /// Why the last of them was lost.
    trouble: Option<TransportError>,
    /// Why the journal did not take one that was answered.
    unwritten: Option<io::Error>,
    /// Why none of the sessions that were expected could be had.
    unopened: Option<TransportError>,
    /// So many that could have begun lost their session, or were not answered in time.
    unanswered: usize,
}

impl Counter {
    /// A counter with what sessions there are for it.
    pub(super) fn with(hand: Hand, sessions: Arc<Sessions>, journal: Arc<dyn Journal>) -> Self {
        Self {
            sessions,
            hand,
            letters: HashMap::new(),
            places: HashMap::new(),
            rounds: None,
            may_begin: Vec::new(),
            journal,
            answered: 0,
            lost: 0,
            quickest: None,
            trouble: None,
            unwritten: None,
            unopened: None,
            unanswered: 0,
        }
    }

    /// The mails are for several rounds. They are written down as begun, before any of them is marked; whether that worked.
    pub(super) fn take_rounds(&mut self, rounds: Rounds) -> bool {
        let mut all = self.places.keys().chain(self.letters.keys());
        let written = all.try_for_each(|attempt| self.journal.record(*attempt, &Phase::Begun));
        self.rounds = Some(rounds);
        if let Some(within) = &mut self.hand.alone {
            within.takes_rounds();
        }
        self.unwritten = written.err();
        self.unwritten.is_none()
    }

    /// Those that have gone already, whatever becomes of the begin.
    pub(super) fn gone(&self) -> HashSet<Attempt> {
        self.rounds.as_ref().map(|rounds| rounds.gone().clone()).unwrap_or_default()
    }

    /// Of its mails so many began.
    pub(super) fn came(&self, begun: usize, of: usize) {
        if let Some(within) = self.hand.alone.as_ref().filter(|_| self.rounds.is_some()) {
            within.rounds().came(begun, of);
        }
    }

    /// One more mail, which has a session as long as there are any.
    pub(super) fn take(&mut self, attempt: Attempt, message: WireMessage) {
        match self.hand.sessions.pop() {
            Some(lent) => drop(self.places.insert(attempt, Place { message, lent, standing: Standing::Idle })),
            None => drop(self.letters.insert(attempt, message)),
        }
    }

    /// How many may be claimed again at once, because nothing was wrong with them but that they found no session.
    pub(super) fn unseated(&self) -> usize {
        let standing = self.may_begin.iter().filter(|attempt| self.letters.contains_key(attempt));
        self.unanswered + standing.count()
    }

    /// The begin is over: who waits for it may go on, with the sessions of those that `begun` if it has its locks and nobody else wants
    /// any.
    pub(super) fn leave(&mut self, begun: impl Iterator<Item = Begun>) {
        let Some(mut within) = self.hand.alone.take() else { return begun.for_each(drop) };
        if let Some(quickest) = self.quickest {
            within.answered_in(quickest);
        }
        let follower = within.follower().filter(|_| self.sessions.nobody_else_waits(within.campaign()));
        let Some(follower) = follower else { return begun.for_each(drop) };
        // Who takes none behind it, and what the follower has no use for, goes by itself; so does all of it if that is gone.
        drop(follower.send(begun.filter(Begun::takes_another_behind).collect()));
    }

    /// All that have a session.
    pub(super) fn take_places(&mut self) -> HashMap<Attempt, Place> {
        std::mem::take(&mut self.places)
    }

    /// Says whether mail can go. Where some sessions were answered and others lost, the server can be had if those are no
    /// fewer than these: it ends a connection now and then. Otherwise it sends most of us away, and answers do not count:
    /// whoever asked it again at once would open connections by the hundred for the few that it keeps. Either way what was
    /// lost is one failure more. A journal that takes nothing stops everything, whatever the server says.
    pub(super) fn tell(&self, rest: &Rest) {
        if let Some(error) = &self.unwritten {
            rest.no_journal(error);
            return;
        }
        if let Some(error) = &self.unopened {
            rest.no_session(error);
        }
        if self.answered > 0 && self.answered >= self.lost {
            rest.answered();
        }
        if let Some(error) = &self.trouble {
            rest.no_answer(error);
        }
    }

    /// Goes to the counter with those that have no session yet. What was left there goes out with as many of them behind it.
    async fn follow(&mut self, standing: &[Attempt], since: Instant) -> Vec<(Attempt, oneshot::Receiver<Named>)> {
        let Some(within) = &mut self.hand.alone else { return Vec::new() };
        let left = within.follow_to_the_counter().await;
        if since.elapsed() > SEATED_WITHIN {
            return Vec::new();
        }
        let letters = &mut self.letters;
        left.into_iter()
            .zip(standing)
            .filter_map(|(begun, attempt)| Some((*attempt, begun.go_before(letters.remove(attempt)?))))
            .collect()
    }

    /// Sits those down that have no session yet, with what has come free: everything else is ready for it.
    async fn seat(&mut self, expected: Expected, standing: &[Attempt], left: usize) {
        match self.sessions.arrived(expected, standing.len(), left, self.hand.alone.as_ref()).await {
            Ok(arrived) => self.hand.sessions = arrived,
            Err(error) => self.unopened = Some(error),
        }
        for attempt in standing {
            if let Some(message) = self.letters.remove(attempt) {
                self.take(*attempt, message);
            }
        }
    }

    /// Reserves for as many of the attempts as sessions were expected, with what comes of these.
    async fn reserve_expecting(&mut self, expected: Expected, attempts: &[Attempt]) -> Vec<Attempt> {
        let begun_at = Instant::now();
        let standing = attempts.iter().filter(|attempt| self.letters.contains_key(attempt));
        let standing: Vec<Attempt> = standing.take(expected.sessions).copied().collect();
        let following = self.follow(&standing, begun_at).await;
        let left = following.len();
        let (named, answers) = join!(named(following), async {
            self.seat(expected, &standing[left..], left).await;
            if begun_at.elapsed() > SEATED_WITHIN { Vec::new() } else { self.ask(attempts).await }
        });
        if let Some(within) = self.hand.alone.as_ref().filter(|_| left > 0) {
            let came = named.iter().filter(|(_, named)| named.is_some()).count() + answers.len();
            within.foresight().came(came, standing.len());
            within.rounds().followed(left, standing.len());
        }
        self.heard_all(named, answers)
    }

    /// Names the sender of each that has a session.
    async fn ask(&mut self, attempts: &[Attempt]) -> Vec<Answer> {
        let wanted: HashSet<&Attempt> = attempts.iter().collect();
        let asked = self.places.iter_mut().filter(|(attempt, _)| wanted.contains(attempt));
        join_all(asked.map(|(attempt, place)| async move {
            place.standing = Standing::Lost;
            let asked_at = Instant::now();
            let answer = timeout(RESERVE_AT_MOST, place.lent.session.reserve(&place.message)).await;
            let silent = |_| Err(TransportError::Unavailable("no reply to MAIL FROM in time".to_owned()));
            (*attempt, answer.unwrap_or_else(silent), asked_at.elapsed())
        }))
        .await
    }

    /// Takes note of all answers; which of the attempts may begin.
    fn heard_all(&mut self, named: Vec<(Attempt, Option<Named>)>, answers: Vec<Answer>) -> Vec<Attempt> {
        let mut begin = Vec::with_capacity(named.len() + answers.len());
        for (attempt, named) in named {
            let Some((message, lent, answer)) = named else {
                self.unanswered += 1;
                continue;
            };
            self.places.insert(attempt, Place { message, lent, standing: Standing::Lost });
            if matches!(answer, Err(TransportError::Unavailable(_))) {
                // The session was lost with the message before, or that took too long: it says little of this one, which may try another.
                self.unanswered += 1;
            } else if self.heard(attempt, answer, None) {
                begin.push(attempt);
            }
        }
        for (attempt, answer, took) in answers {
            begin.extend(self.heard(attempt, answer, Some(took)).then_some(attempt));
        }
        begin
    }

    /// Takes note of an answer and of how long it took, if anything is to be learned from that; whether the attempt may begin.
    fn heard(&mut self, attempt: Attempt, answer: Result<(), TransportError>, took: Option<Duration>) -> bool {
        let standing = match answer {
            Ok(()) => {
                self.quickest = [self.quickest, took].into_iter().flatten().min();
                Standing::Reserved
            }
            Err(TransportError::Refused(reason)) => Standing::Refused(SendOutcome::Retry { reason, soft: false }),
            Err(TransportError::Rejected(reason)) => Standing::Refused(SendOutcome::Failed { reason, bounced: None }),
            Err(error @ TransportError::Unavailable(_)) => {
                self.lost += 1;
                self.trouble = Some(error);
                return false;
            }
        };
        self.answered += 1;
        if let Some(place) = self.places.get_mut(&attempt) {
            place.standing = standing;
        }
        if self.rounds.is_some() {
            // It was written down beforehand.
            return true;
        }
        match self.journal.record(attempt, &Phase::Begun) {
            Ok(()) => true,
            Err(error) => {
                self.unwritten = Some(error);
                false
            }
        }
    }
}

#[async_trait]
impl Reservations for Counter {
    /// An attempt that the server refused counts as reserved: it did begin, and ends with that refusal.
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        self.may_begin = attempts.to_vec();
        let reserved = if let Some(expected) = self.hand.expected.take() {
            self.reserve_expecting(expected, attempts).await
        } else {
            if let Some(within) = &mut self.hand.alone {
                within.leave_the_hall();
            }
            let answers = self.ask(attempts).await;
            self.heard_all(Vec::new(), answers)
        };
        if let Some(rounds) = &mut self.rounds {
            rounds.first(attempts, &reserved);
        }
        reserved
    }

    fn in_rounds(&self) -> bool {
        self.rounds.is_some()
    }

    fn has_more(&self) -> bool {
        let alone = self.hand.alone.as_ref();
        !self.letters.is_empty()
            && self.rounds.as_ref().is_some_and(Rounds::go_on)
            && alone.is_some_and(|within| self.sessions.nobody_else_waits(within.campaign()))
    }

    async fn further(&mut self) -> Vec<Attempt> {
        let Some(rounds) = &mut self.rounds else { return Vec::new() };
        let following = rounds.follow(&mut self.places, &mut self.letters);
        let reserved = self.heard_all(named(following).await, Vec::new());
        if let Some(rounds) = &mut self.rounds {
            rounds.reserved(&reserved);
        }
        reserved
    }
}

/// What was said to an attempt, and how long it took.
type Answer = (Attempt, Result<(), TransportError>, Duration);

/// What was answered to those that were named behind another; nothing of one that was not, or not in time.
async fn named(following: Vec<(Attempt, oneshot::Receiver<Named>)>) -> Vec<(Attempt, Option<Named>)> {
    let until = Instant::now() + NAMED_AND_ANSWERED_WITHIN;
    let each = following.into_iter().map(|(attempt, answer)| async move {
        let answer = timeout_at(until, answer).await.ok().and_then(Result::ok);
        (attempt, answer)
    });
    join_all(each).await
}

#[cfg(test)]
pub(super) mod tests;
