//! Mails that are named behind others, on sessions that go from one begin to the next.

use super::outbox::{Asked, Outbox, attempt, campaign};
use super::server::{Diary, Greeting, Server};
use super::{A_MOMENT, DeliverLimits, Deliveries, Work, desk};
use crate::deliver::begun::Begun;
use crate::deliver::counter::tests::message;
use crate::deliver::counter::{Counter, Place, Standing};
use crate::deliver::line::Line;
use crate::deliver::places::Places;
use crate::deliver::rest::Rest;
use crate::deliver::rounds::Rounds;
use crate::deliver::sessions::{Expected, Hand, Lent};
use futures::FutureExt;
use muster_domain::model::delivery::{Attempt, LEASE};
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use muster_domain::ports::delivery::Reservations;
use muster_domain::ports::store::StoreError;
use muster_domain::ports::transport::{Journal, MockJournal, Phase, TransportError};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MAILS: i64 = 1_000;

fn mails() -> Arc<Outbox> {
    Outbox::of(&[(1, MAILS)], |_, _| Ok(()))
}

/// Every mail was accepted, and none twice.
fn assert_each_once(server: &Server) {
    let accepted = server.accepted();
    assert_eq!(accepted.len(), usize::try_from(MAILS).unwrap());
    assert!(accepted.values().all(|times| *times == 1), "{accepted:?}");
}

