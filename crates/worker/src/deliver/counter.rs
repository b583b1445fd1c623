//! The counter: `MAIL FROM` and its reply for the mails of one begin, while its transaction is open.

use super::rest::Rest;
use super::sessions::{Hand, LONGEST_TO_SIT, Lent, Sessions};
use async_trait::async_trait;
use futures::future::join_all;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::delivery::Reservations;
use muster_domain::ports::transport::{Journal, Phase, TransportError, WireMessage};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// `MAIL FROM` and its reply, for all of a batch together; a transaction is open meanwhile.
const RESERVE_AT_MOST: Duration = Duration::from_secs(1);

/// A process that took longer to sit everybody down stood still: by then the database may have ended the begin, and whoever waited for
/// its locks may have been told that nothing begins any more.
const SEATED_WITHIN: Duration = Duration::from_millis(500);
const _: () = assert!(
    SEATED_WITHIN.as_millis() > 5 * LONGEST_TO_SIT.as_millis()
        && SEATED_WITHIN.as_millis() + RESERVE_AT_MOST.as_millis() < 2_000,
    "whoever waits as long as may be is not taken to have stood still, and the database ends a begin after 2 s without a word from it"
);

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
    /// So many that could have begun found no session.
    unseated: usize,
}

impl Counter {
    /// A counter with what sessions there are for it.
    pub(super) fn with(hand: Hand, sessions: Arc<Sessions>, journal: Arc<dyn Journal>) -> Self {
        Self {
            sessions,
            hand,
            letters: HashMap::new(),
            places: HashMap::new(),
            journal,
            answered: 0,
            lost: 0,
            quickest: None,
            trouble: None,
            unwritten: None,
            unopened: None,
            unseated: 0,
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
        self.unseated
    }

    /// The begin is over: who waits for it may go on.
    pub(super) fn leave(&mut self) {
        if let (Some(mut within), Some(quickest)) = (self.hand.alone.take(), self.quickest) {
            within.answered_in(quickest);
        }
    }

    pub(super) fn into_places(self) -> HashMap<Attempt, Place> {
        self.places
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

    /// Sits those of `attempts` down that have no session yet, with what has come free: everything else is ready for it.
    async fn seat(&mut self, attempts: &[Attempt]) {
        let Some(expected) = self.hand.expected.take() else { return };
        if let Some(within) = &mut self.hand.alone {
            within.go_to_the_counter().await;
        }
        let standing: Vec<Attempt> =
            attempts.iter().filter(|attempt| self.letters.contains_key(attempt)).copied().collect();
        match self.sessions.arrived(expected, standing.len(), self.hand.alone.as_ref()).await {
            Ok(arrived) => self.hand.sessions = arrived,
            Err(error) => self.unopened = Some(error),
        }
        for attempt in standing {
            if let Some(message) = self.letters.remove(&attempt) {
                self.take(attempt, message);
            }
            self.unseated += usize::from(self.letters.contains_key(&attempt));
        }
    }

    /// Takes note of an answer and of how long it took; whether the attempt may begin.
    fn heard(&mut self, attempt: Attempt, answer: Result<(), TransportError>, took: Duration) -> bool {
        let standing = match answer {
            Ok(()) => {
                self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
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
        let begun_at = Instant::now();
        self.seat(attempts).await;
        if begun_at.elapsed() > SEATED_WITHIN {
            return Vec::new();
        }
        let wanted: HashSet<&Attempt> = attempts.iter().collect();
        let asked = self.places.iter_mut().filter(|(attempt, _)| wanted.contains(attempt));
        let answers = join_all(asked.map(|(attempt, place)| async move {
            place.standing = Standing::Lost;
            let asked_at = Instant::now();
            let answer = timeout(RESERVE_AT_MOST, place.lent.session.reserve(&place.message)).await;
            let silent = |_| Err(TransportError::Unavailable("no reply to MAIL FROM in time".to_owned()));
            (*attempt, answer.unwrap_or_else(silent), asked_at.elapsed())
        }))
        .await;
        let began = |(attempt, answer, took)| self.heard(attempt, answer, took).then_some(attempt);
        answers.into_iter().filter_map(began).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::recorder::tests::attempt;
    use crate::deliver::sessions::Expected;
    use futures::FutureExt;
    use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
    use muster_domain::ports::transport::{Envelope, MockJournal, MockMailSession, MockMailTransport};
    use tokio_util::sync::CancellationToken;

    const CAMPAIGN: CampaignKey = CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(1) };

    fn counter(journal: MockJournal) -> Counter {
        expecting(2, 0, journal)
    }

    /// The counter of a begin that expects sessions, of which there are so many.
    fn expecting(expected: usize, sessions: usize, journal: MockJournal) -> Counter {
        let mut transport = MockMailTransport::new();
        transport.expect_sessions_at_most().return_const(sessions.max(1));
        transport.expect_session().returning(move || {
            if sessions == 0 {
                return Err(TransportError::Unavailable("away".to_owned()));
            }
            let mut session = MockMailSession::new();
            session.expect_reserve().returning(|_| Ok(()));
            Ok(Box::new(session))
        });
        let sessions = Arc::new(Sessions::of(Arc::new(transport)));
        let expected = Some(Expected::of(&sessions, attempt(1, 1).key.tenant, expected));
        let hand = Hand { sessions: Vec::new(), expected, alone: None };
        Counter::with(hand, sessions, Arc::new(journal))
    }

    fn message() -> WireMessage {
        let address = || "somebody@example.test".to_owned();
        WireMessage { envelope: Envelope { from: address(), to: address() }, data: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_session_of_those_that_were_expected_does_not_begin() {
        let mut journal = MockJournal::new();
        journal.expect_record().times(2).returning(|_, _| Ok(()));
        let mut counter = expecting(3, 2, journal);
        let attempts = [attempt(1, 1), attempt(1, 2), attempt(1, 3), attempt(1, 4)];
        for attempt in attempts {
            counter.take(attempt, message());
        }
        // The last may not begin, and takes no session from those that may.
        let began = counter.reserve(&attempts[..3]).await;
        assert_eq!(counter.unseated(), 1);
        assert_eq!(began.iter().collect::<HashSet<_>>(), attempts[..2].iter().collect());
        let places = counter.into_places();
        assert_eq!(places.len(), 2);
        assert!(places.values().all(|place| place.standing == Standing::Reserved));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stood_still_before_it_asked_the_server_does_not_ask_it() {
        let mut counter = expecting(1, 1, MockJournal::new());
        let elsewhere = counter.sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).await;
        counter.take(attempt(1, 1), message());
        let attempts = [attempt(1, 1)];
        let mut reserved = counter.reserve(&attempts);
        assert!(reserved.as_mut().now_or_never().is_none(), "waits for the session");
        tokio::time::advance(SEATED_WITHIN * 2).await;
        drop(elsewhere);
        assert!(reserved.await.is_empty());
        assert!(counter.into_places().values().all(|place| place.standing == Standing::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_begin_that_expects_sessions_waits_at_the_counter_for_the_one_before_it() {
        let mut journal = MockJournal::new();
        journal.expect_record().returning(|_, _| Ok(()));
        let mut counter = expecting(1, 1, journal);
        let sessions = Arc::clone(&counter.sessions);
        let take = || async { sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).await.unwrap().ok().unwrap() };
        let mut first = take().await;
        first.sessions.clear();
        counter.hand.alone = sessions.begins.within(CAMPAIGN).await;
        counter.take(attempt(1, 1), message());
        let attempts = [attempt(1, 1)];
        let mut reserved = counter.reserve(&attempts);
        assert!(reserved.as_mut().now_or_never().is_none(), "though there is a session");
        drop(first);
        assert_eq!(reserved.now_or_never(), Some(attempts.to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_begin_that_is_broken_off_while_it_waits_leaves_everything_free() {
        for away in [Duration::ZERO, Duration::from_millis(25)] {
            let mut counter = expecting(1, 1, MockJournal::new());
            let sessions = Arc::clone(&counter.sessions);
            let mut first = sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).await.unwrap().ok().unwrap();
            counter.hand.alone = sessions.begins.within(CAMPAIGN).await;
            counter.take(attempt(1, 1), message());
            let begun = timeout(away, counter.reserve(&[attempt(1, 1)])).await;
            assert!(begun.is_err(), "at the counter, and then for a session");
            drop(counter);
            first.sessions.clear();
            drop(first);
            let next = sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).now_or_never();
            let next = next.expect("nobody is about any more").unwrap().ok().unwrap();
            assert_eq!((next.sessions.len(), next.alone.map(|within| within.seats())), (1, Some(1)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_were_expected_and_cannot_be_had_are_a_reason_to_rest() {
        let rest = Rest::default();
        let mut counter = expecting(1, 0, MockJournal::new());
        counter.take(attempt(1, 1), message());
        assert!(counter.reserve(&[attempt(1, 1)]).await.is_empty());
        assert!(!rest.resting());
        counter.tell(&rest);
        assert!(rest.resting());
    }

    /// How many lost sessions after a begin that came to this are met by trying again at once; none when it rests already.
    fn forgiven(before: u32, answered: usize, lost: usize, unwritten: bool) -> Option<usize> {
        let (rest, silent) = (Rest::default(), TransportError::Unavailable("silent".to_owned()));
        for _ in 0..before {
            rest.no_answer(&silent);
        }
        let mut counter = counter(MockJournal::new());
        (counter.answered, counter.lost) = (answered, lost);
        counter.trouble = (lost > 0).then(|| silent.clone());
        counter.unwritten = unwritten.then(|| io::Error::other("full"));
        counter.tell(&rest);
        let next = |_: &usize| {
            let resting = rest.resting();
            rest.no_answer(&silent);
            !resting
        };
        (!rest.resting()).then(|| (0..9).take_while(next).count() - 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_had_when_it_answers_no_fewer_than_it_loses_and_what_it_loses_is_a_failure_all_the_same() {
        assert_eq!(forgiven(0, 0, 0, false), Some(1), "nothing was asked");
        assert_eq!(forgiven(1, 0, 0, false), Some(0), "and that says nothing");
        assert_eq!(forgiven(1, 9, 0, false), Some(1), "all were answered");
        assert_eq!(forgiven(1, 5, 5, false), Some(0), "half were: the server is there, and this is the first failure");
        assert_eq!(forgiven(0, 4, 5, false), Some(0), "most were lost: once is forgiven");
        assert_eq!(forgiven(1, 4, 5, false), None, "and not again, whatever the others were answered");
        assert_eq!(forgiven(1, 0, 5, false), None, "all were lost");
    }

    #[test]
    fn a_server_is_as_near_as_the_quickest_of_the_senders_that_it_accepted() {
        let mut journal = MockJournal::new();
        journal.expect_record().returning(|_, _| Ok(()));
        let mut counter = counter(journal);
        let mut quickest_after = |answer, ms| {
            counter.heard(attempt(1, 1), answer, Duration::from_millis(ms));
            counter.quickest.map(|quickest| quickest.as_millis())
        };
        assert_eq!(quickest_after(Err(TransportError::Unavailable(String::new())), 1), None);
        assert_eq!(quickest_after(Err(TransportError::Rejected(String::new())), 1), None);
        assert_eq!(quickest_after(Ok(()), 5), Some(5));
        assert_eq!(quickest_after(Ok(()), 3), Some(3));
        assert_eq!(quickest_after(Ok(()), 4), Some(3));
        assert_eq!(quickest_after(Err(TransportError::Refused(String::new())), 1), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_journal_that_takes_nothing_is_a_reason_to_rest_whatever_the_server_says() {
        assert_eq!(forgiven(0, 9, 0, true), None);
        assert_eq!(forgiven(0, 9, 1, true), None);
    }
}
