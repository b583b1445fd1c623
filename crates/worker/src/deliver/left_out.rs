//! Campaigns whose turns fail while storage is there: each is left out for longer and longer, and everybody else goes on.

use super::turn::Failure;
use crate::pace::Pace;
use muster_domain::model::ids::CampaignKey;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

const PACE: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_secs(1),
    at_most: Duration::from_mins(1),
};
/// Of a campaign that has had no turn for so long after its time (it is paused, or over) nothing is remembered.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// Whom, and until when.
#[derive(Default)]
pub(super) struct LeftOut(HashMap<CampaignKey, Run>);

/// Turns that failed, one after the other.
struct Run {
    failures: u32,
    until: Instant,
}

impl Run {
    fn lasts(&self) -> bool {
        self.until > Instant::now()
    }
}

impl LeftOut {
    /// Whether this one has no turn for now.
    pub(super) fn holds(&self, campaign: CampaignKey) -> bool {
        self.0.get(&campaign).is_some_and(Run::lasts)
    }

    /// A turn failed. What fails while the campaign is left out was under way before, and belongs to the same trouble.
    pub(super) fn failed(&mut self, campaign: CampaignKey, failure: &Failure) {
        if self.holds(campaign) {
            return;
        }
        let run = self.0.entry(campaign).or_insert(Run { failures: 0, until: Instant::now() });
        run.failures = run.failures.saturating_add(1);
        run.until = Instant::now() + PACE.after_failures(run.failures);
        if run.failures == 1 {
            let campaign = campaign.campaign.0;
            tracing::error!(
                campaign,
                error = failure as &dyn std::error::Error,
                "a campaign's turn failed; its mail waits"
            );
        }
    }

    /// A turn succeeded. One that was under way when another failed says nothing of what failed.
    pub(super) fn succeeded(&mut self, campaign: CampaignKey) {
        if self.holds(campaign) {
            return;
        }
        if let Some(Run { failures, .. }) = self.0.remove(&campaign) {
            tracing::info!(campaign = campaign.campaign.0, failures, "a campaign's mail goes on");
        }
    }

    /// Keeps no more than there is to know.
    pub(super) fn forget(&mut self) {
        self.0.retain(|_, run| run.until.elapsed() < FORGOTTEN_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::tests::heard;
    use muster_domain::model::ids::{CampaignNo, TenantNo};
    use muster_domain::ports::store::StoreError;
    use tokio::time::sleep;

    fn campaign(number: i32) -> CampaignKey {
        CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(number) }
    }

    fn corrupt() -> Failure {
        Failure::Store(StoreError::Corrupt { table: "outbox", column: "step", id: "7".to_owned() })
    }

    /// How long the campaign is left out from now on.
    async fn left_out(campaigns: &LeftOut, campaign: CampaignKey) -> Duration {
        let begun = Instant::now();
        while campaigns.holds(campaign) {
            sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_on_failing_is_left_out_for_longer_and_longer_and_no_other_is() {
        let mut campaigns = LeftOut::default();
        for (failures, longest) in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs).into_iter().enumerate() {
            campaigns.failed(campaign(1), &corrupt());
            campaigns.failed(campaign(1), &corrupt());
            assert!(!campaigns.holds(campaign(2)));
            let rest = left_out(&campaigns, campaign(1)).await;
            assert!(rest >= longest / 2 && rest <= longest, "{failures}: {rest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_succeeds_ends_it_unless_it_was_under_way_before() {
        let mut campaigns = LeftOut::default();
        for _ in 0..2 {
            campaigns.failed(campaign(1), &corrupt());
            left_out(&campaigns, campaign(1)).await;
        }
        campaigns.failed(campaign(1), &corrupt());
        campaigns.succeeded(campaign(1));
        assert!(left_out(&campaigns, campaign(1)).await >= Duration::from_secs(2), "the third failure in a row");
        campaigns.succeeded(campaign(1));
        campaigns.failed(campaign(1), &corrupt());
        assert!(left_out(&campaigns, campaign(1)).await <= Duration::from_secs(1), "the first again");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_no_turns_any_more_is_forgotten_and_not_before() {
        let mut campaigns = LeftOut::default();
        campaigns.failed(campaign(1), &corrupt());
        sleep(FORGOTTEN_AFTER).await;
        campaigns.forget();
        assert_eq!(campaigns.0.len(), 1);
        sleep(Duration::from_secs(1)).await;
        campaigns.forget();
        assert_eq!(campaigns.0.len(), 0);
    }

    #[test]
    fn a_run_of_failures_is_said_once_by_its_campaigns_number_and_its_end() {
        let (lines, _) = heard(async {
            let mut campaigns = LeftOut::default();
            for _ in 0..2 {
                for _ in 0..5 {
                    campaigns.failed(campaign(41), &corrupt());
                    left_out(&campaigns, campaign(41)).await;
                }
                campaigns.succeeded(campaign(41));
                campaigns.succeeded(campaign(41));
            }
        });
        let levels: Vec<&str> = lines.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(levels, ["ERROR", "INFO", "ERROR", "INFO"], "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("campaign=41")), "{lines:?}");
        assert!(lines[0].contains("corrupt row in outbox, column step: 7"), "{lines:?}");
    }
}
