//! Storage of deliveries: points before and after each of its verbs, and the bugs that use them wrongly.

use async_trait::async_trait;
use muster_adapters::faults::{Bug, point};
use muster_domain::model::delivery::{Attempt, RetryPolicy, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{
    BeginReport, Beginning, ClaimReport, DeliveryStore, DynReservations, Finished, RecordReport, RenewReport,
    Reservations,
};
use muster_domain::ports::store::StoreResult;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Faulty {
    inner: Arc<dyn DeliveryStore>,
    bug: Option<Bug>,
    /// What was begun without being written down, for [`Bug::SendThenMark`].
    unmarked: Mutex<HashMap<Attempt, Beginning>>,
}

/// Grants whatever is asked, without a mail server.
struct Granted;

#[async_trait]
impl Reservations for Granted {
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        attempts.to_vec()
    }
}

impl Faulty {
    pub(super) fn new(inner: Arc<dyn DeliveryStore>, bug: Option<Bug>) -> Self {
        Self { inner, bug, unmarked: Mutex::default() }
    }

    async fn count_as_sent(&self, campaign: CampaignKey, claimed: &ClaimReport) -> StoreResult<()> {
        let begin = claimed.letters.iter().map(|letter| Beginning {
            attempt: letter.claimed.attempt,
            recipient: letter.recipient.clone(),
            first: letter.claimed.attempts == 0,
        });
        let report = self.inner.begin(campaign, &begin.collect::<Vec<_>>(), &mut Granted).await?;
        let sent = |attempt| Finished { attempt, outcome: SendOutcome::Sent { reply: "250 fetched".to_owned() } };
        let finished: Vec<_> = report.begun.into_iter().map(sent).collect();
        self.inner.record(campaign, &finished, &RetryPolicy::default()).await?;
        Ok(())
    }

    /// Begins in memory alone.
    async fn begin_unmarked(&self, batch: &[Beginning], reservations: &mut DynReservations) -> BeginReport {
        let attempts: Vec<Attempt> = batch.iter().map(|one| one.attempt).collect();
        let begun = reservations.reserve(&attempts).await;
        let mut unmarked = self.unmarked.lock().unwrap_or_else(PoisonError::into_inner);
        unmarked.extend(batch.iter().map(|one| (one.attempt, one.clone())));
        BeginReport { begun, ..BeginReport::default() }
    }

    /// Begins, and whatever was not let begin for the reason that the bug forgets, too.
    async fn begin_anyway(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport> {
        let mut report = self.inner.begin(campaign, batch, reservations).await?;
        let refused: Vec<Attempt> = if self.bug == Some(Bug::PauseAsAFlag) {
            std::mem::take(&mut report.returned)
        } else {
            let seen = |attempt: &Attempt| report.begun.contains(attempt) || report.returned.contains(attempt);
            batch.iter().map(|one| one.attempt).filter(|attempt| !seen(attempt)).collect()
        };
        if !refused.is_empty() {
            report.begun.extend(reservations.reserve(&refused).await);
        }
        Ok(report)
    }

    async fn mark(&self, campaign: CampaignKey, finished: &[Finished]) -> StoreResult<()> {
        let begun: Vec<Beginning> = {
            let mut unmarked = self.unmarked.lock().unwrap_or_else(PoisonError::into_inner);
            finished.iter().filter_map(|one| unmarked.remove(&one.attempt)).collect()
        };
        self.inner.begin(campaign, &begun, &mut Granted).await?;
        Ok(())
    }
}

#[async_trait]
impl DeliveryStore for Faulty {
    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>> {
        self.inner.due_campaigns().await
    }

    async fn claim(&self, campaign: CampaignKey, limit: usize) -> StoreResult<ClaimReport> {
        let report = self.inner.claim(campaign, limit).await?;
        if !report.letters.is_empty() {
            if self.bug == Some(Bug::CheckpointAtFetch) {
                self.count_as_sent(campaign, &report).await?;
            }
            point("C0");
        }
        Ok(report)
    }

    async fn begin(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport> {
        point("C1");
        let report = match self.bug {
            Some(Bug::CheckpointAtFetch | Bug::SendThenMark) => self.begin_unmarked(batch, reservations).await,
            Some(Bug::PauseAsAFlag | Bug::UnsubscribeCheckedAtClaim) => {
                self.begin_anyway(campaign, batch, reservations).await?
            }
            _ => self.inner.begin(campaign, batch, reservations).await?,
        };
        if !report.begun.is_empty() {
            point("C4");
        }
        Ok(report)
    }

    async fn record(
        &self,
        campaign: CampaignKey,
        finished: &[Finished],
        policy: &RetryPolicy,
    ) -> StoreResult<RecordReport> {
        if self.bug == Some(Bug::SendThenMark) {
            self.mark(campaign, finished).await?;
        }
        let report = self.inner.record(campaign, finished, policy).await?;
        point("C9");
        Ok(report)
    }

    async fn give_back(&self, campaign: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport> {
        self.inner.give_back(campaign, attempts).await
    }

    async fn renew(&self, attempts: &[Attempt]) -> RenewReport {
        self.inner.renew(attempts).await
    }
}