#[tokio::test(start_paused = true)]
async fn sessions_go_from_one_begin_to_the_next_and_each_mail_goes_out_once() {
    let work = Work::begin(mails(), Server::with_others_behind(10, |_| A_MOMENT));
    work.until_sent(1, 1_000).await;
    let server = Arc::clone(&work.server);
    work.stop().await;
    assert_each_once(&server);
    assert!(server.behind() > 500, "{} were named behind another", server.behind());
    assert_eq!(server.aborted(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_mail_behind_a_message_that_the_server_takes_long_for_goes_out_by_another_session() {
    let long = Duration::from_secs(40);
    let server =
        Server::with_others_behind(10, move |attempt| if attempt.key.contact.0 % 250 == 0 { long } else { A_MOMENT });
    let work = Work::begin(mails(), server);
    // Those four are answered for after a while, and nobody waits for them.
    let took = work.until_sent(1, 996).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    work.until_sent(1, 1_000).await;
    let server = Arc::clone(&work.server);
    work.stop().await;
    assert_each_once(&server);
    assert!((1..=4).contains(&server.aborted()), "{}: named too late, and closed", server.aborted());
}

#[tokio::test(start_paused = true)]
async fn what_was_behind_a_message_that_its_session_was_lost_with_goes_out_by_another() {
    let server = Server::that_loses_what_is_behind(10);
    let work = Work::begin(mails(), server);
    let took = work.until_sent(1, 1_000).await;
    let server = Arc::clone(&work.server);
    work.stop().await;
    assert_each_once(&server);
    assert!(server.behind() > 100 && took < Duration::from_secs(5), "{} in {took:?}", server.behind());
}

#[tokio::test(start_paused = true)]
async fn sessions_that_somebody_else_waits_for_go_to_them() {
    let outbox = Outbox::of(&[(1, 100_000), (2, 100)], |_, _| Ok(()));
    let work = Work::begin(Arc::clone(&outbox), Server::with_others_behind(10, |_| A_MOMENT));
    let took = work.until_sent(2, 100).await;
    assert!(took < Duration::from_secs(1), "{took:?} beside a backlog");
    assert!(!outbox.sent(1).is_empty());
    work.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_is_named_go_out_and_begins_nothing_more() {
    let work = Work::begin(mails(), Server::with_others_behind(10, |_| A_MOMENT));
    work.until_sent(1, 200).await;
    let (server, outbox, begun) = (Arc::clone(&work.server), Arc::clone(&work.outbox), Instant::now());
    work.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let (accepted, asked) = (server.accepted(), server.asked().len());
    assert!(accepted.values().all(|times| *times == 1));
    assert_eq!((accepted.len(), outbox.pending(1)), (outbox.sent(1).len(), 1_000 - accepted.len()));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(server.asked().len(), asked);
}

/// A mail that began, and where it is told of. There is another session.
fn begun(server: &Arc<Server>) -> (Begun, Arc<Line>, Arc<Outbox>) {
    let outbox = Outbox::of(&[], |_, _| Ok(()));
    let (store, transport) = (Arc::clone(&outbox), Arc::new(Greeting(Arc::clone(server))));
    let journal = Arc::new(Diary(Instant::now()));
    let line = Line::open(Deliveries { store, transport, journal, desk: desk::desk() }, DeliverLimits::for_sessions(1));
    let right = Places::of(1).free_now(campaign(1).tenant).unwrap();
    let lent = Lent::of(Box::new(Greeting(Arc::clone(server))), right);
    let (attempt, place) = (attempt(campaign(1), 1), Place { message: message(), lent, standing: Standing::Reserved });
    outbox.has_claimed(attempt);
    (Begun::of(&line, attempt, Instant::now(), place), line, outbox)
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_nobody_takes_over_goes_by_itself() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (begun, line, outbox) = begun(&server);
    drop(begun);
    line.drained().await;
    assert_eq!((server.accepted().len(), server.behind(), outbox.sent(1).len()), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn after_half_a_lease_a_mail_goes_neither_before_another_nor_by_itself() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (begun, line, outbox) = begun(&server);
    tokio::time::advance(LEASE / 2).await;
    let named = begun.go_before(message());
    assert!(named.await.is_err());
    line.drained().await;
    assert_eq!((server.accepted().len(), server.aborted(), outbox.pending(1)), (0, 1, 1));
}

/// Between the sender and the final dot lie replies that are waited for.
#[tokio::test(start_paused = true)]
async fn what_stood_still_on_the_way_to_its_dot_for_longer_than_its_lease_is_not_sent_any_more() {
    for (stood, accepted) in [(LEASE / 2, 1), (LEASE, 0)] {
        for behind in [false, true] {
            let server = Server::with_others_behind(1, |_| A_MOMENT);
            let (begun, line, _outbox) = begun(&server);
            // What is dropped goes by itself.
            let named = behind.then_some(begun).map(|begun| begun.go_before(message()));
            tokio::task::yield_now().await;
            tokio::time::advance(stood).await;
            drop(named);
            line.drained().await;
            assert_eq!(server.accepted().values().sum::<usize>(), accepted, "{stood:?} {behind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nor_when_the_process_stood_still_after_it_was_decided() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (begun, line, outbox) = begun(&server);
    let named = begun.go_before(message());
    tokio::time::advance(LEASE / 2).await;
    assert!(named.await.is_err());
    line.drained().await;
    assert_eq!((server.accepted().len(), server.aborted(), outbox.pending(1)), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_mail_whose_next_is_not_wanted_any_more_goes_by_itself() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (begun, line, _) = begun(&server);
    drop(begun.go_before(message()));
    line.drained().await;
    assert_eq!((server.accepted().len(), server.behind(), server.asked().len()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_before_it_wrote_names_nobody_behind() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (begun, line, _) = begun(&server);
    let named = begun.go_before(message());
    // Its task has not run yet.
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(named.await.is_ok_and(|(_, _, answer)| answer.is_err()));
    line.drained().await;
    assert_eq!((server.accepted().len(), server.behind(), server.asked().len()), (1, 0, 0));
}

/// How a begin of campaign 1 fares that has its locks while the one before it is being committed, when `meanwhile` happens: how many
/// of its mails begin, and how many of them behind the one that began before.
async fn followed(meanwhile: impl AsyncFnOnce(&Line)) -> (usize, usize) {
    let server = Server::with_others_behind(2, |_| A_MOMENT);
    let (began, _) = followed_by(&server, meanwhile).await;
    (began, server.behind())
}

/// The same with this server, and what the begin says of it.
async fn followed_by(server: &Arc<Server>, meanwhile: impl AsyncFnOnce(&Line)) -> (usize, Rest) {
    let (begun, line, _) = begun(server);
    let sessions = Arc::clone(&line.sessions);
    let within = async || sessions.begins.within(campaign(1)).await;
    let counter = |alone| {
        let expected = Some(Expected::of(&sessions, campaign(1), 1));
        let hand = Hand { sessions: Vec::new(), expected, for_each: 1, alone };
        Counter::with(hand, Arc::clone(&sessions), Arc::new(Diary(Instant::now())))
    };
    let mut first = counter(within().await);
    assert!(first.reserve(&[]).await.is_empty());
    let mut next = counter(within().await);
    next.take(attempt(campaign(1), 2), message());
    let attempts = [attempt(campaign(1), 2)];
    let mut reserving = next.reserve(&attempts);
    assert!(reserving.as_mut().now_or_never().is_none(), "the first is at the counter");
    meanwhile(&line).await;
    first.leave(std::iter::once(begun));
    let began = reserving.await.len();
    line.drained().await;
    assert_eq!(server.accepted().get(&1), Some(&1), "the mail before goes out, whatever becomes of this one");
    let rest = Rest::default();
    next.tell(&rest);
    (began, rest)
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_with_the_message_before_says_nothing_of_the_server() {
    let (began, rest) = followed_by(&Server::that_loses_what_is_behind(2), async |_| ()).await;
    assert_eq!(began, 0);
    rest.no_answer(&TransportError::Unavailable("silent".to_owned()));
    assert!(!rest.resting(), "this was the first, which is forgiven");
}

#[tokio::test(start_paused = true)]
async fn a_begin_takes_over_the_sessions_of_the_one_before_it_unless_somebody_else_waits_for_one() {
    assert_eq!(followed(async |_| ()).await, (1, 1));
    for (tenant, number) in [(1, 7), (7, 1)] {
        let other = CampaignKey { tenant: TenantNo(tenant), campaign: CampaignNo(number) };
        let followed = followed(async move |line| {
            let waits = Expected::of(&line.sessions, other, 1);
            tokio::spawn(async move {
                sleep(A_MOMENT * 5).await;
                drop(waits);
            });
        });
        assert_eq!(followed.await, (1, 0), "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_stood_still_before_it_came_to_the_counter_names_nobody() {
    assert_eq!(followed(async |_| tokio::time::advance(Duration::from_secs(1)).await).await, (0, 0));
}

/// Mails of a begin that has two for the one session there is, the first of which is reserved; of another there is none.
async fn in_rounds(server: &Arc<Server>, journal: Arc<dyn Journal>) -> (Counter, Arc<Line>, [Attempt; 2]) {
    let (_, line, outbox) = begun(server);
    line.drained().await;
    let alone = line.sessions.begins.within(campaign(1)).await;
    let right = Places::of(1).free_now(campaign(1).tenant).unwrap();
    let sessions = vec![Lent::of(Box::new(Greeting(Arc::clone(server))), right)];
    let hand = Hand { sessions, expected: None, for_each: 2, alone };
    let mut counter = Counter::with(hand, Arc::clone(&line.sessions), journal);
    let attempts = [2, 3].map(|contact| attempt(campaign(1), contact));
    for attempt in attempts {
        outbox.has_claimed(attempt);
        counter.take(attempt, message());
    }
    (counter, line, attempts)
}

/// The same when the first has been reserved.
async fn after_the_first_round(server: &Arc<Server>) -> (Counter, Arc<Line>) {
    let (mut counter, line, attempts) = in_rounds(server, Arc::new(Diary(Instant::now()))).await;
    assert!(counter.take_rounds(Rounds::of(&line, Instant::now())));
    assert_eq!(counter.reserve(&attempts).await, attempts[..1]);
    (counter, line)
}

#[tokio::test(start_paused = true)]
async fn a_begin_in_rounds_writes_down_all_of_it_before_anything_and_lets_nothing_go_before_the_next_round() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut journal = MockJournal::new();
    let kept = Arc::clone(&written);
    journal.expect_record().returning(move |attempt, phase| {
        kept.lock().unwrap().push((attempt, phase.clone()));
        Ok(())
    });
    let (mut counter, line, attempts) = in_rounds(&server, Arc::new(journal)).await;
    assert!(!counter.in_rounds());
    assert!(counter.take_rounds(Rounds::of(&line, Instant::now())));
    assert!(counter.in_rounds());
    let mut all = std::mem::take(&mut *written.lock().unwrap());
    let (asked, before) = (server.asked().len(), server.accepted().len());
    assert_eq!(counter.reserve(&attempts).await, attempts[..1]);
    assert!(counter.has_more() && counter.gone().is_empty());
    sleep(A_MOMENT * 3).await;
    assert_eq!((server.asked().len(), server.accepted().len()), (asked + 1, before));
    assert_eq!(counter.further().await, attempts[1..]);
    assert_eq!((server.behind(), server.accepted().len()), (1, before + 1));
    assert!(!counter.has_more());
    assert_eq!(counter.gone().into_iter().collect::<Vec<_>>(), attempts[..1]);
    let begun = attempts.map(|attempt| (attempt, Phase::Begun));
    all.sort_by_key(|(attempt, _)| attempt.key);
    assert_eq!(all, begun);
    assert_eq!(*written.lock().unwrap(), [], "once is enough");
}

#[tokio::test(start_paused = true)]
async fn rounds_that_cannot_be_written_down_are_not_begun() {
    let mut journal = MockJournal::new();
    journal.expect_record().returning(|_, _| Err(std::io::Error::other("full")));
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (mut counter, line, _) = in_rounds(&server, Arc::new(journal)).await;
    assert!(!counter.take_rounds(Rounds::of(&line, Instant::now())));
    let rest = Rest::default();
    counter.tell(&rest);
    assert!(rest.resting());
}

#[tokio::test(start_paused = true)]
async fn there_is_no_further_round_when_the_time_is_over_or_somebody_else_waits() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (counter, line) = after_the_first_round(&server).await;
    assert!(counter.has_more());
    let other = CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(7) };
    let waits = Expected::of(&line.sessions, other, 1);
    assert!(!counter.has_more(), "another campaign wants the session");
    drop(waits);
    assert!(counter.has_more());
    tokio::time::advance(Duration::from_millis(15)).await;
    assert!(!counter.has_more());
    assert_eq!(counter.unseated(), 1, "it is claimed again at once");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_between_two_rounds_names_nobody_and_lets_go_what_has_begun() {
    let server = Server::with_others_behind(1, |_| A_MOMENT);
    let (mut counter, line) = after_the_first_round(&server).await;
    let (asked, before) = (server.asked().len(), server.accepted().len());
    assert!(counter.has_more());
    tokio::time::advance(Duration::from_millis(501)).await;
    assert_eq!(counter.further().await, []);
    line.drained().await;
    assert_eq!((server.asked().len(), server.accepted().len()), (asked, before + 1));
}

/// A begin in rounds whose storage fails between the first and the second: nothing is lost, and nothing goes twice.
#[tokio::test(start_paused = true)]
async fn what_was_to_come_in_later_rounds_goes_out_after_all_when_storage_fails_between_two() {
    let failed = AtomicUsize::new(0);
    let outbox = Outbox::of(&[(1, MAILS)], move |what, _| {
        let fails = what == Asked::Round && failed.fetch_add(1, Relaxed).is_multiple_of(3);
        if fails { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
    });
    let work = Work::begin(Arc::clone(&outbox), Server::with_others_behind(10, |_| A_MOMENT));
    work.until_sent(1, 1_000).await;
    let server = Arc::clone(&work.server);
    work.stop().await;
    assert_each_once(&server);
    assert!(outbox.asked(Asked::Round, 1).len() > 3, "{}", outbox.asked(Asked::Round, 1).len());
    assert_eq!(outbox.pending(1), 0);
}

#[tokio::test(start_paused = true)]
async fn with_few_sessions_a_begin_has_several_mails_for_each() {
    let outbox = mails();
    let work = Work::begin(Arc::clone(&outbox), Server::with_others_behind(10, |_| A_MOMENT));
    work.until_sent(1, 1_000).await;
    work.stop().await;
    let (begins, rounds) = (outbox.asked(Asked::Begin, 1).len(), outbox.asked(Asked::Round, 1).len());
    assert!(begins < 60 && begins + rounds >= 100, "{begins} begins with {rounds} rounds more");
}
