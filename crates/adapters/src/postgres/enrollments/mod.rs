//! [`EnrollmentRepo`] over PostgreSQL.

mod balance;
mod chunk;
mod end_all;
pub(super) mod enroll;

use super::deliver::being_sent;
use super::locks::{self, Lock};
use super::prepared::prepared;
use super::{PgUnit, StoreErrorExt, books};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chunk::Entry;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer};
use diesel_async::RunQueryDsl;
use muster_domain::model::books::Balance;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::StepNo;
use muster_domain::ports::enrollments::{Audience, Chunk, EnrollmentRepo};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[async_trait]
impl EnrollmentRepo for PgUnit {
    async fn count_audience(&mut self, campaign: &Campaign) -> StoreResult<Audience> {
        enroll::count_audience(self, campaign).await
    }

    async fn enroll_at_once(
        &mut self,
        campaign: &Campaign,
        audience: &Audience,
        first: StepNo,
        limit: i64,
        now: DateTime<Utc>,
    ) -> StoreResult<Chunk> {
        enroll::enroll_at_once(self, audience, Entry { campaign, first, now }, limit).await
    }

    async fn enroll_chunk(
        &mut self,
        campaign: &Campaign,
        first: StepNo,
        limit: i64,
        now: DateTime<Utc>,
    ) -> StoreResult<Chunk> {
        enroll::enroll_chunk(self, Entry { campaign, first, now }, limit).await
    }

    async fn end_all(&mut self, campaign: &Campaign, now: DateTime<Utc>) -> StoreResult<()> {
        locks::exclude(self.conn().await?, Lock::Campaign(campaign.no)).await?;
        let entries = end_all::end_all(self.conn().await?, campaign.key(), now).await?;
        books::post(self.conn().await?, campaign.key(), &entries).await
    }

    async fn barrier(&mut self, campaign: &Campaign) -> StoreResult<()> {
        locks::exclude(self.conn().await?, Lock::Campaign(campaign.no)).await
    }

    async fn in_flight(&mut self, campaign: &Campaign) -> StoreResult<i64> {
        let count: Count = prepared(concat!(
            "SELECT count(*) AS n FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 AND ",
            being_sent!()
        ))
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.no.0)
        .get_result(self.conn().await?)
        .await
        .store()?;
        Ok(count.n)
    }

    async fn has_mail_left(&mut self, campaign: &Campaign) -> StoreResult<bool> {
        let answer: Answer =
            prepared("SELECT EXISTS (SELECT 1 FROM outbox WHERE tenant_no = $1 AND campaign_no = $2) AS yes")
                .bind::<Integer, _>(campaign.tenant.0)
                .bind::<Integer, _>(campaign.no.0)
                .get_result(self.conn().await?)
                .await
                .store()?;
        Ok(answer.yes)
    }

    async fn balance(&mut self, campaign: &Campaign) -> StoreResult<Balance> {
        balance::booked(self.conn().await?, campaign.key()).await
    }

    async fn recount(&mut self, campaign: &Campaign) -> StoreResult<Balance> {
        balance::counted(self.conn().await?, campaign.key()).await
    }
}
