//! Whom storage in trouble holds up, and what is written together and when.

use super::clerk::EVERY;
use super::queue::BATCH;
use super::*;
use crate::outcomes::tests::{heard, says_doubt};
use muster_domain::model::delivery::{DeliveryKey, Epoch, SendOutcome};
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::delivery::{MockDeliveryStore, RecordReport};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::ports::transport::MockJournal;
use std::time::Duration;
use tokio::time::{Instant, timeout};

pub(in crate::deliver) fn attempt(campaign: i32, contact: i64) -> Attempt {
    let (tenant, campaign) = (TenantNo(1), CampaignNo(campaign));
    let key = DeliveryKey { tenant, campaign, contact: ContactNo(contact), step: StepNo(1), pass: Pass(1) };
    Attempt { key, epoch: Epoch(1) }
}

pub(super) fn sent(campaign: i32, contact: i64) -> Note {
    let outcome = SendOutcome::Sent { reply: "250 ok".to_owned() };
    Note::Finished(Finished { attempt: attempt(campaign, contact), outcome })
}

/// How many outcomes each transaction had that storage took, of which campaign, in order.
type Taken = Arc<Mutex<Vec<(i32, usize)>>>;

/// Storage that says of a campaign's outcomes what `answer` does.
fn recorder(answer: impl Fn(i32, &[Finished]) -> StoreResult<()> + Send + Sync + 'static) -> (Recorder, Taken) {
    let taken = Taken::default();
    let seen = Arc::clone(&taken);
    let mut store = MockDeliveryStore::new();
    store.expect_record().returning(move |key, finished, _| {
        answer(key.campaign.0, finished)?;
        seen.lock().unwrap().push((key.campaign.0, finished.len()));
        Ok(RecordReport { sent: finished.len(), ..RecordReport::default() })
    });
    let mut journal = MockJournal::new();
    journal.expect_record().returning(|_, _| Ok(()));
    let (policy, end) = (RetryPolicy::default(), CancellationToken::new());
    let recorder = Recorder::start(Arc::new(store), Arc::new(journal), policy, Arc::default(), Arc::default(), end);
    (recorder, taken)
}

fn of(taken: &Taken, campaign: i32) -> Vec<usize> {
    taken.lock().unwrap().iter().filter(|(of, _)| *of == campaign).map(|(_, count)| *count).collect()
}

#[tokio::test(start_paused = true)]
async fn whoever_has_to_wait_for_storage_holds_up_nobody_else() {
    let away = |campaign, _: &[Finished]| match campaign {
        9 => Ok(()),
        _ => Err(StoreError::Unavailable("away".into())),
    };
    let (recorder, taken) = recorder(away);
    for campaign in 1..=5 {
        recorder.tell(sent(campaign, 1));
    }
    recorder.tell(sent(9, 1));
    assert!(timeout(Duration::from_millis(20), recorder.drained()).await.is_err());
    assert_eq!(of(&taken, 9), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_storage_is_written_when_it_is_back() {
    let (since, from) = (Instant::now(), Duration::from_mins(1));
    let (recorder, taken) =
        recorder(move |_, _| if since.elapsed() < from { Err(StoreError::Unavailable("away".into())) } else { Ok(()) });
    recorder.tell(sent(1, 1));
    recorder.tell(sent(2, 1));
    timeout(from + Duration::from_secs(5), recorder.drained()).await.unwrap();
    assert_eq!((of(&taken, 1), of(&taken, 2)), (vec![1], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn one_that_storage_refuses_spoils_none_of_those_written_with_it() {
    let refused = |_, finished: &[Finished]| {
        let bad = finished.iter().any(|one| one.attempt == attempt(1, 3));
        if bad { Err(StoreError::Internal("refused".into())) } else { Ok(()) }
    };
    let (recorder, taken) = recorder(refused);
    for contact in 1..=7 {
        recorder.tell(sent(1, contact));
    }
    recorder.tell(sent(2, 1));
    timeout(Duration::from_secs(30), recorder.drained()).await.unwrap();
    assert_eq!((of(&taken, 1), of(&taken, 2)), (vec![1; 6], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn what_is_written_one_by_one_takes_turns_with_what_is_new() {
    let together = |_, finished: &[Finished]| {
        if finished.len() > 1 { Err(StoreError::Internal("refused".into())) } else { Ok(()) }
    };
    let (recorder, taken) = recorder(together);
    for campaign in [1, 2] {
        for contact in 1..=50 {
            recorder.tell(sent(campaign, contact));
        }
    }
    recorder.tell(sent(9, 1));
    timeout(Duration::from_secs(1), recorder.drained()).await.unwrap();
    let before = taken.lock().unwrap().iter().position(|(campaign, _)| *campaign == 9);
    assert!(before.is_some_and(|before| before < 5), "{before:?} of 100 came first");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_has_so_many_outcomes_at_most_and_the_rest_is_next() {
    let (recorder, taken) = recorder(|_, _| Ok(()));
    let many = BATCH + BATCH / 2;
    for contact in 0..many {
        recorder.tell(sent(1, i64::try_from(contact).unwrap()));
    }
    timeout(Duration::from_secs(1), recorder.drained()).await.unwrap();
    assert_eq!(of(&taken, 1), [BATCH, BATCH / 2]);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_is_written_at_once_after_a_silence_and_then_not_before_its_time() {
    let (recorder, taken) = recorder(|_, _| Ok(()));
    let begun = Instant::now();
    recorder.tell(sent(1, 0));
    recorder.drained().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for contact in 1..=3 {
        recorder.tell(sent(1, contact));
    }
    recorder.drained().await;
    assert!(begun.elapsed() >= EVERY && begun.elapsed() < EVERY * 2, "{:?}", begun.elapsed());
    assert_eq!(of(&taken, 1), [1, 3]);
}

#[test]
fn a_doubt_is_told_once_when_it_is_stored() {
    let (lines, page) = heard(async {
        let (since, from) = (Instant::now(), Duration::from_secs(1));
        let (recorder, _) =
            recorder(
                move |_, _| {
                    if since.elapsed() < from { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
                },
            );
        let outcome = SendOutcome::InDoubt { reason: "the connection was lost".to_owned() };
        recorder.tell(Note::Finished(Finished { attempt: attempt(1, 7), outcome }));
        recorder.tell(sent(1, 8));
        timeout(Duration::from_secs(30), recorder.drained()).await.unwrap();
    });
    let doubts: Vec<String> = lines.into_iter().filter(|line| line.contains("in doubt")).collect();
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    assert!(says_doubt(&doubts, "1/1/7/1/1"), "{doubts:?}");
    assert!(page.contains("muster_deliveries_total{outcome=\"sent\"} 2"), "{page}");
}
