//! What a begin gets of the sessions there are, and how long it waits for it.

mod expecting;

use super::*;
use crate::deliver::opening::TOGETHER;
use crate::deliver::patience::WITHOUT;
use async_trait::async_trait;
use futures::FutureExt;
use muster_domain::model::ids::CampaignNo;
use muster_domain::ports::transport::{MockMailSession, MockMailTransport};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sessions with a server that greets so many connections and then no more.
fn sessions(at_most: usize, greeted: usize) -> Sessions {
    let asked = AtomicUsize::new(0);
    let mut transport = MockMailTransport::new();
    transport.expect_sessions_at_most().return_const(at_most);
    transport.expect_session().returning(move || {
        if asked.fetch_add(1, Ordering::Relaxed) < greeted {
            Ok(Box::new(MockMailSession::new()))
        } else {
            Err(TransportError::Unavailable("away".to_owned()))
        }
    });
    Sessions::of(Arc::new(transport))
}

fn campaign(tenant: i32, campaign: i32) -> CampaignKey {
    CampaignKey { tenant: TenantNo(tenant), campaign: CampaignNo(campaign) }
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

async fn taken(sessions: &Sessions, by: CampaignKey, wanted: usize) -> Vec<Lent> {
    sessions.take(by, || wanted, &never()).await.unwrap().ok().unwrap().sessions
}

/// What a begin gets that wants so many.
async fn next(sessions: &Sessions, by: CampaignKey, wanted: usize) -> Hand {
    sessions.take(by, || wanted, &never()).await.unwrap().ok().unwrap()
}

fn tenants<const N: usize>(of: [i32; N]) -> impl Iterator<Item = TenantNo> {
    of.into_iter().map(TenantNo)
}

#[tokio::test(start_paused = true)]
async fn a_begin_has_what_it_wants_and_never_more_than_there_is() {
    let sessions = sessions(5, usize::MAX);
    let first = taken(&sessions, campaign(1, 1), 3).await;
    let second = taken(&sessions, campaign(1, 2), 9).await;
    assert_eq!((first.len(), second.len()), (3, 2));
    let stop = never();
    let mut third = Box::pin(sessions.take(campaign(1, 3), || 1, &stop));
    assert!(third.as_mut().now_or_never().is_none(), "there is none left");
    assert_eq!(sessions.held_up(), BTreeMap::new(), "who has everything waits for nobody else");
    drop(first);
    assert_eq!(third.await.unwrap().ok().unwrap().sessions.len(), 1);
}

/// A begin that wants so many, with one free when it asks and `coming` that come free while it waits; what it got, and when.
async fn while_some_come(sessions: &Sessions, wanted: usize, coming: usize) -> (Vec<Lent>, Duration) {
    let mut held = taken(sessions, campaign(1, 1), 9).await;
    drop(held.pop());
    let begun = Instant::now();
    let (hand, ()) = futures::join!(taken(sessions, campaign(1, 2), wanted), async {
        tokio::task::yield_now().await;
        held.truncate(held.len() - coming);
    });
    (hand, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_comes_free_soon_is_begun_together_up_to_what_is_wanted() {
    let sessions = sessions(6, usize::MAX);
    let (hand, after) = while_some_come(&sessions, 3, 4).await;
    assert_eq!((hand.len(), after), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_free_soon_is_not_waited_for() {
    let sessions = sessions(7, usize::MAX);
    // A third of what is waited for is worth it, so that the second waits, too.
    for _ in 0..2 {
        let (hand, after) = while_some_come(&sessions, 9, 2).await;
        assert_eq!(hand.len(), 3);
        // A timer of the runtime goes off within the millisecond after its time.
        assert!(after >= GATHER && after <= GATHER + Duration::from_millis(1), "{after:?}");
    }
}

/// How long a begin waits, for so many as are under way, when none of them comes.
async fn wait_in_vain(sessions: &Sessions) -> Duration {
    let begun = Instant::now();
    assert_eq!(taken(sessions, campaign(1, 2), 9).await.len(), 1);
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn after_a_wait_in_vain_the_next_begins_do_not_wait_and_then_it_is_tried_again() {
    let sessions = sessions(3, usize::MAX);
    let _under_way = taken(&sessions, campaign(1, 1), 2).await;
    for _ in 0..2 {
        assert!(wait_in_vain(&sessions).await >= GATHER);
        for _ in 0..WITHOUT {
            assert_eq!(wait_in_vain(&sessions).await, Duration::ZERO);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_its_share_while_others_want_theirs_and_everything_when_they_do_not() {
    let sessions = sessions(6, usize::MAX);
    sessions.wanted_by(tenants([1, 2, 3]));
    let one = taken(&sessions, campaign(1, 1), 6).await;
    let two = taken(&sessions, campaign(2, 1), 6).await;
    assert_eq!((one.len(), two.len()), (2, 2));
    let stop = never();
    let mut more = Box::pin(sessions.take(campaign(1, 2), || 6, &stop));
    assert!(more.as_mut().now_or_never().is_none(), "two are free, and they are the third's");
    assert_eq!(sessions.held_up(), BTreeMap::from([(TenantNo(1), 1)]));
    sessions.wanted_by(tenants([1]));
    assert_eq!(more.await.unwrap().ok().unwrap().sessions.len(), 2, "what nobody else wants");
    assert_eq!(sessions.held_up(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_begin_with_all_of_its_tenants_share_waits_for_nothing() {
    let sessions = sessions(2, usize::MAX);
    sessions.wanted_by(tenants([1, 2]));
    let begun = Instant::now();
    for tenant in [1, 2] {
        std::mem::forget(taken(&sessions, campaign(tenant, 1), 9).await);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_others_give_back_is_not_taken_beyond_the_share() {
    let sessions = sessions(4, usize::MAX);
    sessions.wanted_by(tenants([1, 2]));
    let mut others = taken(&sessions, campaign(2, 1), 4).await;
    let _under_way = taken(&sessions, campaign(1, 1), 1).await;
    let (hand, ()) = futures::join!(taken(&sessions, campaign(1, 2), 3), async {
        tokio::task::yield_now().await;
        drop(others.pop());
    });
    assert_eq!(hand.len(), 1, "with what is under way that is its share");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_sessions_wants_them_though_nothing_of_it_is_due_any_more() {
    let sessions = sessions(2, usize::MAX);
    sessions.wanted_by(tenants([1]));
    let all = taken(&sessions, campaign(1, 1), 2).await;
    let stop = never();
    let mut second = Box::pin(sessions.take(campaign(2, 1), || 2, &stop));
    let mut first = Box::pin(sessions.take(campaign(1, 2), || 2, &stop));
    assert!(second.as_mut().now_or_never().is_none() && first.as_mut().now_or_never().is_none());
    drop(all);
    let (first, second) = futures::join!(first, second);
    assert_eq!(first.unwrap().ok().unwrap().sessions.len(), 1);
    assert_eq!(second.unwrap().ok().unwrap().sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_greets_some_is_used_for_these_and_one_that_greets_none_is_why_there_are_none() {
    let sessions = sessions(4, 3);
    let hand = taken(&sessions, campaign(1, 1), 4).await;
    assert_eq!(hand.len(), 3);
    drop(hand);
    let refused = sessions.take(campaign(1, 1), || 4, &never()).await.unwrap();
    assert!(refused.is_err_and(|error| matches!(error, TransportError::Unavailable(_))));
    let free: Vec<_> = std::iter::from_fn(|| sessions.places.free_now(TenantNo(2))).collect();
    assert_eq!(free.len(), 4, "no place is lost by it");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_on_when_the_end_has_come() {
    let sessions = sessions(2, usize::MAX);
    let all = taken(&sessions, campaign(1, 1), 2).await;
    let stop = never();
    let mut waits = Box::pin(sessions.take(campaign(2, 1), || 1, &stop));
    assert!(waits.as_mut().now_or_never().is_none());
    stop.cancel();
    assert!(waits.await.is_none());
    drop(all);
    assert_eq!(taken(&sessions, campaign(1, 1), 2).await.len(), 2, "who waits no longer wants none");
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_asked_for_after_the_begin_before_it() {
    let sessions = sessions(4, usize::MAX);
    let first = sessions.take(campaign(1, 1), || 2, &never()).await.unwrap().ok().unwrap();
    let (wanted, stop) = (AtomicUsize::new(2), never());
    let mut second = Box::pin(sessions.take(campaign(1, 1), || wanted.load(Ordering::Relaxed), &stop));
    assert!(second.as_mut().now_or_never().is_none(), "the first is still beginning");
    wanted.store(0, Ordering::Relaxed);
    drop(first.alone);
    assert_eq!(second.await.unwrap().ok().unwrap().sessions.len(), 0);
}

/// A server that greets each connection after a time of its own.
struct Slow {
    greets_after: Vec<Duration>,
    asked: AtomicUsize,
}

#[async_trait]
impl MailTransport for Slow {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.greets_after[number % self.greets_after.len()]).await;
        Ok(Box::new(MockMailSession::new()))
    }

    fn sessions_at_most(&self) -> usize {
        self.greets_after.len()
    }
}

fn slow(greets_after: impl IntoIterator<Item = u64>) -> Sessions {
    let greets_after = greets_after.into_iter().map(Duration::from_secs).collect();
    Sessions::of(Arc::new(Slow { greets_after, asked: AtomicUsize::new(0) }))
}

#[tokio::test(start_paused = true)]
async fn a_server_that_greets_some_late_is_sent_to_by_the_others_meanwhile() {
    let sessions = slow([2, 2, 30, 30]);
    let begun = Instant::now();
    let first = taken(&sessions, campaign(1, 1), 4).await;
    assert_eq!(first.len(), 2);
    assert!(begun.elapsed() <= Duration::from_secs(2) + TOGETHER * 2, "{:?}", begun.elapsed());
    // Those that are still being opened keep their places: nobody asks the server for more than there may be.
    let stop = never();
    let mut more = Box::pin(sessions.take(campaign(1, 2), || 4, &stop));
    assert!(more.as_mut().now_or_never().is_none());
    // Nobody waits for what is open too late, and its place is free then.
    assert_eq!(more.await.unwrap().ok().unwrap().sessions.len(), 2);
    assert!(begun.elapsed() >= Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_server_that_does_not_greet() {
    let (sessions, stop) = (slow([30, 30]), never());
    let begun = Instant::now();
    let (hand, ()) = futures::join!(sessions.take(campaign(1, 1), || 2, &stop), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    });
    assert!(hand.is_none());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(taken(&sessions, campaign(1, 1), 2).await.len(), 2, "their places are free again");
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_has_its_sessions_waits_for_the_one_at_the_counter_before_it_takes_any() {
    let sessions = sessions(40, usize::MAX);
    let first = next(&sessions, campaign(1, 1), 4).await;
    let stop = never();
    let mut second = Box::pin(sessions.take(campaign(1, 1), || 4, &stop));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(sessions.places.held(TenantNo(1)), 4, "of the first alone");
    drop(first.alone);
    assert_eq!(second.await.unwrap().ok().unwrap().sessions.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_one_connection_and_takes_long_for_another_is_no_reason_to_rest() {
    let asked = AtomicUsize::new(0);
    let transport: Arc<dyn MailTransport> = Arc::new(RefusesFirst(asked));
    let places = Places::of(2);
    let taken: Vec<_> = std::iter::from_fn(|| places.free_now(TenantNo(1))).collect();
    assert!(open(&transport, taken, Some(Instant::now() + ARRIVE)).await.is_ok_and(|open| open.is_empty()));
}

/// A server that refuses the first connection and does not greet the others.
struct RefusesFirst(AtomicUsize);

#[async_trait]
impl MailTransport for RefusesFirst {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(TransportError::Unavailable("away".to_owned()));
        }
        std::future::pending().await
    }

    fn sessions_at_most(&self) -> usize {
        2
    }
}
