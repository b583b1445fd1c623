//! The begin of deliveries: one transaction of one campaign, held open across `MAIL FROM`.
//!
//! While it is open, a pause waits for the campaign's lock, a new suppression for the tenant's, an unsubscribe or
//! erasure for the contact. Whatever of them comes first is seen here, because everything is read after its lock, in a
//! statement of its own. The session gives the transaction up when its process stands still for 2 s.

use super::ending::{self, Ending};
use super::gate::{self, Gate};
use super::heard::heard;
use super::quota::Limits;
use super::rows::{self, OutboxRow};
use super::{mark, open_asking, rounds};
use crate::postgres::locks;
use crate::postgres::prepared::prepared;
use crate::postgres::suppressions::cover;
use crate::postgres::{PgStore, PgTx, StoreErrorExt, books};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::delivery::Attempt;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{BeginReport, Beginning, DynReservations};
use muster_domain::ports::store::StoreResult;
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) async fn begin(
    store: &PgStore,
    key: CampaignKey,
    batch: &[Beginning],
    reservations: &mut DynReservations,
) -> StoreResult<BeginReport> {
    let all: Vec<Attempt> = batch.iter().map(|one| one.attempt).collect();
    if reservations.in_rounds() {
        let marked = rounds::mark(store, key, &all).await?;
        if !marked.is_empty() {
            return rounds::begin(store, key, batch, marked, reservations).await;
        }
    }
    let (mut tx, mut held) = hold(store, key, batch, &all).await?;
    if held.marked_too_early(batch) {
        tx.rollback().await?;
        (tx, held) = hold(store, key, batch, &[]).await?;
    }
    let report = begin_in(&mut tx, key, batch, held, reservations).await?;
    tx.commit().await?;
    Ok(report)
}

/// What a begin holds, and what it read under that.
pub(super) struct Held {
    gate: Option<Gate>,
    recipients: Recipients,
    /// Sends already, if they were marked at once or beforehand.
    marked: HashSet<Attempt>,
}

/// Opens a transaction that locks, and reads what may only be read under these locks: one flight of statements, each with a
/// snapshot of its own. `at_once` become sends in it, as far as they may, which saves one of the waits of a begin.
async fn hold(
    store: &PgStore,
    key: CampaignKey,
    batch: &[Beginning],
    at_once: &[Attempt],
) -> StoreResult<(PgTx, Held)> {
    open_asking(store, key.tenant, async move |conn| {
        let ((gate, recipients), marked) = try_join!(hold_still(conn, key, batch), mark::at_once(conn, key, at_once))?;
        Ok(Held { gate, recipients, marked })
    })
    .await
}

/// The same for what is marked already; of that only counts what is a send still whose contact has not left, and of which no sign has come
/// that it arrived in an attempt before.
pub(super) async fn hold_marked(
    store: &PgStore,
    key: CampaignKey,
    batch: &[Beginning],
    marked: &HashSet<Attempt>,
) -> StoreResult<(PgTx, Held)> {
    let (mut tx, (mut held, resends)) = open_asking(store, key.tenant, async move |conn| {
        let ((gate, recipients), (marked, resends)) =
            try_join!(hold_still(conn, key, batch), rows::still_sends(conn, key, marked))?;
        Ok((Held { gate, recipients, marked }, resends))
    })
    .await?;
    // Nobody else looks after a sign of a mail that is being sent, as far as they can see.
    let arrived = heard(&mut tx, key.tenant, resends.iter().copied()).await?;
    held.marked.retain(|attempt| !arrived.contains(&attempt.key));
    Ok((tx, held))
}

async fn hold_still(
    conn: &AsyncPgConnection,
    key: CampaignKey,
    batch: &[Beginning],
) -> StoreResult<(Option<Gate>, Recipients)> {
    let ((), gate, recipients) =
        try_join!(locks::share_both(conn, key), gate::ask(conn, key), Recipients::hold(conn, key, batch))?;
    Ok((gate, recipients))
}

