//! Recording how attempts ended, guarded by their epochs.

use super::ending::{self, Ending};
use super::heard::heard;
use super::refused::give_up_refused;
use super::rows::{self, OutboxRow};
use super::{bind_attempts, bind_campaign, called_off, late, open, open_asking};
use crate::postgres::exits::Exits;
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, PgTx, StoreErrorExt, books};
use chrono::TimeDelta;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, SmallInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::{Attempt, DeliveryKey, DeliveryState, RetryPolicy, SendOutcome, Settlement};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{CampaignKey, CampaignNo};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::{Finished, RecordReport};
use muster_domain::ports::store::StoreResult;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(super) async fn record(
    store: &PgStore,
    key: CampaignKey,
    finished: &[Finished],
    policy: &RetryPolicy,
) -> StoreResult<RecordReport> {
    if finished.is_empty() {
        return Ok(RecordReport::default());
    }
    let outcomes: HashMap<Attempt, &SendOutcome> = finished.iter().map(|one| (one.attempt, &one.outcome)).collect();
    let (mut tx, exits, mut locked) = lock_outcomes(store, key, &outcomes, policy).await?;
    if locked.len() < outcomes.len() {
        look_again(&tx, key, &outcomes, &mut locked).await?;
    }
    let accepted = accepted_before(&tx, key, &outcomes, &mut locked).await?;
    let terms = Terms::of(&mut tx, key, outcomes.values().copied()).await?;
    let mut verdicts = Vec::with_capacity(outcomes.len());
    let mut met: HashSet<Attempt> = HashSet::with_capacity(outcomes.len());
    let doubted = |row: &&OutboxRow| outcomes.get(&row.attempt(key)).is_some_and(|outcome| is_doubted(row, outcome));
    let heard = heard_of(&mut tx, key, locked.iter().filter(doubted)).await?;
    for row in locked {
        let attempt = row.attempt(key);
        met.insert(attempt);
        let outcome = outcomes.get(&attempt).or_else(|| accepted.get(&attempt));
        if let Some(outcome) = outcome.filter(|outcome| applies(&row, outcome)) {
            let arrived = row.state == b's' && heard.contains(&attempt.key);
            verdicts.push(if arrived { Verdict::arrived(row) } else { Verdict::of(row, outcome, policy, terms) });
        }
    }
    let mut posts = exits.into_entries();
    let mut report = write(&mut tx, key, verdicts, terms, &mut posts).await?;
    let missed: Vec<(Attempt, &SendOutcome)> = outcomes
        .iter()
        .filter(|(attempt, _)| !met.contains(attempt))
        .map(|(attempt, outcome)| (*attempt, *outcome))
        .collect();
    report.add(late::resolve(&mut tx, key, &missed, posts.entry(key.campaign).or_default()).await?);
    books::post_all(&tx, key.tenant, &posts).await?;
    tx.commit().await?;
    let unsent = missed.iter().filter(|(_, outcome)| matches!(outcome, SendOutcome::Retry { .. }));
    report.add(late::requeue(store, key, &unsent.map(|(attempt, _)| *attempt).collect::<Vec<_>>()).await?);
    Ok(report)
}

/// Opens the transaction with what ended locked. Contacts are locked before enrollments, so those whose address is given up come
/// first; mostly there is nobody, and it is one flight.
async fn lock_outcomes(
    store: &PgStore,
    key: CampaignKey,
    outcomes: &HashMap<Attempt, &SendOutcome>,
    policy: &RetryPolicy,
) -> StoreResult<(PgTx, Exits, Vec<OutboxRow>)> {
    let is_refused = |outcome: &SendOutcome| {
        matches!(outcome, SendOutcome::Failed { bounced: Some(_), .. } | SendOutcome::Retry { soft: true, .. })
    };
    if outcomes.values().any(|outcome| is_refused(outcome)) {
        let mut tx = open(store, key.tenant).await?;
        let exits = give_up_refused(&mut tx, key, outcomes, policy).await?;
        let locked = rows::lock(&tx, key, outcomes.keys()).await?;
        return Ok((tx, exits, locked));
    }
    let attempts: Vec<Attempt> = outcomes.keys().copied().collect();
    let attempts = attempts.as_slice();
    let (tx, locked) = open_asking(store, key.tenant, async move |conn| rows::lock(conn, key, attempts).await).await?;
    Ok((tx, Exits::default(), locked))
}

