//! Figures for people, and one contact's way through a campaign.

use super::store::StoreResult;
use crate::model::campaign::Campaign;
use crate::model::decision::Resolution;
use crate::model::delivery::DeliveryState;
use crate::model::enrollment::{ExitReason, Passage, Standing};
use crate::model::events::{EventKind, Machine};
use crate::model::figures::{Counts, DayOfLink, DayOfStep, StepLine};
use crate::model::ids::{ContactId, ContactNo, SequenceVersion, StepId, StepNo};
use crate::model::sequence::Sequence;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

/// An enrollment for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentView {
    /// The contact, as rows know it.
    pub contact: ContactNo,
    /// The contact, as callers know it.
    pub contact_id: ContactId,
    /// Where mail goes; `None` once the contact is erased.
    pub email: Option<String>,
    /// Where it stands.
    pub standing: Standing,
    /// At or before which step.
    pub step: Option<StepId>,
    /// Under which version of the sequence.
    pub version: SequenceVersion,
    /// Since when.
    pub enrolled_at: DateTime<Utc>,
    /// When it goes on by itself.
    pub due_at: Option<DateTime<Utc>>,
    /// When its last mail was accepted.
    pub last_email_sent_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which enrollments to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnrollmentFilter {
    /// Only those that stand so; any when `None`. Exit reasons are not compared.
    pub standings: Option<Vec<StandingKind>>,
    /// Only those at this step.
    pub step: Option<StepId>,
    /// Only this address, without regard to case.
    pub email: Option<String>,
}

/// A standing without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in Standing")]
pub enum StandingKind {
    Enrolled,
    Ready,
    Waiting,
    Delivering,
    Completed,
    Exited,
}

/// One thing that happened to one contact in one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// At which step.
    pub step: StepNo,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A passage of the way.
    Passed(Passage),
    /// A mail ended, or is under way.
    Mail {
        /// How it stands.
        state: DeliveryState,
        /// Attempts begun.
        attempts: i16,
        /// The server's reply, or the reason.
        detail: Option<String>,
    },
    /// Something was decided of a mail that had ended.
    Decided {
        /// What.
        resolution: Resolution,
        /// On what grounds; without the name of who decided.
        evidence: &'static str,
        /// What the server had replied, or the reason, before.
        detail: Option<String>,
    },
    /// The recipient, or a mail server, did something after a mail was sent.
    Engaged {
        /// What.
        kind: EventKind,
        /// The link that was followed, as its author wrote it.
        link: Option<String>,
        /// Why it was no person's doing.
        machine: Option<Machine>,
    },
}

/// What became of enrolling named contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// New enrollments.
    pub enrolled: i64,
    /// They were in already.
    pub already: i64,
}

/// Figures and histories of one workspace's campaigns.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait AnalyticsRepo: Send {
    /// Counts by local day of `timezone` and step, over `first..=last`.
    async fn days(
        &mut self,
        campaign: &Campaign,
        timezone: Tz,
        first: NaiveDate,
        last: NaiveDate,
    ) -> StoreResult<Vec<DayOfStep>>;
    /// Clicks by local day of `timezone` on each link that was followed, over `first..=last`.
    async fn link_days(
        &mut self,
        campaign: &Campaign,
        timezone: Tz,
        first: NaiveDate,
        last: NaiveDate,
    ) -> StoreResult<Vec<DayOfLink>>;
    /// Every sequence the campaign ever had, the present one first.
    async fn sequences(&mut self, campaign: &Campaign) -> StoreResult<Vec<Sequence>>;
    /// Counts since the launch, by step.
    async fn lifetime(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, Counts)>>;
    /// The campaign's e-mail steps, removed ones with mail included, with empty counts.
    async fn step_lines(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, StepLine)>>;
    /// Enrollments after `after` in the order of contacts, at most `limit`.
    async fn enrollments(
        &mut self,
        campaign: &Campaign,
        filter: &EnrollmentFilter,
        after: Option<ContactNo>,
        limit: i64,
    ) -> StoreResult<Vec<EnrollmentView>>;
    /// One contact's enrollment.
    async fn enrollment(&mut self, campaign: &Campaign, contact: ContactId) -> StoreResult<Option<EnrollmentView>>;
    /// Everything that happened to one contact, in order.
    async fn history(&mut self, campaign: &Campaign, contact: ContactNo) -> StoreResult<Vec<HistoryEvent>>;
    /// Every step the campaign ever had: number, id and name.
    async fn step_names(&mut self, campaign: &Campaign) -> StoreResult<Vec<(StepNo, StepId, String)>>;
    /// Those of `contacts` that exist in this workspace.
    async fn known_contacts(&mut self, contacts: &[ContactId]) -> StoreResult<Vec<(ContactId, ContactNo)>>;
    /// Those of `contacts` that are in the campaign's segment now.
    async fn in_segment(&mut self, campaign: &Campaign, contacts: &[ContactNo]) -> StoreResult<Vec<ContactNo>>;
    /// Enrolls these contacts before `first`, each once, and books them.
    async fn join(
        &mut self,
        campaign: &Campaign,
        contacts: &[ContactNo],
        first: StepNo,
        now: DateTime<Utc>,
    ) -> StoreResult<Joined>;
    /// Takes one contact out: locks it, ends its open enrollment with `reason`, cancels its mail that has not begun, and
    /// books it. `false` when it is not open.
    async fn exit(
        &mut self,
        campaign: &Campaign,
        contact: ContactNo,
        reason: ExitReason,
        now: DateTime<Utc>,
    ) -> StoreResult<bool>;
}
