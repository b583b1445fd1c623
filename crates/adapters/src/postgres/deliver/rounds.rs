//! Begins in rounds: several mails for each session are turned to sending together beforehand, and begin one round after the other under
//! locks that are held from the first to the last.
//!
//! What is marked is committed before any of it begins, so that a process that finds it knows that it may have gone out; who marked it wrote it
//! down before that, so that whoever adopts its journal knows that it has not. The locks change nothing while mail goes: their transaction
//! is asked for a word after each round, which says that they were held when its senders were named, and undone after the last. What is left
//! over is taken back after that.

use super::begin::hold_marked;
use super::record::{Sends, give_back_in};
use super::{mark, open, open_asking};
use crate::postgres::{PgStore, PgTx, StoreErrorExt};
use diesel_async::SimpleAsyncConnection;
use muster_domain::model::delivery::Attempt;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{BeginReport, Beginning, DynReservations, RecordReport};
use muster_domain::ports::store::StoreResult;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::timeout;

/// Sessions wait meanwhile, with what was reserved last. Whoever gets no answer in time leaves the marks to the caller, who gives back
/// everything that has not begun.
const TAKEN_BACK_WITHIN: Duration = Duration::from_millis(500);

/// Turns claims into sends that last; answers those that it did turn. None of a campaign that has limits or may not send.
pub(super) async fn mark(store: &PgStore, key: CampaignKey, all: &[Attempt]) -> StoreResult<HashSet<Attempt>> {
    let (tx, marked) = open_asking(store, key.tenant, async |conn| mark::at_once(conn, key, all).await).await?;
    tx.commit().await?;
    #[cfg(feature = "fault-injection")]
    crate::faults::point("C1b");
    Ok(marked)
}

/// Begins those of the `batch` that are `marked`.
pub(super) async fn begin(
    store: &PgStore,
    key: CampaignKey,
    batch: &[Beginning],
    marked: HashSet<Attempt>,
    reservations: &mut DynReservations,
) -> StoreResult<BeginReport> {
    let (mut tx, held) = hold_marked(store, key, batch, &marked).await?;
    let going: Vec<Attempt> = batch.iter().filter(|one| held.lets(one)).map(|one| one.attempt).collect();
    let begun = one_round_after_the_other(&mut tx, &going, reservations).await?;
    let has_begun: HashSet<&Attempt> = begun.iter().collect();
    let returned: Vec<Attempt> = marked.into_iter().filter(|attempt| !has_begun.contains(attempt)).collect();
    // Whether it was open until now is known by its end; nobody waits for its locks any more, whatever the rest takes.
    tx.rollback().await?;
    let mut report = BeginReport { begun, ..BeginReport::default() };
    if returned.is_empty() {
        return Ok(report);
    }
    let suppressed = held.suppressed(batch);
    if let Ok(Ok(taken_back)) = timeout(TAKEN_BACK_WITHIN, take_back(store, key, &returned, &suppressed)).await {
        report.closed = taken_back.closed;
    } else {
        tracing::warn!(campaign = key.campaign.0, marks = returned.len(), "marks are left to whoever made them");
    }
    report.returned = returned;
    Ok(report)
}

async fn take_back(
    store: &PgStore,
    key: CampaignKey,
    marked: &[Attempt],
    suppressed: &HashMap<Attempt, ExitReason>,
) -> StoreResult<RecordReport> {
    let mut tx = open(store, key.tenant).await?;
    let (report, _) = give_back_in(&mut tx, key, marked, Sends::Marked(suppressed)).await?;
    tx.commit().await?;
    Ok(report)
}

/// What was reserved in the last round has begun when the transaction has ended in order.
async fn one_round_after_the_other(
    tx: &mut PgTx,
    going: &[Attempt],
    reservations: &mut DynReservations,
) -> StoreResult<Vec<Attempt>> {
    if going.is_empty() {
        return Ok(Vec::new());
    }
    let mut begun = reservations.reserve(going).await;
    while reservations.has_more() {
        // Whoever answers has its session still, and with it the locks.
        tx.batch_execute("").await.store()?;
        #[cfg(feature = "fault-injection")]
        crate::faults::point("C4b");
        begun.extend(reservations.further().await);
    }
    Ok(begun)
}

#[cfg(test)]
mod tests;
