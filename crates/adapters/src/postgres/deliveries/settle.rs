//! Settling deliveries in doubt where they are: nothing is sent.

use super::decisions::{self, Decided};
use crate::postgres::StoreErrorExt;
use crate::postgres::deliver::called_off::{self, waits};
use crate::postgres::deliver::heard::heard;
use crate::postgres::delivery_keys::{DeliveryColumns, bind_deliveries};
use crate::postgres::events::back;
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::books::BookEntries;
use muster_domain::model::decision::{Evidence, Resolution};
use muster_domain::model::delivery::{DeliveryKey, DeliveryState};
use muster_domain::model::ids::{CampaignKey, CampaignNo, StepNo, TenantNo};
use muster_domain::ports::deliveries::HeldDeliveries;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::{BTreeMap, BTreeSet};

#[derive(QueryableByName)]
struct BeforeRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
}

/// Turns messages in doubt of one campaign into ones that were sent, have failed or were dropped. What comes back has to be
/// posted; it is empty when none of the deliveries is in doubt.
pub(super) async fn settle(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    doubts: &[DeliveryKey],
    resolution: Resolution,
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let (code, detail) = match resolution {
        Resolution::Sent => ("s", "settled as sent"),
        Resolution::Failed => ("f", "settled as failed"),
        Resolution::Drop | Resolution::Resend => ("x", "dropped while in doubt"),
    };
    let sql = "WITH before AS MATERIALIZED ( \
            SELECT d.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
            CROSS JOIN LATERAL (SELECT tenant_no, campaign_no, contact_no, step, pass, detail FROM messages WHERE tenant_no = $1 \
                AND campaign_no = u.campaign_no AND contact_no = u.contact_no AND step = u.step AND pass = u.pass AND state = 'd' \
                OFFSET 0 FOR UPDATE) AS d) \
         UPDATE messages m SET state = $6::text::\"char\", detail = $7, ended_at = $8 FROM before b \
         WHERE m.tenant_no = b.tenant_no AND m.campaign_no = b.campaign_no AND m.contact_no = b.contact_no \
         AND m.step = b.step AND m.pass = b.pass RETURNING m.contact_no, m.step, m.pass, b.detail";
    let before: Vec<BeforeRow> = bind_deliveries(prepared(sql), key.tenant, doubts.iter().copied())
        .bind::<Text, _>(code)
        .bind::<Text, _>(detail)
        .bind::<Timestamptz, _>(now)
        .get_results(conn)
        .await
        .store()?;
    let decided: Vec<Decided> = before.into_iter().map(|row| row.decided(resolution)).collect();
    decisions::write(conn, key, &decided, evidence, now).await?;
    let mut entries = BookEntries::default();
    if resolution == Resolution::Sent {
        let mails: Vec<_> = decided.iter().map(|one| (one.contact_no, one.step, one.pass)).collect();
        // In a statement of its own: whoever wrote that it came back held the row that the one before waited for.
        for step in back::came_back(conn, key, &mails).await? {
            entries.quarter(now, step).undelivered += 1;
        }
    }
    for one in decided {
        book(&mut entries, StepNo(one.step), resolution, now);
    }
    Ok(entries)
}

fn book(entries: &mut BookEntries, step: StepNo, resolution: Resolution, now: DateTime<Utc>) {
    let line = entries.step(step);
    line.in_doubt -= 1;
    match resolution.state() {
        DeliveryState::Sent => line.sent += 1,
        DeliveryState::Failed => line.failed += 1,
        _ => line.cancelled += 1,
    }
    if resolution == Resolution::Sent {
        entries.quarter(now, step).sent += 1;
    }
}

impl BeforeRow {
    fn decided(self, resolution: Resolution) -> Decided {
        let Self { contact_no, step, pass, detail } = self;
        Decided { contact_no, step, pass, resolution, state: "d".to_owned(), detail }
    }
}

