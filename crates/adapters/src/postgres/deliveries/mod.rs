//! [`DeliveryRepo`] over PostgreSQL.

mod again;
pub(super) mod decisions;
mod list;
mod settle;

pub(super) use list::state as delivery_state;

use super::{PgUnit, StoreErrorExt, books};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::decision::{Evidence, Resolution, Retriable};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::lifecycle::Status;
use muster_domain::ports::deliveries::{DeliveryFilter, DeliveryRepo, DeliveryView, HeldDeliveries};
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeSet;

#[async_trait]
impl DeliveryRepo for PgUnit {
    async fn list(
        &mut self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        limit: i64,
    ) -> StoreResult<Vec<DeliveryView>> {
        let of = self.of();
        list::list(self.conn().await?, of, filter, after, limit).await
    }

    async fn find(&mut self, key: DeliveryKey) -> StoreResult<Option<DeliveryView>> {
        let of = self.of();
        if key.tenant != of.tenant {
            return Ok(None);
        }
        list::find(self.conn().await?, of, key).await
    }

    async fn resolve(
        &mut self,
        key: DeliveryKey,
        resolution: Resolution,
        evidence: Evidence,
        now: DateTime<Utc>,
    ) -> StoreResult<bool> {
        let entries = match resolution {
            Resolution::Resend => {
                let over = again::lock_campaign(self.conn().await?, key.campaign_key()).await?;
                again::one(self.conn().await?, key, over, evidence, now).await?
            }
            Resolution::Sent | Resolution::Failed | Resolution::Drop => {
                settle::settle(self.conn().await?, key.campaign_key(), &[key], resolution, evidence, now).await?
            }
        };
        let done = !entries.steps.is_empty();
        self.post([(key.campaign, entries)].into());
        Ok(done)
    }

    async fn hold(&mut self, keys: &BTreeSet<DeliveryKey>) -> StoreResult<HeldDeliveries> {
        let tenant = self.of().tenant;
        settle::hold(self.conn().await?, tenant, keys).await
    }

    async fn settle_heard(&mut self, doubts: &BTreeSet<DeliveryKey>, now: DateTime<Utc>) -> StoreResult<()> {
        let tenant = self.of().tenant;
        let entries = settle::settle_heard(self.conn().await?, tenant, doubts, now).await?;
        self.post(entries);
        Ok(())
    }

    async fn retry(
        &mut self,
        campaign: &Campaign,
        endings: &[Retriable],
        evidence: Evidence,
        now: DateTime<Utc>,
    ) -> StoreResult<i64> {
        let over = campaign.status() == Status::Completed;
        let entries = again::all(self.conn().await?, campaign.key(), endings, over, evidence, now).await?;
        books::post(self.conn().await?, campaign.key(), &entries).await?;
        Ok(entries.steps.values().map(|line| line.pending).sum())
    }

    async fn end_retrying(&mut self, campaign: &Campaign) -> StoreResult<()> {
        diesel::sql_query(
            "UPDATE campaigns SET retrying = false WHERE tenant_no = $1 AND campaign_no = $2 AND retrying",
        )
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.no.0)
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(())
    }
}
