//! Deliveries for readers: those under way from the outbox, the others from the messages.

use crate::postgres::StoreErrorExt;
use crate::postgres::deliver::being_sent;
use crate::postgres::delivery_keys::DeliveryColumns;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, CChar, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::delivery::{DeliveryKey, DeliveryState};
use muster_domain::model::ids::{CampaignId, ContactId, StepId};
use muster_domain::ports::deliveries::{DeliveryFilter, DeliveryView};
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    delivery: DeliveryColumns,
    /// As in `messages`, or `P`, `C`, `S` for what is queued, claimed, begun.
    #[diesel(sql_type = CChar)]
    state: u8,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
    #[diesel(sql_type = Timestamptz)]
    queued_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    contact_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    step_id: Uuid,
    #[diesel(sql_type = Text)]
    from_email: String,
}

const ENDED: &str = "SELECT contact_no, step, pass, state, attempts, queued_at, ended_at, detail FROM messages";
const UNDER_WAY: &str = "SELECT contact_no, step, pass, CASE state WHEN 's' THEN 'S' WHEN 'c' THEN 'C' ELSE 'P' END::\"char\" \
    AS state, attempts, queued_at, NULL::timestamptz AS ended_at, NULL::text AS detail FROM outbox";
const OF_CAMPAIGN: &str = "tenant_no = c.tenant_no AND campaign_no = c.campaign_no";
const NAMES: &str = "JOIN contacts k ON k.tenant_no = c.tenant_no AND k.contact_no = d.contact_no \
    JOIN campaign_steps s ON s.tenant_no = c.tenant_no AND s.campaign_no = c.campaign_no AND s.step = d.step";
const COLUMNS: &str = "c.campaign_no, d.contact_no, d.step, d.pass, d.state, d.attempts, d.queued_at, d.ended_at, d.detail, \
    c.id AS campaign_id, k.id AS contact_id, s.id AS step_id, c.from_email";

/// Campaign by campaign, each walked along the key of its messages, or along the index of what was not sent.
pub(super) async fn list(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    filter: &DeliveryFilter,
    after: Option<DeliveryKey>,
    limit: i64,
) -> StoreResult<Vec<DeliveryView>> {
    // States are spelled out: only then does the planner see which index has all of them.
    let beyond = "(contact_no, step, pass) > (CASE c.campaign_no WHEN $3 THEN $4 ELSE 0 END, \
        CASE c.campaign_no WHEN $3 THEN $5 ELSE 0 END, CASE c.campaign_no WHEN $3 THEN $6 ELSE 0 END)";
    let part = |table: &str, states: &str| {
        format!("({table} WHERE {OF_CAMPAIGN} {states} AND {beyond} ORDER BY contact_no, step, pass LIMIT $7)")
    };
    let parts: Vec<String> = match filter.state.map(place) {
        None => vec![part(ENDED, ""), part(UNDER_WAY, "")],
        Some(Place::Messages(states)) => vec![part(ENDED, states)],
        Some(Place::Outbox(states)) => vec![part(UNDER_WAY, states)],
    };
    let rows: Vec<Row> = diesel::sql_query(format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM campaigns WHERE tenant_no = $1 AND workspace_no = $2 AND campaign_no >= $3 \
            AND ($8 IS NULL OR id = $8) AND launched_at IS NOT NULL ORDER BY campaign_no OFFSET 0) AS c \
         CROSS JOIN LATERAL ({}) AS d {NAMES} ORDER BY c.campaign_no, d.contact_no, d.step, d.pass LIMIT $7",
        parts.join(" UNION ALL ")
    ))
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Integer, _>(after.map_or(0, |key| key.campaign.0))
    .bind::<BigInt, _>(after.map_or(0, |key| key.contact.0))
    .bind::<SmallInt, _>(after.map_or(0, |key| key.step.0))
    .bind::<Integer, _>(after.map_or(0, |key| key.pass.0))
    .bind::<BigInt, _>(limit)
    .bind::<Nullable<SqlUuid>, _>(filter.campaign.map(|id| id.0))
    .get_results(conn)
    .await
    .store()?;
    rows.into_iter().map(|row| row.view(of)).collect()
}

pub(super) async fn find(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    key: DeliveryKey,
) -> StoreResult<Option<DeliveryView>> {
    let this = format!("{OF_CAMPAIGN} AND contact_no = $4 AND step = $5 AND pass = $6");
    let rows: Vec<Row> = diesel::sql_query(format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM campaigns WHERE tenant_no = $1 AND workspace_no = $2 AND campaign_no = $3) AS c \
         CROSS JOIN LATERAL ({ENDED} WHERE {this} UNION ALL {UNDER_WAY} WHERE {this}) AS d {NAMES}"
    ))
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(key.contact.0)
    .bind::<SmallInt, _>(key.step.0)
    .bind::<Integer, _>(key.pass.0)
    .get_results(conn)
    .await
    .store()?;
    rows.into_iter().next().map(|row| row.view(of)).transpose()
}

/// In which table deliveries of a state are, and by which condition.
enum Place {
    Messages(&'static str),
    Outbox(&'static str),
}

fn place(state: DeliveryState) -> Place {
    match state {
        DeliveryState::Pending | DeliveryState::Claimed => Place::Outbox("AND state IN ('p', 'c')"),
        DeliveryState::Sending => Place::Outbox(concat!("AND ", being_sent!())),
        DeliveryState::Sent => Place::Messages("AND state = 's'"),
        DeliveryState::Failed => Place::Messages("AND state = 'f'"),
        DeliveryState::Suppressed => Place::Messages("AND state = 'u'"),
        DeliveryState::Skipped => Place::Messages("AND state = 'k'"),
        DeliveryState::InDoubt => Place::Messages("AND state = 'd'"),
        DeliveryState::Cancelled => Place::Messages("AND state = 'x'"),
    }
}

/// The state of that code, see [`Row`].
pub(crate) fn state(code: u8) -> Option<DeliveryState> {
    Some(match code {
        b's' => DeliveryState::Sent,
        b'f' => DeliveryState::Failed,
        b'u' => DeliveryState::Suppressed,
        b'k' => DeliveryState::Skipped,
        b'd' => DeliveryState::InDoubt,
        b'x' => DeliveryState::Cancelled,
        b'P' => DeliveryState::Pending,
        b'C' => DeliveryState::Claimed,
        b'S' => DeliveryState::Sending,
        _ => return None,
    })
}

impl Row {
    fn view(self, of: Workspace) -> StoreResult<DeliveryView> {
        let corrupt = |table, column| StoreError::Corrupt { table, column, id: self.delivery.campaign_no.to_string() };
        Ok(DeliveryView {
            key: self.delivery.key(of.tenant),
            campaign: CampaignId(self.campaign_id),
            contact: ContactId(self.contact_id),
            step: StepId(self.step_id),
            state: state(self.state).ok_or_else(|| corrupt("messages", "state"))?,
            attempts: self.attempts,
            queued_at: self.queued_at,
            ended_at: self.ended_at,
            from_email: EmailAddress::parse(&self.from_email).map_err(|_| corrupt("campaigns", "from_email"))?,
            detail: self.detail,
        })
    }
}
