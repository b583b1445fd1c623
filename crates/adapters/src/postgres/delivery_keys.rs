//! Keys of deliveries as statements have them: bound as arrays, and read as columns.

use super::prepared::Prepared;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};

/// Binds the tenant as `$1`, then campaigns, contacts, steps and passes as the arrays `$2` to `$5`.
pub(crate) fn bind_deliveries(
    query: Prepared,
    tenant: TenantNo,
    keys: impl Iterator<Item = DeliveryKey> + Clone,
) -> Prepared {
    query
        .bind::<Integer, _>(tenant.0)
        .bind::<Array<Integer>, _>(keys.clone().map(|key| key.campaign.0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(keys.clone().map(|key| key.contact.0).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(keys.clone().map(|key| key.step.0).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(keys.map(|key| key.pass.0).collect::<Vec<_>>())
}

/// The columns that name a delivery of a tenant; to be embedded in rows that say more of it.
#[derive(QueryableByName)]
pub(crate) struct DeliveryColumns {
    #[diesel(sql_type = Integer)]
    pub(crate) campaign_no: i32,
    #[diesel(sql_type = BigInt)]
    pub(crate) contact_no: i64,
    #[diesel(sql_type = SmallInt)]
    pub(crate) step: i16,
    #[diesel(sql_type = Integer)]
    pub(crate) pass: i32,
}

impl DeliveryColumns {
    pub(crate) fn key(&self, tenant: TenantNo) -> DeliveryKey {
        let (campaign, contact) = (CampaignNo(self.campaign_no), ContactNo(self.contact_no));
        DeliveryKey { tenant, campaign, contact, step: StepNo(self.step), pass: Pass(self.pass) }
    }
}
