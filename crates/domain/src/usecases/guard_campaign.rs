//! Pause a campaign that is past its guard rails.

use super::pause_campaign::{TransitionError, save};
use crate::model::figures::Counts;
use crate::model::ids::CampaignNo;
use crate::model::lifecycle::Status;
use crate::ports::store::Tx;

/// Pauses an active campaign whose figures since the launch are past one of its limits, and says why, here and in its
/// `last_problem`. Resumed as it is, it is paused again: raise the limit, or take it away.
pub async fn guard_campaign(tx: &mut Tx, no: CampaignNo) -> Result<Option<String>, TransitionError> {
    let Some(mut campaign) = tx.campaigns().find_by_no_for_update(no).await? else { return Ok(None) };
    let Some(rails) = campaign.content.settings.guard_rails.filter(|_| campaign.status() == Status::Active) else {
        return Ok(None);
    };
    let mut counts = Counts::default();
    for (_, of_step) in tx.analytics().lifetime(&campaign).await? {
        counts += of_step;
    }
    let Some(problem) = rails.broken_by(&counts) else { return Ok(None) };
    let now = tx.now().await?;
    campaign.lifecycle = campaign.lifecycle.pause(now)?;
    campaign.last_problem = Some(problem.clone());
    save(tx, campaign).await?;
    Ok(Some(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard_rails::GuardRails;
    use crate::model::ids::StepNo;
    use crate::model::lifecycle::Lifecycle;
    use crate::testing::{MockUnit, a_campaign, remembering};
    use chrono::{DateTime, Utc};

    /// What becomes of a campaign with that many bounces of a hundred mails.
    async fn guarded(lifecycle: Lifecycle, bounced: i64) -> Option<String> {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let mut campaign = a_campaign();
        campaign.lifecycle = lifecycle;
        campaign.content.settings.guard_rails =
            Some(GuardRails { max_bounce_rate: Some(0.1), max_complaint_rate: None, min_sample: 10 });
        let (no, id) = (campaign.no, campaign.id);
        let mut unit = MockUnit::at(at);
        unit.campaigns = remembering(vec![campaign]);
        unit.analytics.expect_lifetime().returning(move |_| {
            // Of two steps.
            let first = Counts { sent: 50 - bounced, bounced, ..Counts::default() };
            Ok(vec![(StepNo(1), first), (StepNo(2), Counts { sent: 50, ..Counts::default() })])
        });
        let mut tx = unit.into_tx();
        let said = guard_campaign(&mut tx, no).await.unwrap();
        let after = tx.campaigns().find(id).await.unwrap().unwrap();
        assert_eq!(after.last_problem, said);
        assert_eq!(after.status() == Status::Paused, said.is_some() || lifecycle.status() == Status::Paused);
        said
    }

    #[tokio::test]
    async fn an_active_campaign_past_its_limit_pauses_and_says_why() {
        let active = Lifecycle::Active { launched_at: DateTime::UNIX_EPOCH };
        assert_eq!(guarded(active, 10).await, None);
        assert!(guarded(active, 11).await.is_some_and(|said| said.contains("11 of 100")));
        let paused = Lifecycle::Paused { launched_at: DateTime::UNIX_EPOCH, paused_at: DateTime::UNIX_EPOCH };
        assert_eq!(guarded(paused, 11).await, None, "it is paused already");
    }
}
