//! What was done with the mails to one contact, for its history.

use crate::postgres::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, CChar, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::events::{EventKind, Machine};
use muster_domain::model::ids::{CampaignKey, ContactNo, StepNo};
use muster_domain::ports::analytics::{Happened, HistoryEvent};
use muster_domain::ports::store::{StoreError, StoreResult};

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    kind: u8,
    #[diesel(sql_type = Nullable<CChar>)]
    machine: Option<u8>,
    #[diesel(sql_type = Nullable<Text>)]
    url: Option<String>,
}

/// Every event that is kept, in order.
pub(crate) async fn of_contact(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    contact: ContactNo,
) -> StoreResult<Vec<HistoryEvent>> {
    let rows: Vec<EventRow> = diesel::sql_query(
        "SELECT e.at, e.step, e.kind, e.machine, l.url FROM events e LEFT JOIN LATERAL ( \
            SELECT url FROM links WHERE tenant_no = $1 AND campaign_no = $2 AND step = e.step AND link = e.link OFFSET 0) AS l ON true \
         WHERE e.tenant_no = $1 AND e.campaign_no = $2 AND e.contact_no = $3 ORDER BY e.at, e.id",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(contact.0)
    .get_results(conn)
    .await
    .store()?;
    let corrupt = |column| StoreError::Corrupt { table: "events", column, id: contact.0.to_string() };
    rows.into_iter()
        .map(|row| {
            let kind = EventKind::from_code(row.kind).ok_or_else(|| corrupt("kind"))?;
            let machine = row.machine.map(|code| Machine::from_code(code).ok_or_else(|| corrupt("machine")));
            let what = Happened::Engaged { kind, link: row.url, machine: machine.transpose()? };
            Ok(HistoryEvent { at: row.at, step: StepNo(row.step), what })
        })
        .collect()
}