/// Who waited for an enrollment saw the outbox as it was before: what was queued meanwhile, because it is to begin again, is seen by a
/// statement of its own only.
async fn look_again(
    tx: &PgTx,
    key: CampaignKey,
    outcomes: &HashMap<Attempt, &SendOutcome>,
    locked: &mut Vec<OutboxRow>,
) -> StoreResult<()> {
    let met: HashSet<Attempt> = locked.iter().map(|row| row.attempt(key)).collect();
    let missed: Vec<&Attempt> = outcomes.keys().filter(|attempt| !met.contains(attempt)).collect();
    locked.extend(rows::lock(tx, key, missed).await?);
    Ok(())
}

/// Mails that were accepted in an earlier attempt, whose last one waits to be sent once more: locked as well, each with that outcome. The
/// last one may have been claimed and given back since.
async fn accepted_before<'a>(
    tx: &PgTx,
    key: CampaignKey,
    outcomes: &HashMap<Attempt, &'a SendOutcome>,
    locked: &mut Vec<OutboxRow>,
) -> StoreResult<HashMap<Attempt, &'a SendOutcome>> {
    let met: HashSet<Attempt> = locked.iter().map(|row| row.attempt(key)).collect();
    let accepted: HashMap<DeliveryKey, &SendOutcome> = outcomes
        .iter()
        .filter(|(attempt, outcome)| matches!(outcome, SendOutcome::Sent { .. }) && !met.contains(attempt))
        .map(|(attempt, outcome)| (attempt.key, *outcome))
        .collect();
    if accepted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut waiting = called_off::waiting(tx, key, accepted.keys().copied()).await?;
    waiting.retain(|attempt| !met.contains(attempt));
    locked.extend(called_off::take_back(tx, key, &waiting).await?);
    Ok(waiting.into_iter().filter_map(|attempt| Some((attempt, *accepted.get(&attempt.key)?))).collect())
}

