//! From the begin to the mail server's answer.

use super::begun::Begun;
use super::counter::{Counter, Standing};
use super::line::Line;
use super::rounds::Rounds;
use super::sessions::Hand;
use futures::future::join_all;
use muster_domain::model::delivery::Attempt;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{Beginning, Letter};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::ports::transport::WireMessage;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A begin that takes longer is over: nobody knows how, so nothing is sent.
const BEGIN_AT_MOST: Duration = Duration::from_secs(15);
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
    let (in_rounds, began_at) = (batch.len() > hand.seats(), Instant::now());
    let mut counter = Counter::with(hand, Arc::clone(&line.sessions), Arc::clone(&line.ports.journal));
    let mut beginnings = Vec::with_capacity(batch.len());
    for Ready { beginning, message } in batch {
        counter.take(beginning.attempt, message);
        beginnings.push(beginning);
    }
    if in_rounds && !counter.take_rounds(Rounds::of(line, began_at)) {
        counter.tell(&line.rest);
        line.give_back(beginnings.iter().map(|one| one.attempt));
        return Ok(0);
    }
    let report = timeout(BEGIN_AT_MOST, line.ports.store.begin(campaign, &beginnings, &mut counter)).await;
    let report = report.unwrap_or_else(|_| Err(StoreError::Unavailable("the begin took too long".into())));
    counter.tell(&line.rest);
    let unseated = counter.unseated();
    let mut places = counter.take_places();
    let begun: HashSet<Attempt> = if let Ok(report) = &report {
        line.count_begun(report.begun.len(), report.suppressed.len(), campaign, report.closed);
        metrics::counter!("muster_deliveries_unseated_total").increment(unseated as u64);
        report.begun.iter().copied().collect()
    } else {
        let gone = counter.gone();
        line.count_begun(gone.len(), 0, campaign, 0);
        gone
    };
    counter.came(begun.len(), beginnings.len());
    let begun_here =
        report.iter().flat_map(|report| &report.begun).filter_map(|attempt| Some((*attempt, places.remove(attempt)?)));
    counter.leave(begun_here.map(|(attempt, place)| Begun::of(line, attempt, began_at, place)));
    drop(counter);
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
        // Of these the journal says more than was done.
        Ok(_) if in_rounds => line.give_back(others),
        Ok(_) => line.leases.release(&others),
        Err(error) => {
            line.give_back(others);
            return Err(error);
        }
    }
    Ok(unseated)
}
