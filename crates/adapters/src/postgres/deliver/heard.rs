//! What was heard of a delivery before its own attempt knew how it ended.

use crate::postgres::StoreErrorExt;
use crate::postgres::delivery_keys::{DeliveryColumns, bind_deliveries};
use crate::postgres::prepared::prepared;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeSet;

/// Those of `mails`, whose rows the caller has locked, of which something was told that a mail server must have taken
/// the mail for: it came back, a provider or the recipient gave a sign of it. A program's opens and clicks are none: it
/// may have looked into a mail that was refused afterwards.
pub(crate) async fn heard(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    mails: impl Iterator<Item = DeliveryKey> + Clone,
) -> StoreResult<BTreeSet<DeliveryKey>> {
    if mails.clone().next().is_none() {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT u.campaign_no, u.contact_no, u.step, u.pass \
        FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
        CROSS JOIN LATERAL (SELECT FROM engagements WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
            AND step = u.step AND pass = u.pass AND link = 0 AND (kind IN ('b', 'p', 'd', 'r', 'u') AND total > 0 \
            OR kind IN ('o', 'c') AND human_total > 0) LIMIT 1) AS e";
    let rows: Vec<DeliveryColumns> = bind_deliveries(prepared(sql), tenant, mails).get_results(conn).await.store()?;
    Ok(rows.into_iter().map(|row| row.key(tenant)).collect())
}

/// What is kept of a mail that counts as sent because something was heard of it.
pub(super) const ARRIVED: &str = "no answer of the mail server, but a sign of the mail";
