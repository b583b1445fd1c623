//! [`AnalyticsRepo`] over PostgreSQL.

mod enrollments;
pub(super) mod figures;
mod history;
mod join;
mod links;

use super::exits::{self, Leaving};
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, Integer};
use diesel_async::RunQueryDsl;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::figures::{Counts, DayOfLink, DayOfStep, StepLine};
use muster_domain::model::ids::{ContactId, ContactNo, StepId, StepNo};
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::analytics::{AnalyticsRepo, EnrollmentFilter, EnrollmentView, HistoryEvent, Joined};
use muster_domain::ports::store::StoreResult;

#[async_trait]
impl AnalyticsRepo for PgUnit {
    async fn days(
        &mut self,
        campaign: &Campaign,
        timezone: Tz,
        first: NaiveDate,
        last: NaiveDate,
    ) -> StoreResult<Vec<DayOfStep>> {
        figures::days(self.conn().await?, campaign.key(), timezone, first, last).await
    }

    async fn link_days(
        &mut self,
        campaign: &Campaign,
        timezone: Tz,
        first: NaiveDate,
        last: NaiveDate,
    ) -> StoreResult<Vec<DayOfLink>> {
        links::days(self.conn().await?, campaign.key(), timezone, first, last).await
    }

    async fn sequences(&mut self, campaign: &Campaign) -> StoreResult<Vec<Sequence>> {
        links::sequences(self.conn().await?, campaign.key()).await
    }

    async fn lifetime(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, Counts)>> {
        figures::lifetime(self.conn().await?, campaign.key()).await
    }

    async fn step_lines(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, StepLine)>> {
        figures::step_lines(self.conn().await?, campaign.key()).await
    }

    async fn enrollments(
        &mut self,
        campaign: &Campaign,
        filter: &EnrollmentFilter,
        after: Option<ContactNo>,
        limit: i64,
    ) -> StoreResult<Vec<EnrollmentView>> {
        enrollments::list(self.conn().await?, campaign, filter, after, limit).await
    }

    async fn enrollment(&mut self, campaign: &Campaign, contact: ContactId) -> StoreResult<Option<EnrollmentView>> {
        enrollments::find(self.conn().await?, campaign, contact).await
    }

    async fn history(&mut self, campaign: &Campaign, contact: ContactNo) -> StoreResult<Vec<HistoryEvent>> {
        history::of(self.conn().await?, campaign.key(), contact).await
    }

    async fn step_names(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, StepId, String)>> {
        history::step_names(self.conn().await?, campaign.key()).await
    }

    async fn known_contacts(&mut self, contacts: &[ContactId]) -> StoreResult<Vec<(ContactId, ContactNo)>> {
        let of = self.of();
        join::known_contacts(self.conn().await?, of, contacts).await
    }

    async fn in_segment(&mut self, campaign: &Campaign, contacts: &[ContactNo]) -> StoreResult<Vec<ContactNo>> {
        join::in_segment(self, campaign, contacts).await
    }

    async fn join(
        &mut self,
        campaign: &Campaign,
        contacts: &[ContactNo],
        first: StepNo,
        now: DateTime<Utc>,
    ) -> StoreResult<Joined> {
        join::join(self.conn().await?, campaign, contacts, first, now).await
    }

    async fn exit(
        &mut self,
        campaign: &Campaign,
        contact: ContactNo,
        reason: ExitReason,
        now: DateTime<Utc>,
    ) -> StoreResult<bool> {
        // The contact first, so that no delivery to it can begin meanwhile.
        diesel::sql_query("SELECT FROM contacts WHERE tenant_no = $1 AND contact_no = $2 FOR UPDATE")
            .bind::<Integer, _>(campaign.tenant.0)
            .bind::<BigInt, _>(contact.0)
            .execute(self.conn().await?)
            .await
            .store()?;
        let leaving =
            Leaving { tenant: campaign.tenant, contacts: &[contact], campaign: Some(campaign.no), reason, now };
        let exits = exits::exit_open_enrollments(self.conn().await?, leaving).await?;
        let any = exits.count() > 0;
        self.post(exits.into_entries());
        Ok(any)
    }
}
