//! The deliver pipeline over PostgreSQL.
//!
//! Statements look rows up by their whole keys, one by one (`LATERAL`, or a join whose tenant and campaign come out of a
//! subquery with `OFFSET 0`). Told tenant and campaign as constants, the planner takes a campaign launched since the last
//! `ANALYZE` for one row and reads all of it for every batch.
//!
//! Order of locks, for everybody: tenant, campaign, contacts, suppression list, quota, enrollments, outbox, books; rows of one
//! kind in the order of their keys.

mod begin;
pub(super) mod called_off;
mod claim;
mod due;
mod ending;
mod gate;
pub(super) mod heard;
mod late;
mod mark;
#[cfg(test)]
mod plans;
mod quota;
mod reap;
mod record;
mod refused;
mod renew;
mod rounds;
mod rows;

pub(super) use rows::being_sent;

use super::PgStore;
use super::prepared::Prepared;
use super::tx::{Patience, PgTx, Role};
use async_trait::async_trait;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt};
use diesel_async::AsyncPgConnection;
use muster_domain::model::delivery::{Attempt, LEASE, LEASE_AT_BEGIN, RetryPolicy};
use muster_domain::model::ids::{CampaignKey, TenantNo};
use muster_domain::ports::delivery::{
    BeginReport, Beginning, ClaimReport, DeliveryStore, DynReservations, Finished, RecordReport, RenewReport,
};
use muster_domain::ports::store::StoreResult;

#[async_trait]
impl DeliveryStore for PgStore {
    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>> {
        due::due_campaigns(self).await
    }

    async fn claim(&self, campaign: CampaignKey, limit: usize) -> StoreResult<ClaimReport> {
        claim::claim(self, campaign, limit).await
    }

    async fn begin(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport> {
        begin::begin(self, campaign, batch, reservations).await
    }

    async fn record(
        &self,
        campaign: CampaignKey,
        finished: &[Finished],
        policy: &RetryPolicy,
    ) -> StoreResult<RecordReport> {
        record::record(self, campaign, finished, policy).await
    }

    async fn give_back(&self, campaign: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport> {
        record::give_back(self, campaign, attempts).await
    }

    async fn renew(&self, attempts: &[Attempt]) -> RenewReport {
        renew::renew(self, attempts).await
    }
}

/// Opens a transaction of the application for one tenant.
async fn open(store: &PgStore, tenant: TenantNo) -> StoreResult<PgTx> {
    store.open(Role::App(tenant), Patience::Delivery).await
}

/// Opens one, and asks `first` in the same flight.
async fn open_asking<T>(
    store: &PgStore,
    tenant: TenantNo,
    first: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T> + Clone,
) -> StoreResult<(PgTx, T)> {
    store.open_asking(Role::App(tenant), Patience::Delivery, first).await
}

/// A lease, as statements want it.
fn lease_ms() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// So much of it a begin leaves as it is.
fn enough_ms() -> i64 {
    i64::try_from(LEASE_AT_BEGIN.as_millis()).unwrap_or(i64::MAX)
}

/// Binds tenant and campaign as `$1` and `$2`.
fn bind_campaign(query: Prepared, key: CampaignKey) -> Prepared {
    query.bind::<Integer, _>(key.tenant.0).bind::<Integer, _>(key.campaign.0)
}

/// Binds tenant and campaign as `$1` and `$2`, then contacts, steps, passes and epochs as the arrays `$3` to `$6`, sorted.
fn bind_attempts<'a>(query: Prepared, key: CampaignKey, attempts: impl IntoIterator<Item = &'a Attempt>) -> Prepared {
    let mut sorted: Vec<&Attempt> = attempts.into_iter().filter(|attempt| attempt.key.campaign_key() == key).collect();
    sorted.sort_unstable_by_key(|attempt| attempt.key);
    bind_campaign(query, key)
        .bind::<Array<BigInt>, _>(sorted.iter().map(|attempt| attempt.key.contact.0).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(sorted.iter().map(|attempt| attempt.key.step.0).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(sorted.iter().map(|attempt| attempt.key.pass.0).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(sorted.iter().map(|attempt| attempt.epoch.0).collect::<Vec<_>>())
}
