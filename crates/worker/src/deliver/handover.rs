//! From the begin to the mail server's answer.

use super::counter::{Counter, Place, Standing};
use super::line::Line;
use super::sessions::Hand;
use futures::FutureExt;
use futures::future::join_all;
use muster_domain::model::delivery::{Attempt, LEASE, LEASE_AT_BEGIN, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{Beginning, Finished, Letter};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::ports::transport::WireMessage;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A begin that takes longer is over: nobody knows how, so nothing is sent.
const BEGIN_AT_MOST: Duration = Duration::from_secs(15);
/// Half of a lease. A process that stood still for longer between begin and handing over does not hand over.
const FRESH_FOR: Duration = Duration::from_secs(LEASE.as_secs() / 2);
const _: () = assert!(
    FRESH_FOR.as_millis() + LEASE.as_millis() / 4 <= LEASE_AT_BEGIN.as_millis(),
    "what is handed over at the last moment has a while to be answered before anybody doubts it"
);

/// A letter ready to begin.
pub(super) struct Ready {
    pub(super) beginning: Beginning,
    message: WireMessage,
}

impl Ready {
    pub(super) fn new(letter: Letter, message: WireMessage) -> Self {
        let Letter { claimed, recipient, .. } = letter;
        Self { beginning: Beginning { attempt: claimed.attempt, recipient, first: claimed.attempts == 0 }, message }
    }
}

/// Begins a batch and starts to hand over what began; who waits for it does so until it is known what did. Every attempt of it is
/// seen to: handed over, ended or given back. Answers how many are pending again for nothing but want of a session.
pub(super) async fn begin(
    line: &Arc<Line>,
    campaign: CampaignKey,
    batch: Vec<Ready>,
    hand: Hand,
) -> StoreResult<usize> {
    let mut counter = Counter::with(hand, Arc::clone(&line.sessions), Arc::clone(&line.ports.journal));
    let mut beginnings = Vec::with_capacity(batch.len());
    for Ready { beginning, message } in batch {
        counter.take(beginning.attempt, message);
        beginnings.push(beginning);
    }
    let began_at = Instant::now();
    let report = timeout(BEGIN_AT_MOST, line.ports.store.begin(campaign, &beginnings, &mut counter)).await;
    let report = report.unwrap_or_else(|_| Err(StoreError::Unavailable("the begin took too long".into())));
    counter.tell(&line.rest);
    let unseated = counter.unseated();
    counter.leave();
    let mut places = counter.into_places();
    let begun = match &report {
        Ok(report) => {
            line.count_begun(report.begun.len(), report.suppressed.len(), campaign, report.closed);
            metrics::counter!("muster_deliveries_unseated_total").increment(unseated as u64);
            report.begun.as_slice()
        }
        Err(_) => &[],
    };
    for attempt in begun {
        if let Some(place) = places.remove(attempt) {
            hand_over(line, *attempt, place, began_at);
        }
    }
    // Nothing of the others was or will be handed over. Where it is not known whether they began, that puts it right.
    let others: Vec<Attempt> =
        beginnings.iter().map(|one| one.attempt).filter(|attempt| !begun.contains(attempt)).collect();
    join_all(places.values_mut().map(|place| async {
        if place.standing != Standing::Idle {
            place.lent.session.abort().await;
        }
    }))
    .await;
    match report {
        Ok(_) => {
            line.leases.release(&others);
            Ok(unseated)
        }
        Err(error) => {
            line.give_back(others);
            Err(error)
        }
    }
}

/// Hands one mail over, in a task of its own.
fn hand_over(line: &Arc<Line>, attempt: Attempt, mut place: Place, began_at: Instant) {
    let (line_, abandon) = (Arc::clone(line), line.abandon.clone());
    line.handing_over.spawn(abandon.run_until_cancelled_owned(async move {
        let line = line_;
        let outcome = match std::mem::replace(&mut place.standing, Standing::Idle) {
            Standing::Refused(outcome) => Some(outcome),
            Standing::Reserved if began_at.elapsed() < FRESH_FOR => {
                let journal = line.ports.journal.as_ref();
                let confirmed = place.lent.session.confirm(attempt, &place.message, journal);
                let lost = |_| SendOutcome::InDoubt { reason: "handing it over broke off".to_owned() };
                Some(AssertUnwindSafe(confirmed).catch_unwind().await.unwrap_or_else(lost))
            }
            Standing::Reserved | Standing::Idle | Standing::Lost => {
                place.lent.session.abort().await;
                None
            }
        };
        // The session goes to the next before this one's outcome is written down.
        drop(place);
        match outcome {
            Some(outcome) => line.finished(Finished { attempt, outcome }),
            None => line.give_back([attempt]),
        }
    }));
}
