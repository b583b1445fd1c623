//! The worker's loops over mocked ports, in virtual tokio time.

use super::*;
use crate::deliver::RENEWED_WITHIN;
use crate::deliver::tests::desk::NoTracker;
use muster_domain::ports::advance::MockAdvanceStore;
use muster_domain::ports::delivery::{MockDeliveryStore, MockReaper, ReapReport};
use muster_domain::ports::events::MockEventKeeper;
use muster_domain::ports::store::{StoreError, Tx, Workspace};
use muster_domain::ports::templates::{MockComposer, MockTemplates};
use muster_domain::ports::tokens::MockTokens;
use muster_domain::ports::transport::{MockJournal, MockJournalArchive, MockMailTransport};
use muster_domain::ports::work::{MockTimeLapse, MockWorkQueue, WorkAtHand};
use muster_domain::usecases::write_letter::Desk;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_begins_anew_and_the_process_goes_on() {
    let (runs, end) = (AtomicU32::new(0), CancellationToken::new());
    supervise("test", &end, || {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        async move { assert!(run >= 2, "the first two runs panic") }
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_when_the_end_has_come_is_left_alone() {
    let (runs, end) = (AtomicU32::new(0), CancellationToken::new());
    end.cancel();
    supervise("test", &end, || {
        runs.fetch_add(1, Ordering::SeqCst);
        async { panic!("always") }
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

/// Ports over nothing: no work, no mail, no journals; `at_hand` answers as told.
fn idle_ports(queue: MockWorkQueue) -> WorkerPorts {
    let mut store = MockDeliveryStore::new();
    store.expect_due_campaigns().returning(|| Ok(Vec::new()));
    let mut lapse = MockTimeLapse::new();
    lapse.expect_tick().returning(|| Ok(None));
    let mut reaper = MockReaper::new();
    reaper.expect_reap().returning(|_| Ok(ReapReport::default()));
    let mut archive = MockJournalArchive::new();
    archive.expect_adopt().returning(|| Ok(None));
    let mut transport = MockMailTransport::new();
    transport.expect_sessions_at_most().return_const(2_usize);
    let mut queue = queue;
    queue.expect_guarded().returning(|| Ok(Vec::new()));
    WorkerPorts {
        store: Arc::new(NoTransactions),
        queue: Arc::new(queue),
        advancing: Arc::new(MockAdvanceStore::new()),
        lapse: Arc::new(lapse),
        deliveries: Deliveries {
            store: Arc::new(store),
            transport: Arc::new(transport),
            journal: Arc::new(MockJournal::new()),
            desk: Desk {
                templates: Arc::new(MockTemplates::new()),
                composer: Arc::new(MockComposer::new()),
                tokens: Arc::new(MockTokens::new()),
                tracker: Arc::new(NoTracker),
                public_url: "http://muster.test".to_owned(),
                bounce_domain: None,
            },
        },
        reaper: Arc::new(reaper),
        events: Arc::new(MockEventKeeper::new()),
        archive: Arc::new(archive),
    }
}

/// Nothing asks for a transaction here.
struct NoTransactions;

#[async_trait::async_trait]
impl Store for NoTransactions {
    async fn begin(&self, _: Workspace) -> StoreResult<Tx> {
        Err(StoreError::Conflict)
    }
}

fn options() -> WorkerOptions {
    WorkerOptions {
        plan: PlanOptions::default(),
        deliver: DeliverLimits::for_sessions(2),
        pace: Pace::default(),
        keep_events: None,
    }
}

/// The next answers of storage, in order; nothing to do after the last.
fn answers(told: Vec<StoreResult<WorkAtHand>>) -> (MockWorkQueue, Arc<AtomicU32>) {
    let (mut queue, asked) = (MockWorkQueue::new(), Arc::new(AtomicU32::new(0)));
    let (counted, told) = (Arc::clone(&asked), Mutex::new(VecDeque::from(told)));
    queue.expect_at_hand().returning(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        told.lock().unwrap().pop_front().unwrap_or_else(|| Ok(WorkAtHand::default()))
    });
    (queue, asked)
}

#[tokio::test(start_paused = true)]
async fn storage_that_is_away_is_waited_for_and_a_panic_does_not_end_the_worker() {
    let away = || Err(StoreError::Unavailable("away".into()));
    let (queue, asked) = answers(vec![away(), away(), away()]);
    let mut ports = idle_ports(queue);
    // Housekeeping panics in its first round.
    let (mut archive, first) = (MockJournalArchive::new(), AtomicU32::new(0));
    archive.expect_adopt().returning(move || {
        assert!(first.fetch_add(1, Ordering::SeqCst) > 0, "the first time it panics");
        Ok(None)
    });
    ports.archive = Arc::new(archive);
    let end = CancellationToken::new();
    let running = tokio::spawn(Worker::new(ports, options()).run(end.clone()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(asked.load(Ordering::SeqCst) > 10, "it went on asking");
    assert!(!running.is_finished());
    end.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_ends_at_once() {
    let (queue, _) = answers(Vec::new());
    let end = CancellationToken::new();
    let running = tokio::spawn(Worker::new(idle_ports(queue), options()).run(end.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked_at = Instant::now();
    end.cancel();
    running.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(1), "{:?}", asked_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn journals_are_settled_before_every_round_of_reaping() {
    // A send whose worker died is reaped a lease after its last renewal, whenever in that time its journal was left behind.
    let told = housekeeping_until(LEASE * 2, |_| true).await;
    let first = told.iter().position(|(what, _)| *what == "reap").unwrap();
    let rounds: Vec<&str> = told[first - 1..].iter().map(|(what, _)| *what).collect();
    assert!(rounds.len() > 4 && rounds.chunks_exact(2).all(|round| round == ["adopt", "reap"]), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reaped_before_the_living_have_renewed_at_the_start_and_after_storage_was_away() {
    let away = LEASE..LEASE * 3;
    let told = housekeeping_until(LEASE * 5, move |at| !away.contains(&at)).await;
    let reaped: Vec<Duration> = told.iter().filter(|(what, _)| *what == "reap").map(|(_, at)| *at).collect();
    let within = |from: Duration, until: Duration| reaped.iter().filter(move |at| (from..until).contains(*at)).count();
    for back in [Duration::ZERO, LEASE * 3] {
        assert_eq!(within(back, back + RENEWED_WITHIN), 0, "{told:?}");
        assert!(within(back + RENEWED_WITHIN, back + LEASE) > 0, "{told:?}");
    }
}

/// What housekeeping asked for and when, of storage that is there or away.
async fn housekeeping_until(
    end_at: Duration,
    is_there: impl Fn(Duration) -> bool + Send + Sync + 'static,
) -> Vec<(&'static str, Duration)> {
    let (begun, told) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let (mut archive, mut reaper) = (MockJournalArchive::new(), MockReaper::new());
    let log = Arc::clone(&told);
    archive.expect_adopt().returning(move || {
        log.lock().unwrap().push(("adopt", begun.elapsed()));
        Ok(None)
    });
    let log = Arc::clone(&told);
    reaper.expect_reap().returning(move |_| {
        log.lock().unwrap().push(("reap", begun.elapsed()));
        Ok(ReapReport::default())
    });
    let mut queue = MockWorkQueue::new();
    queue.expect_at_hand().returning(|| Ok(WorkAtHand::default()));
    queue.expect_guarded().returning(move || {
        if is_there(begun.elapsed()) { Ok(Vec::new()) } else { Err(StoreError::Unavailable("away".into())) }
    });
    let idle = idle_ports(MockWorkQueue::new());
    let ports = WorkerPorts { queue: Arc::new(queue), archive: Arc::new(archive), reaper: Arc::new(reaper), ..idle };
    let end = CancellationToken::new();
    let running = tokio::spawn(Worker::new(ports, options()).run(end.clone()));
    tokio::time::sleep(end_at).await;
    end.cancel();
    running.await.unwrap();
    let told = told.lock().unwrap();
    told.clone()
}

#[tokio::test(start_paused = true)]
async fn old_events_go_batch_by_batch_and_are_looked_for_now_and_then_where_they_are_to_go() {
    for keep_events in [None, Some(90)] {
        let (queue, _) = answers(Vec::new());
        let begun = Instant::now();
        let rounds = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut keeper) = (Arc::clone(&rounds), MockEventKeeper::new());
        keeper.expect_forget_events().returning(move |days, at_most| {
            let mut rounds = kept.lock().unwrap();
            rounds.push((days, begun.elapsed().as_millis() / HOUSEKEEPING_EVERY.as_millis()));
            // The first two are full.
            Ok(if rounds.len() < 3 { at_most.cast_unsigned() } else { 1 })
        });
        let ports = WorkerPorts { events: Arc::new(keeper), ..idle_ports(queue) };
        let options = WorkerOptions { keep_events, ..options() };
        let end = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(ports, options).keep_house(end.clone()));
        tokio::time::sleep(HOUSEKEEPING_EVERY * (ROUNDS_OF_MEMORY + 5)).await;
        end.cancel();
        worker.await.unwrap();
        let rounds = std::mem::take(&mut *rounds.lock().unwrap());
        let expected = [0, 1, 2, u128::from(ROUNDS_OF_MEMORY) + 2].map(|round| (90, round));
        assert_eq!(rounds, if keep_events.is_some() { expected.to_vec() } else { vec![] });
    }
}