impl Held {
    /// Whether nothing is against it that this one of the marked begins, and nothing else is to be held for it.
    pub(super) fn lets(&self, one: &Beginning) -> bool {
        let open = self.gate.as_ref().is_some_and(|gate| gate.closed_until().is_none() && !Limits::of(gate).are_any());
        open && self.marked.contains(&one.attempt) && matches!(self.recipients.judge(one), Judgement::Fine)
    }

    /// Those of the batch whose address is suppressed, each with what its contact leaves for.
    pub(super) fn suppressed(&self, batch: &[Beginning]) -> HashMap<Attempt, ExitReason> {
        let reason = |one: &Beginning| match self.recipients.judge(one) {
            Judgement::Suppressed(reason) => Some((one.attempt, reason)),
            Judgement::Fine | Judgement::Changed => None,
        };
        batch.iter().filter_map(reason).collect()
    }

    /// Whether something was marked that is to be locked after something else: enrollments and what is left of the limits come
    /// before the outbox in the order of locks.
    fn marked_too_early(&self, batch: &[Beginning]) -> bool {
        let is_limited = self.gate.as_ref().is_some_and(|gate| Limits::of(gate).are_any());
        !self.marked.is_empty() && (is_limited || batch.iter().any(|one| self.recipients.is_suppressed(one)))
    }
}

async fn begin_in(
    tx: &mut PgTx,
    key: CampaignKey,
    batch: &[Beginning],
    held: Held,
    reservations: &mut DynReservations,
) -> StoreResult<BeginReport> {
    let Held { gate, recipients, marked } = held;
    let Some(gate) = gate.filter(|gate| gate.closed_until().is_none()) else {
        return halt(tx, key, batch).await;
    };
    let mut report = BeginReport::default();
    let limits = Limits::of(&gate);
    let left = limits.hold(tx, key).await?;
    let mut room = left.map_or(usize::MAX, |left| left.deliveries);
    let (mut going, mut suppressed) = (Vec::new(), Vec::new());
    for one in batch {
        match recipients.judge(one) {
            Judgement::Suppressed(reason) => suppressed.push((one.attempt, reason)),
            Judgement::Changed => report.returned.push(one.attempt),
            Judgement::Fine if one.first && room == 0 => report.returned.push(one.attempt),
            Judgement::Fine => {
                room -= usize::from(one.first);
                going.push(one.attempt);
            }
        }
    }
    // Enrollments come before the outbox in the order of locks, and all rows of a kind in the order of their keys.
    let leaving = if suppressed.is_empty() {
        Vec::new()
    } else {
        rows::lock(tx, key, batch.iter().map(|one| &one.attempt)).await?
    };
    let marked = if marked.is_empty() { mark::sending(tx, key, &going).await? } else { marked };
    let taken: Vec<Attempt> = going.into_iter().filter(|attempt| marked.contains(attempt)).collect();
    if !taken.is_empty() {
        let reserved: HashSet<Attempt> = reservations.reserve(&taken).await.into_iter().collect();
        let (begun, unreserved): (Vec<_>, Vec<_>) = taken.into_iter().partition(|attempt| reserved.contains(attempt));
        report.returned.extend(unreserved);
        report.begun = begun;
    }
    if !report.returned.is_empty() {
        rows::put_back(tx, key, &report.returned).await?;
    }
    let firsts: HashSet<Attempt> = batch.iter().filter(|one| one.first).map(|one| one.attempt).collect();
    limits.count(tx, key, report.begun.iter().filter(|attempt| firsts.contains(attempt)).count()).await?;
    report.closed = end_suppressed(tx, key, leaving, &suppressed).await?;
    report.suppressed = suppressed.into_iter().map(|(attempt, _)| attempt).collect();
    Ok(report)
}

/// Nothing of this campaign may begin now.
async fn halt(tx: &mut PgTx, key: CampaignKey, batch: &[Beginning]) -> StoreResult<BeginReport> {
    rows::put_back(tx, key, batch.iter().map(|one| &one.attempt)).await?;
    let returned = batch.iter().map(|one| one.attempt).collect();
    Ok(BeginReport { returned, ..BeginReport::default() })
}

