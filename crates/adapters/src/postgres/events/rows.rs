//! Rows of `events` and `engagements`.
//!
//! Rows are looked up one by one by their keys (`LATERAL … OFFSET 0`), whatever the planner believes of a campaign of
//! which it has no statistics yet.

use super::{Mail, StoreErrorExt};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, CChar, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{Engagement, EngagementEvent, EventKind, Machine, Seen};
use muster_domain::model::ids::{LinkNo, TenantNo};
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use crate::postgres::delivery_keys::{DeliveryColumns, bind_deliveries};
use crate::postgres::prepared::{Prepared, prepared};

/// A row of `engagements`: of the whole mail, where the link is 0, or of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) mail: Mail,
    pub(super) link: LinkNo,
}

/// A row of `events` that is new.
pub(super) struct EventRow {
    pub(super) mail: Mail,
    pub(super) link: LinkNo,
    pub(super) at: DateTime<Utc>,
    machine: Option<u8>,
}

impl EventRow {
    pub(super) fn human(&self) -> bool {
        self.machine.is_none()
    }

    /// Whether somebody, or something, came by.
    pub(super) fn is_visit(&self) -> bool {
        matches!(self.mail.kind, EventKind::Opened | EventKind::Clicked)
    }

    /// What it may change: a visit to the hidden link what is known of opens, too.
    pub(super) fn touched(&self) -> impl Iterator<Item = Mail> {
        let opened = Mail { kind: EventKind::Opened, ..self.mail };
        let is_trap = self.mail.kind == EventKind::Clicked && self.link == LinkNo(0);
        std::iter::once(self.mail).chain(is_trap.then_some(opened))
    }

    /// The line of the mail, and that of the link if it has one.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        Line::all_of(self.mail, a_link(self.link.0))
    }
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(embed)]
    delivery: DeliveryColumns,
    #[diesel(sql_type = CChar)]
    kind: u8,
}

impl Key {
    fn mail(&self, tenant: TenantNo) -> StoreResult<Mail> {
        let delivery = self.delivery.key(tenant);
        let id = || format!("{}/{}", delivery.campaign.0, delivery.step.0);
        let corrupt = || StoreError::Corrupt { table: "events", column: "kind", id: id() };
        Ok(Mail { delivery, kind: EventKind::from_code(self.kind).ok_or_else(corrupt)? })
    }
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(embed)]
    key: Key,
    #[diesel(sql_type = BigInt)]
    link: i64,
    #[diesel(sql_type = BigInt)]
    total: i64,
    #[diesel(sql_type = BigInt)]
    human_total: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first_human_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_human_at: Option<DateTime<Utc>>,
}

/// Binds the tenant as `$1`, then campaigns, contacts, steps, passes and kinds as the arrays `$2` to `$6`.
fn bind_mails<'a>(query: Prepared, tenant: TenantNo, mails: impl Iterator<Item = &'a Mail> + Clone) -> Prepared {
    bind_deliveries(query, tenant, mails.clone().map(|mail| mail.delivery))
        .bind::<Array<Text>, _>(mails.map(|mail| letter(mail.kind.code())).collect::<Vec<_>>())
}

/// Rows say 0 for no link.
fn a_link(no: i64) -> Option<LinkNo> {
    (no != 0).then_some(LinkNo(no))
}

fn letter(code: u8) -> String {
    char::from(code).to_string()
}

/// Locks the lines of mails, made if need be, and reads those of their links.
pub(super) async fn lock(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    mails: &BTreeSet<Mail>,
) -> StoreResult<BTreeMap<Line, Engagement>> {
    let make = "INSERT INTO engagements (tenant_no, campaign_no, contact_no, step, pass, kind) \
        SELECT $1, u.campaign_no, u.contact_no, u.step, u.pass, u.kind::\"char\" \
        FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[]) \
            AS u (campaign_no, contact_no, step, pass, kind) ON CONFLICT DO NOTHING";
    bind_mails(prepared(make), tenant, mails.iter()).execute(conn).await.store()?;
    // In a statement of its own: it sees what whoever held the line has left.
    let hold = "SELECT e.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[]) \
            AS u (campaign_no, contact_no, step, pass, kind) CROSS JOIN LATERAL ( \
        SELECT campaign_no, contact_no, step, pass, kind, link, total, human_total, first_at, first_human_at, last_human_at \
        FROM engagements WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
        AND step = u.step AND pass = u.pass AND kind = u.kind::\"char\" AND link = 0 OFFSET 0 FOR NO KEY UPDATE) e";
    let held: Vec<LineRow> = bind_mails(prepared(hold), tenant, mails.iter()).get_results(conn).await.store()?;
    let mut lines = read_lines(tenant, held)?;
    let clicked: Vec<Mail> = mails.iter().filter(|mail| mail.kind == EventKind::Clicked).copied().collect();
    if !clicked.is_empty() {
        let links = "SELECT e.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[]) \
                AS u (campaign_no, contact_no, step, pass, kind) CROSS JOIN LATERAL ( \
            SELECT campaign_no, contact_no, step, pass, kind, link, total, human_total, first_at, first_human_at, last_human_at \
            FROM engagements WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
            AND step = u.step AND pass = u.pass AND kind = u.kind::\"char\" AND link <> 0 OFFSET 0) e";
        let rows = bind_mails(prepared(links), tenant, clicked.iter()).get_results(conn).await.store()?;
        lines.extend(read_lines(tenant, rows)?);
    }
    Ok(lines)
}

