//! [`SuppressionRepo`] over PostgreSQL.

pub(super) mod cover;
pub(super) mod erased;
mod insert;
pub(super) mod recipient;

use super::contacts::hold;
use super::exits::{Exits, Leaving, exit_open_enrollments};
use super::locks::{self, Lock};
use super::schema::suppressions;
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use muster_domain::model::address::{DomainName, EmailAddress};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::events::{EngagementEvent, EventKind};
use muster_domain::model::ids::ContactNo;
use muster_domain::model::suppression::{Entry, NewSuppression, Suppressible, Suppression, SuppressionReason};
use muster_domain::ports::store::{StoreError, StoreResult, UnitOfWork};
use muster_domain::ports::suppressions::{Suppressed, SuppressionRepo, Unsubscribed};
use recipient::Stop;
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = suppressions)]
struct SuppressionRow {
    entry: String,
    reason: String,
    source: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<SuppressionRow> for Suppression {
    type Error = StoreError;
    fn try_from(row: SuppressionRow) -> Result<Self, StoreError> {
        let reason = cover::read_reason(&row.reason)?;
        Ok(Suppression { entry: Entry::of_key(row.entry), reason, source: row.source, created_at: row.created_at })
    }
}

#[async_trait]
impl SuppressionRepo for PgUnit {
    async fn list(&mut self, after: Option<String>, limit: u32) -> StoreResult<Vec<Suppression>> {
        let mut query = suppressions::table
            .filter(suppressions::tenant_no.eq(self.of().tenant.0))
            .order(suppressions::entry)
            .limit(i64::from(limit))
            .select(SuppressionRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(suppressions::entry.gt(after));
        }
        let rows: Vec<SuppressionRow> = query.load(self.conn().await?).await.store()?;
        rows.into_iter().map(Suppression::try_from).collect()
    }

    async fn find(&mut self, what: &Suppressible) -> StoreResult<Option<Suppression>> {
        let email = match what {
            Suppressible::Address(email) => email,
            Suppressible::Domain(domain) => return self.find_domain(domain).await,
        };
        let covering = self.covering(email).await?;
        Ok(covering.into_iter().find(|suppression| !matches!(suppression.entry, Entry::Domain(_))))
    }

    async fn covering(&mut self, email: &EmailAddress) -> StoreResult<Vec<Suppression>> {
        let tenant = self.of().tenant;
        let rows = cover::covering(self.conn().await?, tenant, vec![email.key()]).await?;
        rows.into_iter().map(cover::CoverRow::into_suppression).collect()
    }

    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed> {
        let what = Suppressible::Address(email.clone());
        let new = NewSuppression { what, reason, source: source.to_owned() };
        let (done, exits) = self.put(new, now).await?;
        self.post(exits.into_entries());
        Ok(done)
    }

