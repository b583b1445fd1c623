//! What a begin asks of the server, on whose sessions, and what it says of that.

use super::*;
use crate::deliver::recorder::tests::attempt;
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
    let expected = Some(Expected::of(&sessions, CAMPAIGN, expected));
    let hand = Hand { sessions: Vec::new(), expected, for_each: 1, alone: None };
    Counter::with(hand, sessions, Arc::new(journal))
}

pub(in crate::deliver) fn message() -> WireMessage {
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
    let places = counter.take_places();
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
    assert!(counter.take_places().values().all(|place| place.standing == Standing::Idle));
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
    first.alone.as_mut().unwrap().leave_the_hall();
    counter.hand.alone = sessions.begins.within(CAMPAIGN).await;
    counter.take(attempt(1, 1), message());
    let attempts = [attempt(1, 1)];
    let mut reserved = counter.reserve(&attempts);
    assert!(reserved.as_mut().now_or_never().is_none(), "though there is a session");
    drop(first);
    assert_eq!(reserved.now_or_never(), Some(attempts.to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_is_to_have_its_sessions_first_keeps_the_hall_until_it_has_its_locks() {
    let mut journal = MockJournal::new();
    journal.expect_record().returning(|_, _| Ok(()));
    let mut first = expecting(1, 1, journal);
    let sessions = Arc::clone(&first.sessions);
    first.hand = sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).await.unwrap().ok().unwrap();
    first.take(attempt(1, 1), message());
    let mut next = Box::pin(sessions.begins.within(CAMPAIGN));
    assert!(
        next.as_mut().now_or_never().is_none(),
        "it would have its locks first, and wait for the counter with them"
    );
    assert_eq!(first.reserve(&[attempt(1, 1)]).await, [attempt(1, 1)]);
    assert!(next.now_or_never().flatten().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_is_broken_off_while_it_waits_leaves_everything_free() {
    for away in [Duration::ZERO, Duration::from_millis(25)] {
        let mut counter = expecting(1, 1, MockJournal::new());
        let sessions = Arc::clone(&counter.sessions);
        let mut first = sessions.take(CAMPAIGN, || 1, &CancellationToken::new()).await.unwrap().ok().unwrap();
        first.alone.as_mut().unwrap().leave_the_hall();
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
        counter.heard(attempt(1, 1), answer, Some(Duration::from_millis(ms)));
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
