//! [`FeedbackRepo`] over PostgreSQL.

use super::prepared::{Prepared, prepared};
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::ports::feedback::FeedbackRepo;
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct ContactRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    email_changed_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct BouncedRow {
    #[diesel(sql_type = Timestamptz)]
    bounced_at: DateTime<Utc>,
}

#[async_trait]
impl FeedbackRepo for PgUnit {
    async fn note_soft_bounce(&mut self, delivery: DeliveryKey, at: DateTime<Utc>) -> StoreResult<Vec<DateTime<Utc>>> {
        note_soft_bounce(self.conn().await?, delivery, at).await
    }
}

/// As [`FeedbackRepo::note_soft_bounce`].
pub(super) async fn note_soft_bounce(
    conn: &mut AsyncPgConnection,
    delivery: DeliveryKey,
    at: DateTime<Utc>,
) -> StoreResult<Vec<DateTime<Utc>>> {
    let DeliveryKey { tenant, contact, .. } = delivery;
    let held: Vec<ContactRow> = prepared(
        "SELECT email_changed_at FROM contacts WHERE tenant_no = $1 AND contact_no = $2 AND erased_at IS NULL \
         FOR NO KEY UPDATE",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<BigInt, _>(contact.0)
    .get_results(conn)
    .await
    .store()?;
    let Some(held) = held.into_iter().next() else { return Ok(Vec::new()) };
    bind_delivery(
        prepared(
            "INSERT INTO soft_bounces (tenant_no, campaign_no, contact_no, step, pass, bounced_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        ),
        delivery,
    )
    .bind::<Timestamptz, _>(at)
    .execute(conn)
    .await
    .store()?;
    let bounced: Vec<BouncedRow> = prepared(
        "SELECT bounced_at FROM soft_bounces WHERE tenant_no = $1 AND contact_no = $2 \
         AND bounced_at > coalesce($3, '-infinity')",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<BigInt, _>(contact.0)
    .bind::<Nullable<Timestamptz>, _>(held.email_changed_at)
    .get_results(conn)
    .await
    .store()?;
    Ok(bounced.into_iter().map(|row| row.bounced_at).collect())
}

/// Binds the parts of a key as `$1` to `$5`.
fn bind_delivery(query: Prepared, delivery: DeliveryKey) -> Prepared {
    query
        .bind::<Integer, _>(delivery.tenant.0)
        .bind::<Integer, _>(delivery.campaign.0)
        .bind::<BigInt, _>(delivery.contact.0)
        .bind::<SmallInt, _>(delivery.step.0)
        .bind::<Integer, _>(delivery.pass.0)
}
