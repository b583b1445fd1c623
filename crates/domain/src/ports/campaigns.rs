//! Campaigns, their steps and their sequences.

use super::store::StoreResult;
use crate::model::campaign::{Campaign, CampaignContent, CampaignType, EnrollmentState};
use crate::model::figures::Counts;
use crate::model::ids::{
    CampaignId, CampaignNo, ContactNo, SegmentId, SegmentNo, SequenceVersion, StepId, StepNo, UserId,
};
use crate::model::lifecycle::Status;
use crate::model::rules::Mails;
use crate::model::sequence::{Sequence, StepType};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A campaign that is about to be made: a draft of version 1.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCampaign {
    /// Its kind.
    pub campaign_type: CampaignType,
    /// Its audience.
    pub segment: SegmentNo,
    /// The same, as callers know it.
    pub segment_id: SegmentId,
    /// What it says.
    pub content: CampaignContent,
    /// The version of its steps, which [`CampaignRepo::add_sequence`] stores; 0 without any.
    pub sequence_version: SequenceVersion,
    /// The number that the next new step gets.
    pub next_step_no: StepNo,
    /// Who makes it.
    pub created_by: UserId,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Which campaigns a list holds; what is absent does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignFilter {
    /// Those with this status.
    pub status: Option<Status>,
    /// Those of this kind.
    pub campaign_type: Option<CampaignType>,
    /// Those whose name holds this text, without regard to case. Taken literally: `%` and `_` mean themselves.
    pub name_contains: Option<String>,
}

/// By what a list of campaigns is sorted; ties go by the order of creation, in the same direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CampaignOrder {
    /// By creation.
    #[default]
    CreatedAt,
    /// By name, without regard to case.
    Name,
}

/// A place in a sorted list: right after this campaign, which need not be there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignPlace {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its name.
    pub name: String,
    /// Its number.
    pub no: CampaignNo,
}

/// A page of a list of campaigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignQuery {
    /// Which.
    pub filter: CampaignFilter,
    /// Sorted by what.
    pub order: CampaignOrder,
    /// Largest first.
    pub descending: bool,
    /// From where on; the beginning when absent.
    pub after: Option<CampaignPlace>,
    /// How many at most.
    pub limit: i64,
}

/// A row of a list of campaigns.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignSummary {
    /// The campaign.
    pub campaign: Campaign,
    /// What happened over its whole life.
    pub counts: Counts,
}

/// A campaign with its steps and what has come of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignWithFigures {
    /// The campaign.
    pub campaign: Campaign,
    /// Its newest sequence.
    pub sequence: Sequence,
    /// What happened at each step over its whole life; steps without any mail are absent, removed ones may be there.
    pub counts: BTreeMap<StepNo, Counts>,
    /// Deliveries that have begun and whose outcome is not recorded yet.
    pub in_flight: i64,
}

/// A step as the register knows it, in the campaign now or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredStep {
    /// Its number.
    pub no: StepNo,
    /// Its id.
    pub id: StepId,
    /// Its type, which never changes.
    pub step_type: StepType,
}

/// What became of saving a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored; its version is one higher.
    Stored,
    /// Somebody else changed it since it was read.
    Stale,
}

/// How the enrolling of a campaign stands when it is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolling {
    /// Whether workers go on with it.
    pub state: EnrollmentState,
    /// How many there are to enroll.
    pub total: i64,
    /// The last contact made before the launch: later ones stay out of it.
    pub mark: ContactNo,
    /// Everybody up to this contact has been judged.
    pub through: ContactNo,
    /// So many were enrolled by the launch itself.
    pub enrolled: i64,
}

/// Campaigns of one workspace, their steps and their sequences. What belongs to another workspace is not found.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait CampaignRepo: Send {
    /// Makes a draft of version 1 and answers with it, its id and number assigned.
    async fn insert(&mut self, new: &NewCampaign) -> StoreResult<Campaign>;
    /// The campaign with that id.
    async fn find(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>>;
    /// The campaign with that id and its newest sequence, both of one moment without a lock.
    async fn find_with_steps(&mut self, id: CampaignId) -> StoreResult<Option<(Campaign, Sequence)>>;
    /// The same with its figures, asked for together.
    async fn find_with_figures(&mut self, id: CampaignId) -> StoreResult<Option<CampaignWithFigures>>;
    /// The campaign with that id, its row locked to the end of the transaction.
    async fn find_for_update(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>>;
    /// The same with its newest sequence.
    async fn find_with_steps_for_update(&mut self, id: CampaignId) -> StoreResult<Option<(Campaign, Sequence)>>;
    /// The campaign with that number, its row locked to the end of the transaction.
    async fn find_by_no_for_update(&mut self, no: CampaignNo) -> StoreResult<Option<Campaign>>;
    /// The campaign with that id, unchanging to the end of the transaction; others may hold it like this too.
    async fn find_for_share(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>>;
    /// Writes content, audience, lifecycle, `last_problem` and sequence version where the stored version is still
    /// `campaign.version`; the stored version is then one higher and `updated_at` now. Lets a held campaign go
    /// (`held_until` is cleared). What becomes launched is saved by [`CampaignRepo::save_launched`].
    async fn save(&mut self, campaign: &Campaign) -> StoreResult<Saved>;
    /// The same for a campaign that becomes launched, with how its enrolling stands; whom that has enrolled is posted to
    /// the books. Answers with the campaign as it is then; `None` where the stored version is another, and the caller is to
    /// undo the transaction.
    async fn save_launched(&mut self, campaign: &Campaign, enrolling: Enrolling) -> StoreResult<Option<Campaign>>;
    /// Removes a campaign that was never launched, with its steps.
    async fn delete(&mut self, campaign: &Campaign) -> StoreResult<()>;
    /// A page of campaigns, in order.
    async fn list(&mut self, query: &CampaignQuery) -> StoreResult<Vec<CampaignSummary>>;
    /// The number of an audience of this workspace.
    async fn find_segment(&mut self, id: SegmentId) -> StoreResult<Option<SegmentNo>>;
    /// That version of the campaign's sequence; empty for version 0. Of a draft that is not locked it may be gone: see
    /// [`CampaignRepo::find_with_steps`].
    async fn sequence(&mut self, campaign: &Campaign, version: SequenceVersion) -> StoreResult<Sequence>;
    /// Every step that keeps its number: those of the sequence and, once it was launched, those removed since.
    async fn registered_steps(&mut self, campaign: &Campaign) -> StoreResult<Vec<RegisteredStep>>;
    /// Those of these campaigns and steps that this workspace has, the steps with their campaigns and types.
    async fn known_mails(&mut self, named: &Mails) -> StoreResult<Mails>;
    /// Ids for new steps.
    async fn new_step_ids(&mut self, count: usize) -> StoreResult<Vec<StepId>>;
    /// Stores `sequence` as version `campaign.sequence_version`, which must be new, and registers its steps. Before the
    /// first launch nobody can be in an older version, so those go, with the steps that are no more.
    /// [`CampaignRepo::save`] stores the campaign itself.
    async fn add_sequence(&mut self, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()>;
}
