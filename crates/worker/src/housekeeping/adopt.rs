//! Settling what dead processes left in their journals, before their leases run out.

use crate::fault::storage_is_away;
use crate::outcomes;
use muster_domain::model::delivery::{Attempt, RetryPolicy, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{DeliveryStore, Finished, RecordReport};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::ports::transport::{JournalArchive, Orphan, Phase};
use std::collections::BTreeMap;

/// Why a journal was not settled; it stays, and is adopted again.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The journal cannot be read or deleted.
    #[error("a journal cannot be adopted")]
    Journal(#[from] std::io::Error),
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What adopting came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdoptReport {
    /// Journals settled.
    pub journals: usize,
    /// Journals of which the database refused something.
    pub kept: usize,
    /// Attempts in them.
    pub orphans: usize,
    /// What became of these.
    pub recorded: RecordReport,
    /// Campaigns in which enrollments closed.
    pub closed: Vec<CampaignKey>,
}

/// Adopts every journal that nobody holds. An attempt that never came to the final dot is pending again; one whose reply
/// was read ends as it said; only one between the two is in doubt. Journals are deleted after all of that is in the
/// database; doing it twice changes nothing. One of which the database refuses something is kept for the next round, and stops neither
/// other journals nor what is done after them.
pub async fn adopt(
    archive: &dyn JournalArchive,
    store: &dyn DeliveryStore,
    policy: &RetryPolicy,
) -> Result<AdoptReport, AdoptError> {
    let mut report = AdoptReport::default();
    // Held until the end of the round, or they would be adopted again at once.
    let mut refused = Vec::new();
    while let Some(journal) = archive.adopt().await? {
        let orphans = journal.orphans();
        let mut settled = true;
        for (campaign, estate) in sort(&orphans) {
            match settle(store, campaign, &estate, policy).await {
                Ok(recorded) => report.add(campaign, recorded),
                Err(error) if storage_is_away(&error) => return Err(error.into()),
                Err(error) => {
                    settled = false;
                    let (tenant, campaign) = (campaign.tenant.0, campaign.campaign.0);
                    tracing::error!(tenant, campaign, %error, "what a journal says of a campaign cannot be stored; it is kept");
                }
            }
        }
        if !settled {
            refused.push(journal);
            continue;
        }
        journal.discard()?;
        report.journals += 1;
        report.orphans += orphans.len();
        tracing::info!(orphans = orphans.len(), "a journal was adopted");
    }
    report.kept = refused.len();
    Ok(report)
}

/// Stores what a journal says of one campaign.
async fn settle(
    store: &dyn DeliveryStore,
    campaign: CampaignKey,
    estate: &Estate,
    policy: &RetryPolicy,
) -> StoreResult<RecordReport> {
    let mut recorded = store.give_back(campaign, &estate.unsent).await?;
    recorded.add(store.record(campaign, &estate.finished, policy).await?);
    outcomes::tell_doubts(&estate.finished);
    outcomes::count(recorded);
    Ok(recorded)
}

impl AdoptReport {
    fn add(&mut self, campaign: CampaignKey, recorded: RecordReport) {
        self.recorded.add(recorded);
        if recorded.closed > 0 {
            self.closed.push(campaign);
        }
    }
}

/// What was left of one campaign.
#[derive(Debug, Default, PartialEq, Eq)]
struct Estate {
    unsent: Vec<Attempt>,
    finished: Vec<Finished>,
}

fn sort(orphans: &[Orphan]) -> BTreeMap<CampaignKey, Estate> {
    let mut estates: BTreeMap<CampaignKey, Estate> = BTreeMap::new();
    for Orphan { attempt, phase } in orphans {
        let estate = estates.entry(attempt.key.campaign_key()).or_default();
        let outcome = match phase {
            Phase::Begun => {
                estate.unsent.push(*attempt);
                continue;
            }
            Phase::Recorded => continue,
            Phase::Dot => {
                SendOutcome::InDoubt { reason: "its worker died after the final dot, before the reply".to_owned() }
            }
            Phase::Replied { outcome } => outcome.clone(),
        };
        estate.finished.push(Finished { attempt: *attempt, outcome });
    }
    estates
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::outcomes::tests::{heard, says_doubt};
    use muster_domain::model::delivery::{DeliveryKey, Epoch};
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
    use muster_domain::ports::delivery::MockDeliveryStore;
    use muster_domain::ports::transport::{AdoptedJournal, MockAdoptedJournal, MockJournalArchive};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(in crate::housekeeping) fn attempt(contact: i64) -> Attempt {
        let key = DeliveryKey {
            tenant: TenantNo(1),
            campaign: CampaignNo(2),
            contact: ContactNo(contact),
            step: StepNo(1),
            pass: Pass(1),
        };
        Attempt { key, epoch: Epoch(3) }
    }

    fn archive(discarded: &Arc<AtomicBool>) -> MockJournalArchive {
        let sent = SendOutcome::Sent { reply: "250 ok".to_owned() };
        let phases = [Phase::Begun, Phase::Dot, Phase::Replied { outcome: sent }];
        let orphans: Vec<Orphan> =
            (1..).zip(phases).map(|(contact, phase)| Orphan { attempt: attempt(contact), phase }).collect();
        let mut journal = MockAdoptedJournal::new();
        journal.expect_orphans().return_const(orphans);
        let discarded = Arc::clone(discarded);
        journal.expect_discard().returning(move || {
            discarded.store(true, Ordering::SeqCst);
            Ok(())
        });
        let mut left = Some(Box::new(journal) as Box<dyn AdoptedJournal>);
        let mut archive = MockJournalArchive::new();
        archive.expect_adopt().returning(move || Ok(left.take()));
        archive
    }

    #[test]
    fn what_never_came_to_the_dot_is_given_back_and_what_was_answered_is_recorded() {
        let discarded = Arc::default();
        let mut store = MockDeliveryStore::new();
        store
            .expect_give_back()
            .withf(|_, attempts| attempts == [attempt(1)])
            .once()
            .returning(|_, _| Ok(RecordReport { again: 1, ..RecordReport::default() }));
        store
            .expect_record()
            .withf(|_, finished, _| {
                let [dot, replied] = finished else { return false };
                (dot.attempt, replied.attempt) == (attempt(2), attempt(3))
                    && matches!(dot.outcome, SendOutcome::InDoubt { .. })
                    && matches!(replied.outcome, SendOutcome::Sent { .. })
            })
            .once()
            .returning(|_, _, _| Ok(RecordReport { sent: 1, in_doubt: 1, closed: 2, ..RecordReport::default() }));
        let (lines, page) = heard(async {
            let report = adopt(&archive(&discarded), &store, &RetryPolicy::default()).await.unwrap();
            assert_eq!((report.journals, report.orphans, report.closed.len()), (1, 3, 1));
        });
        assert!(discarded.load(Ordering::SeqCst));
        assert!(says_doubt(&lines, "1/2/2/1/1"), "{lines:?}");
        assert!(page.contains("muster_deliveries_total{outcome=\"in_doubt\"} 1"), "{page}");
    }

    #[tokio::test]
    async fn a_journal_is_kept_until_the_database_has_it() {
        let discarded = Arc::default();
        let mut store = MockDeliveryStore::new();
        store.expect_give_back().returning(|_, _| Err(StoreError::Unavailable("away".into())));
        let error = adopt(&archive(&discarded), &store, &RetryPolicy::default()).await.unwrap_err();
        assert!(matches!(error, AdoptError::Store(StoreError::Unavailable(_))));
        assert!(!discarded.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_journal_that_is_refused_is_kept_and_stops_no_other() {
        let (first, second) = (Arc::default(), Arc::default());
        let journals = [archive(&first), archive(&second)];
        let mut archive = MockJournalArchive::new();
        let mut left = Vec::new();
        for journal in journals {
            left.push(journal.adopt().await.unwrap());
        }
        let mut left = left.into_iter();
        archive.expect_adopt().returning(move || Ok(left.next().flatten()));
        let mut store = MockDeliveryStore::new();
        let mut refusals = [StoreError::Internal("no such campaign".into())].into_iter();
        store
            .expect_give_back()
            .times(2)
            .returning(move |_, _| refusals.next().map_or(Ok(RecordReport::default()), Err));
        store.expect_record().once().returning(|_, _, _| Ok(RecordReport::default()));
        let report = adopt(&archive, &store, &RetryPolicy::default()).await.unwrap();
        assert_eq!((report.journals, report.kept), (1, 1));
        assert!(!first.load(Ordering::SeqCst) && second.load(Ordering::SeqCst));
    }
}