/// All are locked that are in the outbox, whatever their state (`OFFSET 0`).
const HOLD_UNDER_WAY: &str = concat!(
    "SELECT u.*, o.waits FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
     CROSS JOIN LATERAL (SELECT state, ",
    waits!(),
    " AS waits FROM outbox WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
         AND step = u.step AND pass = u.pass OFFSET 0 FOR UPDATE) AS o WHERE o.state = 's' OR o.waits"
);
const HOLD_DOUBTS: &str = "SELECT m.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
    CROSS JOIN LATERAL (SELECT campaign_no, contact_no, step, pass FROM messages WHERE tenant_no = $1 AND campaign_no = u.campaign_no \
        AND contact_no = u.contact_no AND step = u.step AND pass = u.pass AND state = 'd' OFFSET 0 FOR UPDATE) AS m";

#[derive(QueryableByName)]
struct UnderWayRow {
    #[diesel(embed)]
    delivery: DeliveryColumns,
    /// To be sent once more; else it is being sent.
    #[diesel(sql_type = Bool)]
    waits: bool,
}

async fn hold_under_way(
    mut conn: &AsyncPgConnection,
    tenant: TenantNo,
    mails: impl Iterator<Item = DeliveryKey> + Clone,
) -> StoreResult<Vec<UnderWayRow>> {
    bind_deliveries(prepared(HOLD_UNDER_WAY), tenant, mails).get_results(&mut conn).await.store()
}

async fn hold_doubts(
    mut conn: &AsyncPgConnection,
    tenant: TenantNo,
    mails: impl Iterator<Item = DeliveryKey> + Clone,
) -> StoreResult<Vec<DeliveryColumns>> {
    bind_deliveries(prepared(HOLD_DOUBTS), tenant, mails).get_results(&mut conn).await.store()
}

/// Locks deliveries in the outbox, and before them the enrollments of those that wait to be sent once more; then those among the
/// messages that are in doubt. One after the other, since whoever held one in the outbox may have moved it; in one flight.
pub(super) async fn hold(
    conn: &AsyncPgConnection,
    tenant: TenantNo,
    keys: &BTreeSet<DeliveryKey>,
) -> StoreResult<HeldDeliveries> {
    let ours = || keys.iter().filter(|key| key.tenant == tenant).copied();
    let (waiting, under_way, doubts) = try_join!(
        called_off::hold(conn, tenant, ours()),
        hold_under_way(conn, tenant, ours()),
        hold_doubts(conn, tenant, ours()),
    )?;
    let mut held = HeldDeliveries::default();
    for UnderWayRow { delivery, waits } in under_way {
        let mail = delivery.key(tenant);
        if waits && !waiting.contains(&mail) {
            // It was given up this moment, and its enrollment is not to be locked after it.
            return Err(StoreError::Conflict);
        }
        let kind = if waits { &mut held.in_doubt } else { &mut held.under_way };
        kind.insert(mail);
    }
    held.in_doubt.extend(doubts.into_iter().map(|row| row.key(tenant)));
    Ok(held)
}

/// Settles those of which something was heard as sent. What comes back has to be posted.
pub(super) async fn settle_heard(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    doubts: &BTreeSet<DeliveryKey>,
    now: DateTime<Utc>,
) -> StoreResult<BTreeMap<CampaignNo, BookEntries>> {
    let arrived: Vec<_> = heard(conn, tenant, doubts.iter().copied()).await?.into_iter().collect();
    let mut entries = BTreeMap::new();
    // In the order of keys, so each campaign's stand together.
    for mails in arrived.chunk_by(|one, next| one.campaign == next.campaign) {
        let Some(campaign) = mails.first().map(DeliveryKey::campaign_key) else { continue };
        let mut settled = settle(conn, campaign, mails, Resolution::Sent, Evidence::Event, now).await?;
        settled += called_off::arrived_after_all(conn, campaign, mails, now).await?;
        entries.insert(campaign.campaign, settled);
    }
    Ok(entries)
}
