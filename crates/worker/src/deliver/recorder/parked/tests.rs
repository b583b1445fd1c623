//! How long an outcome that storage refuses is kept, and whom it holds up.

use super::super::clerk::EVERY;
use super::super::tests::{attempt, sent};
use super::super::{Note, Recorder};
use super::*;
use crate::deliver::leases::Leases;
use crate::outcomes::tests::heard;
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{
    BeginReport, Beginning, ClaimReport, DeliveryStore, DynReservations, Finished, RecordReport, RenewReport,
};
use muster_domain::ports::store::StoreResult;
use muster_domain::ports::transport::{Journal, MockJournal, Phase};
use std::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// When what was tried, renewed or forgotten by the journal.
#[derive(Default)]
struct Log {
    tries: Mutex<Vec<(Attempt, Instant)>>,
    taken: Mutex<Vec<Attempt>>,
    renewed: Mutex<Vec<(Attempt, Instant)>>,
    marked: Mutex<Vec<Attempt>>,
}

impl Log {
    /// When outcomes of this contact were tried.
    fn tries_of(&self, contact: i64) -> Vec<Instant> {
        let tries = self.tries.lock().unwrap();
        tries.iter().filter(|(one, _)| one.key.contact.0 == contact).map(|(_, at)| *at).collect()
    }

    fn taken(&self) -> Vec<i64> {
        self.taken.lock().unwrap().iter().map(|one| one.key.contact.0).collect()
    }

    /// When the lease of this contact was last renewed.
    fn last_renewed(&self, contact: i64) -> Instant {
        let renewed = self.renewed.lock().unwrap();
        renewed.iter().rev().find(|(one, _)| one.key.contact.0 == contact).unwrap().1
    }
}

enum Answer {
    Taken,
    Refused,
    Away,
    Never,
}

/// Storage that answers as told of each contact and of how often it was asked for it before.
struct Moody<F> {
    log: Arc<Log>,
    answer: F,
}

#[async_trait]
impl<F: Fn(i64, usize) -> Answer + Send + Sync> DeliveryStore for Moody<F> {
    async fn record(&self, _: CampaignKey, finished: &[Finished], _: &RetryPolicy) -> StoreResult<RecordReport> {
        for Finished { attempt, .. } in finished {
            let before = self.log.tries_of(attempt.key.contact.0).len();
            self.log.tries.lock().unwrap().push((*attempt, Instant::now()));
            match (self.answer)(attempt.key.contact.0, before) {
                Answer::Taken => {}
                Answer::Refused => return Err(StoreError::Internal("refused".into())),
                Answer::Away => return Err(StoreError::Unavailable("away".into())),
                Answer::Never => std::future::pending().await,
            }
        }
        self.log.taken.lock().unwrap().extend(finished.iter().map(|one| one.attempt));
        Ok(RecordReport { sent: finished.len(), ..RecordReport::default() })
    }

    async fn renew(&self, attempts: &[Attempt]) -> RenewReport {
        self.log.renewed.lock().unwrap().extend(attempts.iter().map(|one| (*one, Instant::now())));
        RenewReport { renewed: attempts.to_vec(), trouble: None }
    }

    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>> {
        Ok(Vec::new())
    }

    async fn claim(&self, _: CampaignKey, _: usize) -> StoreResult<ClaimReport> {
        Ok(ClaimReport::default())
    }

    async fn begin(&self, _: CampaignKey, _: &[Beginning], _: &mut DynReservations) -> StoreResult<BeginReport> {
        Ok(BeginReport::default())
    }

    async fn give_back(&self, _: CampaignKey, _: &[Attempt]) -> StoreResult<RecordReport> {
        Ok(RecordReport::default())
    }
}

fn journal(log: &Arc<Log>) -> Arc<dyn Journal> {
    let (log, mut journal) = (Arc::clone(log), MockJournal::new());
    journal.expect_record().returning(move |attempt, phase| {
        assert_eq!(*phase, Phase::Recorded);
        log.marked.lock().unwrap().push(attempt);
        Ok(())
    });
    Arc::new(journal)
}

