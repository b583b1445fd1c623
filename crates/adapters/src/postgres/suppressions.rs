//! [`SuppressionRepo`] over PostgreSQL.

use super::exits::{Exits, Leaving, exit_open_enrollments};
use super::locks::{self, Lock};
use super::schema::{campaigns, contacts, suppressions};
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel_async::RunQueryDsl;
use muster_domain::model::address::EmailAddress;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::events::{EngagementEvent, EventKind};
use muster_domain::model::ids::ContactNo;
use muster_domain::model::suppression::{Suppression, SuppressionReason};
use muster_domain::ports::store::{StoreError, StoreResult, UnitOfWork};
use muster_domain::ports::suppressions::{Suppressed, SuppressionRepo, Unsubscribed};
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = suppressions)]
struct SuppressionRow {
    tenant_no: i32,
    email_key: String,
    reason: String,
    source: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<SuppressionRow> for Suppression {
    type Error = StoreError;
    fn try_from(row: SuppressionRow) -> Result<Self, StoreError> {
        let Some(reason) = SuppressionReason::parse(&row.reason) else {
            let id = format!("tenant {}", row.tenant_no);
            return Err(StoreError::Corrupt { table: "suppressions", column: "reason", id });
        };
        Ok(Suppression { email_key: row.email_key, reason, source: row.source, created_at: row.created_at })
    }
}

#[derive(QueryableByName)]
struct LockedContact {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Nullable<Text>)]
    email_key: Option<String>,
}

#[async_trait]
impl SuppressionRepo for PgUnit {
    async fn list(&mut self, key: Option<String>, after: Option<String>, limit: u32) -> StoreResult<Vec<Suppression>> {
        let mut query = suppressions::table
            .filter(suppressions::tenant_no.eq(self.of().tenant.0))
            .order(suppressions::email_key)
            .limit(i64::from(limit))
            .select(SuppressionRow::as_select())
            .into_boxed();
        if let Some(key) = key {
            query = query.filter(suppressions::email_key.eq(key));
        }
        if let Some(after) = after {
            query = query.filter(suppressions::email_key.gt(after));
        }
        let rows: Vec<SuppressionRow> = query.load(self.conn()).await.store()?;
        rows.into_iter().map(Suppression::try_from).collect()
    }

    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed> {
        let tenant = self.of().tenant;
        if let Some(there) = self.find_suppression(&email.key()).await? {
            return Ok(Suppressed::Already(there));
        }
        locks::exclude(self.conn(), Lock::Tenant(tenant)).await?;
        let Some(added) = self.insert_suppression(&email.key(), reason, source, now).await? else {
            let there = self.find_suppression(&email.key()).await?.ok_or(StoreError::Conflict)?;
            return Ok(Suppressed::Already(there));
        };
        let contacts = self.lock_contacts(&email.key(), None).await?;
        let exits = self.exit(&contacts, ExitReason::Suppressed, now).await?;
        self.post(exits.into_entries());
        Ok(Suppressed::Added(added))
    }

    async fn lift(&mut self, key: &str) -> StoreResult<bool> {
        let tenant = self.of().tenant;
        let lifted = diesel::delete(suppressions::table)
            .filter(suppressions::tenant_no.eq(tenant.0).and(suppressions::email_key.eq(key)))
            .execute(self.conn())
            .await
            .store()?;
        Ok(lifted == 1)
    }

    async fn unsubscribe(&mut self, delivery: DeliveryKey, now: DateTime<Utc>) -> StoreResult<Unsubscribed> {
        let Some(key) = self.address_of(delivery).await? else { return Ok(Unsubscribed::Erased) };
        let contacts = self.lock_contacts(&key, Some(delivery.contact)).await?;
        // It had another address, or was erased, before it could be locked.
        if !contacts.contains(&delivery.contact) {
            return Err(StoreError::Conflict);
        }
        let source = self.source_of(delivery).await?;
        let added = self.insert_suppression(&key, SuppressionReason::Unsubscribed, &source, now).await?.is_some();
        let exits = self.exit(&contacts, ExitReason::Unsubscribed, now).await?;
        self.post(exits.into_entries());
        if added {
            let kind = EventKind::Unsubscribed;
            let event = EngagementEvent { id: Uuid::now_v7(), delivery, kind, link: None, at: now, machine: None };
            self.events().record(&[event]).await?;
        }
        Ok(if added { Unsubscribed::Now } else { Unsubscribed::Already })
    }
}

