//! Stopping mail to who was mailed: by the delivery that they answer to, or by the address that refused it.

use super::insert;
use crate::postgres::contacts::hold;
use crate::postgres::exits::{Exits, Leaving, exit_open_enrollments};
use crate::postgres::schema::{campaigns, contacts};
use crate::postgres::{PgUnit, StoreErrorExt};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{CampaignKey, ContactNo};
use muster_domain::model::suppression::{NewSuppression, Suppressible, SuppressionReason};
use muster_domain::ports::store::{StoreError, StoreResult};
use uuid::Uuid;

/// Whose mail stops, and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) delivery: DeliveryKey,
    /// Only while the recipient has the address of that time.
    pub(super) mailed_at: Option<DateTime<Utc>>,
    pub(super) reason: SuppressionReason,
    pub(super) leaving: ExitReason,
    pub(super) now: DateTime<Utc>,
}

impl PgUnit {
    /// Whether the recipient's address is newly on the list; `None` when there is nobody, or not at that address any more.
    pub(super) async fn stop_mail(&mut self, stop: Stop) -> StoreResult<Option<bool>> {
        let Stop { delivery, mailed_at, reason, leaving, now } = stop;
        let tenant = self.of().tenant;
        let Some(email) = self.address_of(delivery).await? else { return Ok(None) };
        let contacts = hold::hold(self.conn().await?, tenant, &[email.key()], &[delivery.contact]).await?;
        // It had another address, or was erased, before it could be locked.
        if !contacts.contains(&delivery.contact) {
            return Err(StoreError::Conflict);
        }
        if let Some(mailed_at) = mailed_at
            && self.has_moved_since(delivery, mailed_at).await?
        {
            return Ok(None);
        }
        let source = source_of(self.conn().await?, delivery.campaign_key()).await?;
        let new = NewSuppression { what: Suppressible::Address(email), reason, source };
        let added = !insert::insert(self.conn().await?, tenant, &[new], now).await?.is_empty();
        let leaving = Leaving { tenant, contacts: &contacts, campaign: None, reason: leaving, now };
        let exits = exit_open_enrollments(self.conn().await?, leaving).await?;
        self.post(exits.into_entries());
        Ok(Some(added))
    }

    /// Whether the recipient, who is locked, got another address since.
    async fn has_moved_since(&mut self, delivery: DeliveryKey, mailed_at: DateTime<Utc>) -> StoreResult<bool> {
        let changed_at: Option<DateTime<Utc>> = contacts::table
            .filter(contacts::tenant_no.eq(delivery.tenant.0).and(contacts::contact_no.eq(delivery.contact.0)))
            .select(contacts::email_changed_at)
            .first(self.conn().await?)
            .await
            .store()?;
        Ok(changed_at.is_some_and(|changed_at| changed_at > mailed_at))
    }

    /// The recipient's address; `None` when the contact is erased.
    async fn address_of(&mut self, delivery: DeliveryKey) -> StoreResult<Option<EmailAddress>> {
        let email: Option<Option<String>> = contacts::table
            .filter(contacts::tenant_no.eq(delivery.tenant.0).and(contacts::contact_no.eq(delivery.contact.0)))
            .select(contacts::email)
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        email.flatten().map(|email| read_address(&email, delivery.contact.0)).transpose()
    }
}

/// The address of a contact as its row has it.
pub(crate) fn read_address(email: &str, contact_no: i64) -> StoreResult<EmailAddress> {
    let corrupt = |_| StoreError::Corrupt { table: "contacts", column: "email", id: contact_no.to_string() };
    EmailAddress::parse(email).map_err(corrupt)
}

/// Suppresses addresses that refused mail of that campaign for good, and ends the open enrollments of their `contacts`, all
/// of whom the caller holds ([`hold`]).
pub(crate) async fn give_up(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    refused: Vec<EmailAddress>,
    contacts: &[ContactNo],
    now: DateTime<Utc>,
) -> StoreResult<Exits> {
    let tenant = key.tenant;
    let source = source_of(conn, key).await?;
    let reason = SuppressionReason::Bounced;
    let entry = |email| NewSuppression { what: Suppressible::Address(email), reason, source: source.clone() };
    let entries: Vec<NewSuppression> = refused.into_iter().map(entry).collect();
    insert::insert(conn, tenant, &entries, now).await?;
    let reason = ExitReason::Bounced;
    exit_open_enrollments(conn, Leaving { tenant, contacts, campaign: None, reason, now }).await
}

/// What a suppression because of a mail has as its source: the campaign's id.
async fn source_of(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<String> {
    let id: Option<Uuid> = campaigns::table
        .filter(campaigns::tenant_no.eq(key.tenant.0).and(campaigns::campaign_no.eq(key.campaign.0)))
        .select(campaigns::id)
        .first(conn)
        .await
        .optional()
        .store()?;
    Ok(id.map_or_else(|| "unsubscribe".to_owned(), |id| id.to_string()))
}