/// A recorder that was told of these contacts of campaign 1, whose leases are held.
fn recorder(
    contacts: &[i64],
    answer: impl Fn(i64, usize) -> Answer + Send + Sync + 'static,
) -> (Recorder, Arc<Log>, CancellationToken) {
    let log: Arc<Log> = Arc::default();
    let store: Arc<dyn DeliveryStore> = Arc::new(Moody { log: Arc::clone(&log), answer });
    let (leases, end) = (Arc::new(Leases::default()), CancellationToken::new());
    leases.hold(contacts.iter().map(|contact| attempt(1, *contact)), Instant::now());
    leases.keep_renewed(Arc::clone(&store), end.clone());
    let policy = RetryPolicy::default();
    let recorder = Recorder::start(store, journal(&log), policy, leases, Arc::default(), end.clone());
    for contact in contacts {
        recorder.tell(sent(1, *contact));
    }
    (recorder, log, end)
}

#[tokio::test(start_paused = true)]
async fn it_is_tried_less_and_less_often_until_it_is_recorded_and_its_lease_and_journal_are_kept_until_then() {
    let (begun, full_until) = (Instant::now(), Duration::from_hours(1));
    let disk = move |contact, _| match contact {
        3 if begun.elapsed() < full_until => Answer::Refused,
        _ => Answer::Taken,
    };
    let (_recorder, log, _end) = recorder(&[2, 3], disk);
    tokio::time::sleep(full_until).await;
    assert_eq!((log.taken(), log.marked.lock().unwrap().len()), (vec![2], 1));
    assert!(log.last_renewed(3).elapsed() < Duration::from_secs(20), "its lease is renewed");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!((log.taken(), log.marked.lock().unwrap().len()), (vec![2, 3], 2));
    let rests: Vec<Duration> = log.tries_of(3).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(rests[1..5].iter().all(|rest| *rest < Duration::from_secs(1)), "{rests:?}");
    assert!(rests[12..].iter().all(|rest| *rest >= Duration::from_secs(30)), "{rests:?}");
    let recorded = Instant::now();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(log.last_renewed(3) <= recorded, "nothing holds it any more");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_that_was_refused_often_and_it_counts_once() {
    let (recorder, log, _end) = recorder(&[3], |_, before| if before < 7 { Answer::Refused } else { Answer::Taken });
    timeout(Duration::from_secs(1), recorder.drained()).await.unwrap();
    let refusals = usize::try_from(REFUSALS_AT_MOST).unwrap();
    assert_eq!((log.tries_of(3).len(), log.taken()), (refusals, vec![]));
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(log.taken(), [3], "it is tried all the same");
    let settled = *recorder.settled.borrow();
    assert_eq!(settled, 1);
}

#[tokio::test(start_paused = true)]
async fn storage_that_is_away_brings_that_no_nearer() {
    // Away at first, for longer than it takes to be refused often; and again in between.
    let answer = |_, before| match before {
        0..=3 | 5..=14 => Answer::Away,
        _ => Answer::Refused,
    };
    let (recorder, log, _end) = recorder(&[3], answer);
    timeout(Duration::from_mins(1), recorder.drained()).await.unwrap();
    assert_eq!(log.tries_of(3).len(), 4 + 10 + usize::try_from(REFUSALS_AT_MOST).unwrap());
}

#[tokio::test(start_paused = true)]
async fn its_campaign_goes_on_without_it_though_its_next_tries_hang() {
    let answer = |contact, before| match (contact, before) {
        (1..=3, 0..=1) => Answer::Refused,
        (1..=3, _) => Answer::Never,
        _ => Answer::Taken,
    };
    let (recorder, log, _end) = recorder(&[1, 2, 3], answer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for contact in 4..10 {
        recorder.tell(sent(1, contact));
        tokio::time::sleep(EVERY * 2).await;
        assert_eq!(log.taken().last(), Some(&contact));
    }
}

#[test]
fn it_is_said_once() {
    let (lines, _) = heard(async {
        let (recorder, ..) = recorder(&[3], |_, _| Answer::Refused);
        tokio::time::sleep(Duration::from_hours(1)).await;
        recorder.tell(Note::Back(attempt(1, 4)));
    });
    let errors: Vec<_> = lines.iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("1/1/3/1/1") && errors[0].contains("cannot be recorded"), "{errors:?}");
}