pub(super) async fn give_back(store: &PgStore, key: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport> {
    if attempts.is_empty() {
        return Ok(RecordReport::default());
    }
    let mut tx = open(store, key.tenant).await?;
    let (mut report, met) = give_back_in(&mut tx, key, attempts, Sends::Begun).await?;
    tx.commit().await?;
    let missed: Vec<Attempt> = attempts.iter().filter(|attempt| !met.contains(attempt)).copied().collect();
    report.add(late::requeue(store, key, &missed).await?);
    Ok(report)
}

/// What is known of sends that are given back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sends<'a> {
    /// They may have begun.
    Begun,
    /// They were marked and have not begun: that counts as no attempt. The addresses of these are suppressed.
    Marked(&'a HashMap<Attempt, ExitReason>),
}

/// Gives back in a transaction of the caller's; also answers those of `attempts` that were met.
pub(super) async fn give_back_in(
    tx: &mut PgTx,
    key: CampaignKey,
    attempts: &[Attempt],
    which: Sends<'_>,
) -> StoreResult<(RecordReport, HashSet<Attempt>)> {
    let rows = rows::lock(tx, key, attempts).await?;
    let met: HashSet<Attempt> = rows.iter().map(|row| row.attempt(key)).collect();
    let (mut back, sends): (Vec<_>, Vec<_>) =
        rows.into_iter().filter(|row| row.state != b'p').partition(|row| row.state == b'c');
    let terms = if sends.is_empty() { Terms::HOLD } else { Terms::read(tx, key).await? };
    let heard = heard_of(tx, key, sends.iter().filter(|row| row.resends > 0)).await?;
    let mut verdicts = Vec::with_capacity(sends.len());
    for row in sends {
        let attempt = row.attempt(key);
        if heard.contains(&attempt.key) {
            verdicts.push(Verdict::arrived(row));
            continue;
        }
        match which {
            Sends::Marked(suppressed) if !row.exited && (!terms.over || row.by_hand) => {
                match suppressed.get(&attempt) {
                    Some(reason) => verdicts.push(Verdict::suppressed(row, *reason)),
                    None => back.push(row),
                }
            }
            Sends::Begun | Sends::Marked(_) => {
                verdicts.push(Verdict::again(row, TimeDelta::zero(), false, "given back"));
            }
        }
    }
    let back: Vec<Attempt> = back.iter().map(|row| row.attempt(key)).collect();
    rows::put_back(tx, key, &back).await?;
    let mut report = apply(tx, key, verdicts, terms).await?;
    report.again += back.len();
    Ok((report, met))
}

/// Whether it may have arrived, for all that the outcome says: it is in doubt, or one of its attempts before was.
fn is_doubted(row: &OutboxRow, outcome: &SendOutcome) -> bool {
    matches!(outcome, SendOutcome::InDoubt { .. }) || row.resends > 0 && !matches!(outcome, SendOutcome::Sent { .. })
}

async fn heard_of(
    tx: &mut PgTx,
    key: CampaignKey,
    rows: impl Iterator<Item = &OutboxRow> + Clone,
) -> StoreResult<BTreeSet<DeliveryKey>> {
    heard(tx, key.tenant, rows.map(|row| row.attempt(key).key)).await
}

/// Whether an outcome is about this row: a send under way; a claim whose message could not be built; or a send that was
/// given up as in doubt, queued again, and turns out to have arrived.
fn applies(row: &OutboxRow, outcome: &SendOutcome) -> bool {
    match row.state {
        b's' => true,
        b'c' => matches!(outcome, SendOutcome::Failed { .. }),
        _ => matches!(outcome, SendOutcome::Sent { .. }),
    }
}

/// What becomes of one locked delivery.
pub(super) enum Verdict {
    /// It ends.
    End(Ending),
    /// It is pending again.
    Again { row: OutboxRow, after: TimeDelta, resend: bool },
}

impl Verdict {
    pub(super) fn of(row: OutboxRow, outcome: &SendOutcome, policy: &RetryPolicy, terms: Terms) -> Self {
        // Who has left gets no second mail.
        let on_in_doubt = if row.exited || terms.over { OnInDoubt::Hold } else { terms.on_in_doubt };
        let settled = outcome.settle(row.attempts, row.resends, policy, on_in_doubt, rand::random());
        let detail = outcome.detail();
        let end =
            |row, fate| Verdict::End(Ending { row, fate, detail: detail.to_owned(), refused: false, leave: None });
        match settled {
            Settlement::Sent => end(row, DeliveryState::Sent),
            Settlement::Failed { bounced } => {
                let leave = (bounced == Some(BounceClass::Hard)).then_some(ExitReason::Bounced);
                let (fate, refused) = (DeliveryState::Failed, bounced.is_some());
                Verdict::End(Ending { row, fate, detail: detail.to_owned(), refused, leave })
            }
            Settlement::InDoubt => end(row, DeliveryState::InDoubt),
            Settlement::Again { after, resend } => Verdict::again(row, after, resend, detail),
        }
    }

    /// It was sent, says something that was heard of it.
    pub(super) fn arrived(row: OutboxRow) -> Self {
        Verdict::End(Ending::arrived(row))
    }

    fn suppressed(row: OutboxRow, reason: ExitReason) -> Self {
        Verdict::End(Ending::suppressed(row, reason))
    }

    fn again(row: OutboxRow, after: TimeDelta, resend: bool, detail: &str) -> Self {
        if row.exited {
            return Verdict::End(Ending {
                row,
                fate: DeliveryState::Cancelled,
                detail: detail.to_owned(),
                refused: false,
                leave: None,
            });
        }
        Verdict::Again { row, after, resend }
    }

    /// Nothing is queued in a campaign that is over, but for what was begun again by hand.
    fn unless_over(self, over: bool) -> Self {
        match self {
            Verdict::Again { row, .. } if over && !row.by_hand => {
                let detail = "the campaign ended".to_owned();
                Verdict::End(Ending { row, fate: DeliveryState::Cancelled, detail, refused: false, leave: None })
            }
            other => other,
        }
    }
}

/// Writes verdicts on locked rows, and the books.
pub(super) async fn apply(
    tx: &mut PgTx,
    key: CampaignKey,
    verdicts: Vec<Verdict>,
    terms: Terms,
) -> StoreResult<RecordReport> {
    let mut posts = BTreeMap::new();
    let report = write(tx, key, verdicts, terms, &mut posts).await?;
    books::post_all(tx, key.tenant, &posts).await?;
    Ok(report)
}

/// Writes verdicts on locked rows, and adds to what is to be posted.
async fn write(
    tx: &mut PgTx,
    key: CampaignKey,
    verdicts: Vec<Verdict>,
    terms: Terms,
    posts: &mut BTreeMap<CampaignNo, BookEntries>,
) -> StoreResult<RecordReport> {
    let mut report = RecordReport::default();
    let (mut endings, mut again) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        match verdict.unless_over(terms.over) {
            Verdict::End(ending) => {
                match ending.state() {
                    DeliveryState::Sent => report.sent += 1,
                    DeliveryState::InDoubt => report.in_doubt += 1,
                    DeliveryState::Cancelled => report.cancelled += 1,
                    _ => report.failed += 1,
                }
                endings.push(ending);
            }
            Verdict::Again { row, after, resend } => again.push((row.attempt(key), after, resend)),
        }
    }
    report.again = again.len();
    queue_again(tx, key, again).await?;
    if let Some(now) = endings.as_slice().first().map(|ending| ending.row.now) {
        *posts.entry(key.campaign).or_default() += ending::end(tx, key, now, &endings).await?;
    }
    report.closed = posts.get(&key.campaign).map_or(0, |entries| -entries.campaign.open);
    Ok(report)
}