    async fn suppress_domain(
        &mut self,
        domain: &DomainName,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed> {
        let what = Suppressible::Domain(domain.clone());
        let new = NewSuppression { what, reason, source: source.to_owned() };
        let (done, exits) = self.put(new, now).await?;
        self.post(exits.into_entries());
        Ok(done)
    }

    async fn suppress_all(&mut self, entries: &[NewSuppression], now: DateTime<Utc>) -> StoreResult<u64> {
        let (added, exits) = self.put_all(entries, now).await?;
        self.post(exits.into_entries());
        Ok(added.len() as u64)
    }

    async fn lift(&mut self, what: &Suppressible) -> StoreResult<bool> {
        let tenant = self.of().tenant;
        let key = what.key();
        let lifted = diesel::delete(suppressions::table)
            .filter(suppressions::tenant_no.eq(tenant.0).and(suppressions::entry.eq(&key)))
            .execute(self.conn().await?)
            .await
            .store()?;
        let recognised = match what {
            Suppressible::Address(_) => erased::lift(self.conn().await?, tenant, &key).await?,
            Suppressible::Domain(_) => false,
        };
        Ok(lifted == 1 || recognised)
    }

    async fn unsubscribe(&mut self, delivery: DeliveryKey, now: DateTime<Utc>) -> StoreResult<Unsubscribed> {
        let (reason, leaving) = (SuppressionReason::Unsubscribed, ExitReason::Unsubscribed);
        let stopped = self.stop_mail(Stop { delivery, mailed_at: None, reason, leaving, now }).await?;
        let Some(added) = stopped else { return Ok(Unsubscribed::Erased) };
        if added {
            let kind = EventKind::Unsubscribed;
            let event = EngagementEvent { id: Uuid::now_v7(), delivery, kind, link: None, at: now, machine: None };
            self.events().record(&[event]).await?;
        }
        Ok(if added { Unsubscribed::Now } else { Unsubscribed::Already })
    }

    async fn suppress_recipient(
        &mut self,
        delivery: DeliveryKey,
        mailed_at: Option<DateTime<Utc>>,
        reason: SuppressionReason,
        leaving: ExitReason,
        now: DateTime<Utc>,
    ) -> StoreResult<bool> {
        Ok(self.stop_mail(Stop { delivery, mailed_at, reason, leaving, now }).await?.unwrap_or_default())
    }
}

impl PgUnit {
    async fn find_domain(&mut self, domain: &DomainName) -> StoreResult<Option<Suppression>> {
        let tenant = self.of().tenant;
        let row: Option<SuppressionRow> = suppressions::table
            .filter(suppressions::tenant_no.eq(tenant.0).and(suppressions::entry.eq(domain.as_str())))
            .select(SuppressionRow::as_select())
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        row.map(Suppression::try_from).transpose()
    }

    /// Puts one entry on the list. What is there already is found without waiting for anybody.
    async fn put(&mut self, new: NewSuppression, now: DateTime<Utc>) -> StoreResult<(Suppressed, Exits)> {
        if let Some(there) = self.find(&new.what).await? {
            return Ok((Suppressed::Already(there), Exits::default()));
        }
        let (added, exits) = self.put_all(std::slice::from_ref(&new), now).await?;
        if added.is_empty() {
            let there = self.find(&new.what).await?.ok_or(StoreError::Conflict)?;
            return Ok((Suppressed::Already(there), exits));
        }
        let NewSuppression { what, reason, source } = new;
        let entry = Entry::of_key(what.key());
        Ok((Suppressed::Added(Suppression { entry, reason, source, created_at: now }), exits))
    }

    /// Puts entries on the list: waits until no delivery of the tenant is just beginning and lets none begin before this
    /// is committed, then ends what is open for the addresses that are new. The keys of what was added.
    async fn put_all(&mut self, entries: &[NewSuppression], now: DateTime<Utc>) -> StoreResult<(Vec<String>, Exits)> {
        let tenant = self.of().tenant;
        locks::exclude(self.conn().await?, Lock::Tenant(tenant)).await?;
        // Contacts before the list, as whoever records a refusal does it; nobody because of what is there already.
        let new = insert::not_listed(self.conn().await?, tenant, entries).await?;
        hold::hold(self.conn().await?, tenant, &addresses(&new), &[]).await?;
        let added = insert::insert(self.conn().await?, tenant, entries, now).await?;
        // Held already, but for one who got such an address just now: it may be refused as a conflict, and is told again.
        let contacts = hold::hold(self.conn().await?, tenant, &addresses(&added), &[]).await?;
        let exits = self.exit(&contacts, ExitReason::Suppressed, now).await?;
        Ok((added, exits))
    }

    async fn exit(&mut self, contacts: &[ContactNo], reason: ExitReason, now: DateTime<Utc>) -> StoreResult<Exits> {
        let tenant = self.of().tenant;
        let leaving = Leaving { tenant, contacts, campaign: None, reason, now };
        exit_open_enrollments(self.conn().await?, leaving).await
    }
}

/// Those of the keys that are addresses; domains have nobody of their own.
fn addresses(keys: &[String]) -> Vec<String> {
    keys.iter().filter(|key| key.contains('@')).cloned().collect()
}
