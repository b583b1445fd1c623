//! Changing what a campaign says: `PATCH`.

use crate::model::campaign::{Campaign, VersionMismatch};
use crate::model::content::{ContentInput, write_content};
use crate::model::field::Field;
use crate::model::ids::{CampaignId, SegmentId};
use crate::model::lifecycle::{Action, InvalidTransition, Lifecycle, check};
use crate::model::problem::FieldProblems;
use crate::ports::campaigns::Saved;
use crate::ports::store::{StoreError, Tx};

/// Change this campaign. What is absent stays.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeCampaign {
    /// Which.
    pub id: CampaignId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
    /// Its audience.
    pub segment_id: Field<SegmentId>,
    /// Everything else.
    pub content: ContentInput,
}

/// Why a campaign was not changed; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such campaign, or step, in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// Its status forbids it.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Somebody changed it since the caller has read it.
    #[error(transparent)]
    VersionMismatch(#[from] VersionMismatch),
    /// The command says something impossible.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes name, sender, audience, schedule and settings. The audience only before the launch; nothing once completed.
///
/// A new start of a scheduled campaign moves its launch; once launched, its start is history and stays.
pub async fn change_campaign(tx: &mut Tx, command: ChangeCampaign) -> Result<Campaign, ChangeError> {
    let mut campaign = open(tx, command.id, command.expected, Action::Edit).await?;
    if command.segment_id.is_present() {
        check(campaign.status(), Action::ChangeAudience)?;
    }
    let now = tx.now().await?;
    let mut problems = FieldProblems::default();
    let written = write_content(Some(&campaign.content), command.content, now);
    let content = problems.keep("", written);
    match command.segment_id {
        Field::Absent => {}
        Field::Null => problems.add("/segmentId", "required", "a campaign needs an audience"),
        Field::Value(id) => match tx.campaigns().find_segment(id).await? {
            Some(no) => (campaign.segment, campaign.segment_id) = (no, id),
            None => problems.add("/segmentId", "unknown_segment", "there is no such segment"),
        },
    }
    let lifecycle = content.as_ref().map(|content| moved_start(&campaign, content.schedule.start_at, &mut problems));
    problems.into_result().map_err(ChangeError::Invalid)?;
    if let (Some(content), Some(lifecycle)) = (content, lifecycle) {
        (campaign.content, campaign.lifecycle) = (content, lifecycle);
    }
    save(tx, &campaign).await
}

/// Where the campaign stands when its start becomes `start_at`.
fn moved_start(
    campaign: &Campaign,
    start_at: Option<chrono::DateTime<chrono::Utc>>,
    problems: &mut FieldProblems,
) -> Lifecycle {
    match (campaign.lifecycle, start_at) {
        (Lifecycle::Scheduled { .. }, Some(start_at)) => return Lifecycle::Scheduled { start_at },
        (Lifecycle::Scheduled { .. }, None) => {
            let detail = "a scheduled campaign has a start; unschedule it to take the start away";
            problems.add("/schedule/startAt", "required", detail);
        }
        (Lifecycle::Draft, _) => {}
        (Lifecycle::Active { .. } | Lifecycle::Paused { .. } | Lifecycle::Completed { .. }, start_at) => {
            if start_at != campaign.content.schedule.start_at {
                problems.add("/schedule/startAt", "already_started", "the campaign was launched already");
            }
        }
    }
    campaign.lifecycle
}

/// The campaign, locked, when it is the one that the caller has read and allows `action`.
pub(super) async fn open(
    tx: &mut Tx,
    id: CampaignId,
    expected: Option<i32>,
    action: Action,
) -> Result<Campaign, ChangeError> {
    let campaign = tx.campaigns().find_for_update(id).await?.ok_or(ChangeError::NotFound)?;
    campaign.check_version(expected)?;
    check(campaign.status(), action)?;
    Ok(campaign)
}

/// Stores a changed campaign, whose row is locked, and reads it back.
pub(super) async fn save(tx: &mut Tx, campaign: &Campaign) -> Result<Campaign, ChangeError> {
    match tx.campaigns().save(campaign).await? {
        Saved::Stale => Err(ChangeError::Store(StoreError::Conflict)),
        Saved::Stored => tx.campaigns().find(campaign.id).await?.ok_or(ChangeError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::content::ScheduleInput;
    use crate::model::lifecycle::Status;
    use crate::testing::{MockUnit, a_campaign, remembering};
    use chrono::{DateTime, TimeDelta, Utc};

    fn now() -> DateTime<Utc> {
        "2026-03-01T09:00:00Z".parse().unwrap()
    }

    /// Changes the start of a campaign that stands so.
    async fn start_at(lifecycle: Lifecycle, field: Field<DateTime<Utc>>) -> Result<Campaign, ChangeError> {
        let mut campaign = a_campaign();
        campaign.lifecycle = lifecycle;
        campaign.content.schedule.start_at = lifecycle.start_at();
        let id = campaign.id;
        let mut unit = MockUnit::at(now());
        unit.campaigns = remembering(vec![campaign]);
        let schedule = ScheduleInput { start_at: field, ..ScheduleInput::default() };
        let content = ContentInput { schedule: Field::Value(schedule), ..ContentInput::default() };
        let command = ChangeCampaign { id, expected: Some(1), segment_id: Field::Absent, content };
        change_campaign(&mut unit.into_tx(), command).await
    }

    #[tokio::test]
    async fn a_new_start_moves_a_scheduled_campaign_and_only_that() {
        let later = now() + TimeDelta::days(2);
        let scheduled = Lifecycle::Scheduled { start_at: now() + TimeDelta::days(1) };
        let moved = start_at(scheduled, Field::Value(later)).await.unwrap();
        assert_eq!((moved.lifecycle, moved.version), (Lifecycle::Scheduled { start_at: later }, 2));
        let draft = start_at(Lifecycle::Draft, Field::Value(later)).await.unwrap();
        assert_eq!((draft.status(), draft.content.schedule.start_at), (Status::Draft, Some(later)));
        for refused in [
            start_at(scheduled, Field::Null).await,
            start_at(scheduled, Field::Value(now() - TimeDelta::days(1))).await,
            start_at(Lifecycle::Active { launched_at: now() }, Field::Value(later)).await,
        ] {
            assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn what_was_read_before_another_change_is_stale() {
        let mut unit = MockUnit::at(now());
        unit.campaigns = remembering(vec![a_campaign()]);
        let mut tx = unit.into_tx();
        let name = |name: &str| ChangeCampaign {
            id: a_campaign().id,
            expected: Some(1),
            segment_id: Field::Absent,
            content: ContentInput { name: Field::Value(name.to_owned()), ..ContentInput::default() },
        };
        change_campaign(&mut tx, name("First")).await.unwrap();
        let late = change_campaign(&mut tx, name("Second")).await;
        assert!(
            matches!(late, Err(ChangeError::VersionMismatch(VersionMismatch { expected: 1, current: 2 }))),
            "{late:?}"
        );
    }
}