/// The contacts of a batch, held still until the transaction ends.
struct Recipients {
    /// Where each is written to; those that are gone are not there.
    addresses: HashMap<i64, String>,
    /// Which of these addresses must not be written to.
    suppressed: HashMap<String, ExitReason>,
}

enum Judgement {
    Fine,
    /// The address is another by now, or the contact is gone: the mail is to be made anew.
    Changed,
    Suppressed(ExitReason),
}

#[derive(QueryableByName)]
struct AddressRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Text)]
    email_key: String,
}

impl Recipients {
    /// Locks the contacts, then looks up in a statement that sees what was committed before whether the addresses that are
    /// to be written to are suppressed. Of a contact who has another address by now nothing begins anyway.
    async fn hold(conn: &AsyncPgConnection, key: CampaignKey, batch: &[Beginning]) -> StoreResult<Self> {
        let keys = batch.iter().map(|one| one.recipient.key()).collect();
        let (rows, covered) = try_join!(Self::lock(conn, key, batch), cover::covering(conn, key.tenant, keys))?;
        let mut suppressed = HashMap::new();
        for row in covered {
            let reason = exit_reason(&row.reason);
            // Several entries may cover an address; that the person asked for it says most.
            if reason == ExitReason::Unsubscribed || !suppressed.contains_key(&row.email_key) {
                suppressed.insert(row.email_key, reason);
            }
        }
        let addresses = rows.into_iter().map(|row| (row.contact_no, row.email_key)).collect();
        Ok(Self { addresses, suppressed })
    }

    async fn lock(mut conn: &AsyncPgConnection, key: CampaignKey, batch: &[Beginning]) -> StoreResult<Vec<AddressRow>> {
        let contacts: BTreeSet<i64> = batch.iter().map(|one| one.attempt.key.contact.0).collect();
        prepared(
            "SELECT contact_no, email_key FROM contacts WHERE tenant_no = $1 AND contact_no = ANY($2) \
             AND erased_at IS NULL ORDER BY contact_no FOR KEY SHARE",
        )
        .bind::<Integer, _>(key.tenant.0)
        .bind::<Array<BigInt>, _>(contacts.into_iter().collect::<Vec<_>>())
        .get_results(&mut conn)
        .await
        .store()
    }

    fn is_suppressed(&self, one: &Beginning) -> bool {
        matches!(self.judge(one), Judgement::Suppressed(_))
    }

    fn judge(&self, one: &Beginning) -> Judgement {
        match self.addresses.get(&one.attempt.key.contact.0) {
            Some(address) => match self.suppressed.get(address) {
                Some(reason) => Judgement::Suppressed(*reason),
                None if *address == one.recipient.key() => Judgement::Fine,
                None => Judgement::Changed,
            },
            None => Judgement::Changed,
        }
    }
}

fn exit_reason(suppressed_because: &str) -> ExitReason {
    if suppressed_because == "unsubscribed" { ExitReason::Unsubscribed } else { ExitReason::Suppressed }
}

/// Ends those of the locked rows that are suppressed.
async fn end_suppressed(
    tx: &mut PgTx,
    key: CampaignKey,
    rows: Vec<OutboxRow>,
    suppressed: &[(Attempt, ExitReason)],
) -> StoreResult<i64> {
    let reasons: HashMap<Attempt, ExitReason> = suppressed.iter().copied().collect();
    let Some(now) = rows.as_slice().first().map(|row| row.now) else { return Ok(0) };
    let endings: Vec<Ending> = rows
        .into_iter()
        .filter(|row| row.state == b'c')
        .filter_map(|row| {
            let reason = *reasons.get(&row.attempt(key))?;
            Some(Ending::suppressed(row, reason))
        })
        .collect();
    let entries = ending::end(tx, key, now, &endings).await?;
    books::post(tx, key, &entries).await?;
    Ok(-entries.campaign.open)
}