fn read_lines(tenant: TenantNo, rows: Vec<LineRow>) -> StoreResult<BTreeMap<Line, Engagement>> {
    rows.into_iter()
        .map(|row| {
            let engagement = Engagement {
                total: row.total,
                human_total: row.human_total,
                first_at: row.first_at,
                first_human_at: row.first_human_at,
                last_human_at: row.last_human_at,
            };
            Ok((Line { mail: row.key.mail(tenant)?, link: LinkNo(row.link) }, engagement))
        })
        .collect()
}

#[derive(QueryableByName)]
struct NewRow {
    #[diesel(embed)]
    key: Key,
    #[diesel(sql_type = BigInt)]
    link: i64,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<CChar>)]
    machine: Option<u8>,
}

/// Inserts events whose lines are locked; answers with those that are new. What comes while the mail is still being sent,
/// and nobody can have it from an attempt before, becomes a program's.
pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    events: &[&EngagementEvent],
) -> StoreResult<Vec<EventRow>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "INSERT INTO events (tenant_no, campaign_no, contact_no, step, pass, kind, id, link, at, machine) \
        SELECT $1, u.campaign_no, u.contact_no, u.step, u.pass, u.kind::\"char\", u.id, u.link, u.at, \
            coalesce(u.machine::\"char\", CASE WHEN u.kind IN ('o', 'c') AND coalesce( \
                (SELECT o.state = 's' AND o.resends = 0 FROM outbox o WHERE o.tenant_no = $1 AND o.campaign_no = u.campaign_no \
                    AND o.contact_no = u.contact_no AND o.step = u.step AND o.pass = u.pass OFFSET 0), false) THEN 's'::\"char\" END) \
        FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[], $7::uuid[], $8::bigint[], $9::timestamptz[], $10::text[]) \
            AS u (campaign_no, contact_no, step, pass, kind, id, link, at, machine) \
        ON CONFLICT DO NOTHING RETURNING campaign_no, contact_no, step, pass, kind, link, at, machine";
    let mails: Vec<Mail> = events.iter().map(|event| Mail::of(event)).collect();
    let link = |event: &&EngagementEvent| event.link.map_or(0, |link| link.no.0);
    let machine = |event: &&EngagementEvent| event.machine.map(|machine| letter(machine.code()));
    let rows: Vec<NewRow> = bind_mails(prepared(sql), tenant, mails.iter())
        .bind::<Array<SqlUuid>, _>(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(events.iter().map(link).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(events.iter().map(|event| event.at).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(events.iter().map(machine).collect::<Vec<_>>())
        .get_results(conn)
        .await
        .store()?;
    rows.into_iter()
        .map(|row| {
            let mail = row.key.mail(tenant)?;
            Ok(EventRow { mail, link: LinkNo(row.link), at: row.at, machine: row.machine })
        })
        .collect()
}

#[derive(QueryableByName)]
struct TrapRow {
    #[diesel(embed)]
    key: Key,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

/// When the hidden link of these mails was followed; nothing of mails of which it was not.
pub(super) async fn trapped(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    mails: &BTreeSet<Mail>,
) -> StoreResult<BTreeMap<DeliveryKey, Vec<DateTime<Utc>>>> {
    let clicked: BTreeSet<Mail> = mails.iter().map(|mail| Mail { kind: EventKind::Clicked, ..*mail }).collect();
    if clicked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT e.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[]) \
            AS u (campaign_no, contact_no, step, pass, kind) CROSS JOIN LATERAL ( \
        SELECT campaign_no, contact_no, step, pass, kind, at FROM events WHERE tenant_no = $1 \
        AND campaign_no = u.campaign_no AND contact_no = u.contact_no AND step = u.step AND pass = u.pass \
        AND kind = u.kind::\"char\" AND link = 0 OFFSET 0) e";
    let rows: Vec<TrapRow> = bind_mails(prepared(sql), tenant, clicked.iter()).get_results(conn).await.store()?;
    let mut trapped: BTreeMap<DeliveryKey, Vec<DateTime<Utc>>> = BTreeMap::new();
    for row in rows {
        trapped.entry(row.key.mail(tenant)?.delivery).or_default().push(row.at);
    }
    Ok(trapped)
}

#[derive(QueryableByName)]
struct SeenRow {
    #[diesel(embed)]
    key: Key,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    link: i64,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<CChar>)]
    machine: Option<u8>,
}

/// Everything of these kinds that was seen of these mails.
pub(super) async fn seen(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    mails: Vec<Mail>,
) -> StoreResult<BTreeMap<Mail, Vec<Seen>>> {
    if mails.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT e.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[]) \
            AS u (campaign_no, contact_no, step, pass, kind) CROSS JOIN LATERAL ( \
        SELECT campaign_no, contact_no, step, pass, kind, id, link, at, machine FROM events WHERE tenant_no = $1 \
        AND campaign_no = u.campaign_no AND contact_no = u.contact_no AND step = u.step AND pass = u.pass \
        AND kind = u.kind::\"char\" OFFSET 0) e";
    let rows: Vec<SeenRow> = bind_mails(prepared(sql), tenant, mails.iter()).get_results(conn).await.store()?;
    let mut seen: BTreeMap<Mail, Vec<Seen>> = BTreeMap::new();
    for row in rows {
        let one = Seen { id: row.id, at: row.at, link: a_link(row.link), human: row.machine.is_none() };
        seen.entry(row.key.mail(tenant)?).or_default().push(one);
    }
    Ok(seen)
}

/// Takes events for a program's.
pub(super) async fn mark(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    events: &[(Mail, Uuid)],
    machine: Machine,
) -> StoreResult<()> {
    if events.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE events e SET machine = $8::text::\"char\" \
        FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[], $7::uuid[]) \
            AS u (campaign_no, contact_no, step, pass, kind, id) CROSS JOIN LATERAL ( \
            SELECT ctid AS row FROM events WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
            AND step = u.step AND pass = u.pass AND kind = u.kind::\"char\" AND id = u.id OFFSET 0) p \
        WHERE e.ctid = p.row AND e.tenant_no = $1";
    bind_mails(prepared(sql), tenant, events.iter().map(|(mail, _)| mail))
        .bind::<Array<SqlUuid>, _>(events.iter().map(|(_, id)| *id).collect::<Vec<_>>())
        .bind::<Text, _>(letter(machine.code()))
        .execute(conn)
        .await
        .store()?;
    Ok(())
}

/// Writes lines as they have become.
pub(super) async fn save(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    lines: &BTreeMap<Line, Engagement>,
) -> StoreResult<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO engagements AS e (tenant_no, campaign_no, contact_no, step, pass, kind, link, total, human_total, \
            first_at, first_human_at, last_human_at) \
        SELECT $1, u.campaign_no, u.contact_no, u.step, u.pass, u.kind::\"char\", u.link, u.total, u.human_total, u.first_at, \
            u.first_human_at, u.last_human_at \
        FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], \
            $10::timestamptz[], $11::timestamptz[], $12::timestamptz[]) \
            AS u (campaign_no, contact_no, step, pass, kind, link, total, human_total, first_at, first_human_at, last_human_at) \
        ON CONFLICT (tenant_no, campaign_no, contact_no, step, pass, kind, link) DO UPDATE SET total = excluded.total, \
            human_total = excluded.human_total, first_at = excluded.first_at, first_human_at = excluded.first_human_at, \
            last_human_at = excluded.last_human_at";
    let instants =
        |of: fn(&Engagement) -> Option<DateTime<Utc>>| lines.values().map(of).collect::<Vec<Option<DateTime<Utc>>>>();
    bind_mails(prepared(sql), tenant, lines.keys().map(|line| &line.mail))
        .bind::<Array<BigInt>, _>(lines.keys().map(|line| line.link.0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(lines.values().map(|seen| seen.total).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(lines.values().map(|seen| seen.human_total).collect::<Vec<_>>())
        .bind::<Array<Nullable<Timestamptz>>, _>(instants(|seen| seen.first_at))
        .bind::<Array<Nullable<Timestamptz>>, _>(instants(|seen| seen.first_human_at))
        .bind::<Array<Nullable<Timestamptz>>, _>(instants(|seen| seen.last_human_at))
        .execute(conn)
        .await
        .store()?;
    Ok(())
}