async fn queue_again(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    mut again: Vec<(Attempt, TimeDelta, bool)>,
) -> StoreResult<()> {
    if again.is_empty() {
        return Ok(());
    }
    again.sort_unstable_by_key(|(attempt, ..)| attempt.key);
    let sql = "UPDATE outbox o SET state = 'p', lease_until = NULL, resends = o.resends + a.resend, \
                   retry_at = clock_timestamp() + a.after * interval '1 millisecond' \
               FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
                   FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[], $7::bigint[], $8::smallint[]) \
                   AS u (contact_no, step, pass, epoch, after, resend) OFFSET 0) AS a \
               WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
               AND o.pass = a.pass AND o.epoch = a.epoch AND o.state = 's'";
    bind_attempts(prepared(sql), key, again.iter().map(|(attempt, ..)| attempt))
        .bind::<Array<BigInt>, _>(again.iter().map(|(_, after, _)| after.num_milliseconds()).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(again.iter().map(|(.., resend)| i16::from(*resend)).collect::<Vec<_>>())
        .execute(conn)
        .await
        .store()?;
    Ok(())
}

#[derive(QueryableByName)]
struct TermsRow {
    #[diesel(sql_type = Jsonb)]
    settings: serde_json::Value,
    #[diesel(sql_type = Bool)]
    over: bool,
}

/// What the campaign says to deliveries that did not simply end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// What it wants done in doubt.
    on_in_doubt: OnInDoubt,
    /// It is completed: nothing more is tried.
    over: bool,
}

impl Terms {
    const HOLD: Terms = Terms { on_in_doubt: OnInDoubt::Hold, over: false };

    /// Not asked when every outcome is an end whatever the campaign says.
    async fn of<'a>(
        conn: &mut AsyncPgConnection,
        key: CampaignKey,
        mut outcomes: impl Iterator<Item = &'a SendOutcome>,
    ) -> StoreResult<Self> {
        let asks = |outcome: &SendOutcome| matches!(outcome, SendOutcome::InDoubt { .. } | SendOutcome::Retry { .. });
        if outcomes.any(asks) { Self::read(conn, key).await } else { Ok(Self::HOLD) }
    }

    /// To be read once the rows are locked: whoever completes a campaign locks those under way, so that either this sees it, or
    /// its cancelling sees what is queued here. A doubt is held when the settings cannot be read: that sends nothing twice.
    pub(super) async fn read(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Self> {
        let sql =
            "SELECT settings, status = 'completed' AS over FROM campaigns WHERE tenant_no = $1 AND campaign_no = $2";
        let row: TermsRow = bind_campaign(prepared(sql), key).get_result(conn).await.store()?;
        let settings = serde_json::from_value::<Settings>(row.settings);
        Ok(Self { on_in_doubt: settings.map_or(OnInDoubt::Hold, |settings| settings.on_in_doubt), over: row.over })
    }
}