impl PgUnit {
    async fn find_suppression(&mut self, key: &str) -> StoreResult<Option<Suppression>> {
        let found = self.list(Some(key.to_owned()), None, 1).await?;
        Ok(found.into_iter().next())
    }

    /// `None` when the address is on the list.
    async fn insert_suppression(
        &mut self,
        key: &str,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Option<Suppression>> {
        let tenant = self.of().tenant;
        let row: Option<SuppressionRow> = diesel::insert_into(suppressions::table)
            .values((
                suppressions::tenant_no.eq(tenant.0),
                suppressions::email_key.eq(key),
                suppressions::reason.eq(reason.as_str()),
                suppressions::source.eq(source),
                suppressions::created_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .returning(SuppressionRow::as_returning())
            .get_result(self.conn())
            .await
            .optional()
            .store()?;
        row.map(Suppression::try_from).transpose()
    }

    /// The key of the recipient's address; `None` when the contact is erased.
    async fn address_of(&mut self, delivery: DeliveryKey) -> StoreResult<Option<String>> {
        let key: Option<Option<String>> = contacts::table
            .filter(contacts::tenant_no.eq(delivery.tenant.0).and(contacts::contact_no.eq(delivery.contact.0)))
            .select(contacts::email_key)
            .first(self.conn())
            .await
            .optional()
            .store()?;
        Ok(key.flatten())
    }

    /// What an unsubscription through this mail has as its source: the campaign's id.
    async fn source_of(&mut self, delivery: DeliveryKey) -> StoreResult<String> {
        let id: Option<Uuid> = campaigns::table
            .filter(campaigns::tenant_no.eq(delivery.tenant.0).and(campaigns::campaign_no.eq(delivery.campaign.0)))
            .select(campaigns::id)
            .first(self.conn())
            .await
            .optional()
            .store()?;
        Ok(id.map_or_else(|| "unsubscribe".to_owned(), |id| id.to_string()))
    }

    /// Holds the contacts of that address in every workspace of the tenant, so that no delivery to them begins.
    /// In rising order, so that two callers never wait for each other in a circle. `also` is one of them, unless its
    /// address has just changed.
    async fn lock_contacts(&mut self, key: &str, also: Option<ContactNo>) -> StoreResult<Vec<ContactNo>> {
        let tenant = self.of().tenant;
        let locked: Vec<LockedContact> = diesel::sql_query(
            "SELECT c.contact_no, c.email_key FROM contacts c \
             WHERE c.tenant_no = $1 AND c.contact_no IN ( \
                SELECT k.contact_no FROM contacts k WHERE k.tenant_no = $1 AND k.email_key = $2 UNION ALL SELECT $3) \
             ORDER BY c.contact_no FOR UPDATE OF c",
        )
        .bind::<Integer, _>(tenant.0)
        .bind::<Text, _>(key)
        .bind::<Nullable<BigInt>, _>(also.map(|no| no.0))
        .load(self.conn())
        .await
        .store()?;
        let same = locked.into_iter().filter(|row| row.email_key.as_deref() == Some(key));
        Ok(same.map(|row| ContactNo(row.contact_no)).collect())
    }

    async fn exit(&mut self, contacts: &[ContactNo], reason: ExitReason, now: DateTime<Utc>) -> StoreResult<Exits> {
        let tenant = self.of().tenant;
        let leaving = Leaving { tenant, contacts, campaign: None, reason, now };
        exit_open_enrollments(self.conn(), leaving).await
    }
}
