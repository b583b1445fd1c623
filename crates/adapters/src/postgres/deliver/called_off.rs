//! Mails that wait to be sent once more, and a sign of them comes: a mail server had taken them after all.

use super::ending::{self, Ending};
use super::rows::{self, AttemptColumns, OutboxRow};
use crate::postgres::StoreErrorExt;
use crate::postgres::delivery_keys::{DeliveryColumns, bind_deliveries};
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::delivery::{Attempt, DeliveryKey};
use muster_domain::model::ids::{CampaignKey, TenantNo};
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeSet;

/// What waits to be sent once more after a doubt, claimed or not, as a condition on the outbox.
macro_rules! waits {
    () => {
        "state IN ('p', 'c') AND resends > 0"
    };
}
pub(in crate::postgres) use waits;

/// One by one, in the order of the keys.
const HOLD: &str = concat!(
    "SELECT u.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
     CROSS JOIN LATERAL (SELECT FROM outbox WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
         AND step = u.step AND pass = u.pass AND ",
    waits!(),
    " OFFSET 0) AS o \
     CROSS JOIN LATERAL (SELECT FROM enrollments WHERE tenant_no = $1 AND campaign_no = u.campaign_no AND contact_no = u.contact_no \
         FOR NO KEY UPDATE) AS e"
);

/// Locks the enrollments of those of `mails` that wait to be sent once more, and says which: they move on with the mail, and are locked
/// before it.
pub(crate) async fn hold(
    mut conn: &AsyncPgConnection,
    tenant: TenantNo,
    mails: impl Iterator<Item = DeliveryKey> + Clone,
) -> StoreResult<BTreeSet<DeliveryKey>> {
    let rows: Vec<DeliveryColumns> =
        bind_deliveries(prepared(HOLD), tenant, mails).get_results(&mut conn).await.store()?;
    Ok(rows.into_iter().map(|row| row.key(tenant)).collect())
}

/// The last attempts of those of `mails`, all of one campaign, that wait to be sent once more.
pub(super) async fn waiting(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    mails: impl Iterator<Item = DeliveryKey> + Clone,
) -> StoreResult<Vec<Attempt>> {
    let sql = concat!(
        "SELECT o.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) AS u (campaign_no, contact_no, step, pass) \
         CROSS JOIN LATERAL (SELECT contact_no, step, pass, epoch FROM outbox WHERE tenant_no = $1 AND campaign_no = u.campaign_no \
             AND contact_no = u.contact_no AND step = u.step AND pass = u.pass AND ",
        waits!(),
        " OFFSET 0) AS o"
    );
    let rows: Vec<AttemptColumns> =
        bind_deliveries(prepared(sql), key.tenant, mails).get_results(&mut conn).await.store()?;
    Ok(rows.into_iter().map(|row| row.attempt(key)).collect())
}

/// Locks those of `attempts` that still wait, and takes claims of them back: nobody begins them any more.
pub(super) async fn take_back(
    conn: &AsyncPgConnection,
    key: CampaignKey,
    attempts: &[Attempt],
) -> StoreResult<Vec<OutboxRow>> {
    let mut rows = rows::lock(conn, key, attempts).await?;
    rows.retain(|row| row.state != b's');
    let claims: Vec<Attempt> = rows.iter().filter(|row| row.state == b'c').map(|row| row.attempt(key)).collect();
    if !claims.is_empty() {
        rows::put_back(conn, key, &claims).await?;
    }
    for row in &mut rows {
        row.state = b'p';
    }
    Ok(rows)
}

/// Ends those of `mails`, all of one campaign, that wait to be sent once more, as sent. What comes back has to be posted to the books.
pub(crate) async fn arrived_after_all(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    mails: &[DeliveryKey],
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let attempts = waiting(conn, key, mails.iter().copied()).await?;
    let endings: Vec<Ending> = take_back(conn, key, &attempts).await?.into_iter().map(Ending::arrived).collect();
    ending::end(conn, key, now, &endings).await
}
