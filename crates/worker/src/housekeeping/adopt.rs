//! Settling what dead processes left in their journals, before their leases run out.

use crate::outcomes;
use muster_domain::model::delivery::{Attempt, RetryPolicy, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{DeliveryStore, Finished, RecordReport};
use muster_domain::ports::store::StoreError;
use muster_domain::ports::transport::{JournalArchive, Orphan, Phase};
use std::collections::BTreeMap;

/// Why a journal was not settled; it stays, and is adopted again.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The journal cannot be read or deleted.
    #[error("a journal cannot be adopted")]
    Journal(#[from] std::io::Error),
    /// The database did not take what it says.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What adopting came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdoptReport {
    /// Journals settled.
    pub journals: usize,
    /// Attempts in them.
    pub orphans: usize,
    /// What became of these.
    pub recorded: RecordReport,
    /// Campaigns in which enrollments closed.
    pub closed: Vec<CampaignKey>,
}

/// Adopts every journal that nobody holds. An attempt that never came to the final dot is pending again; one whose reply
/// was read ends as it said; only one between the two is in doubt. Journals are deleted after all of that is in the
/// database; doing it twice changes nothing.
pub async fn adopt(
    archive: &dyn JournalArchive,
    store: &dyn DeliveryStore,
    policy: &RetryPolicy,
) -> Result<AdoptReport, AdoptError> {
    let mut report = AdoptReport::default();
    while let Some(journal) = archive.adopt().await? {
        let orphans = journal.orphans();
        for (campaign, estate) in sort(&orphans) {
            let mut recorded = store.give_back(campaign, &estate.unsent).await?;
            recorded.add(store.record(campaign, &estate.finished, policy).await?);
            outcomes::tell_doubts(&estate.finished);
            outcomes::count(recorded);
            report.recorded.add(recorded);
            if recorded.closed > 0 {
                report.closed.push(campaign);
            }
        }
        journal.discard()?;
        report.journals += 1;
        report.orphans += orphans.len();
        tracing::info!(orphans = orphans.len(), "a journal was adopted");
    }
    Ok(report)
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
mod tests {
    use super::*;
    use crate::outcomes::tests::{heard, says_doubt};
    use muster_domain::model::delivery::{DeliveryKey, Epoch};
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
    use muster_domain::ports::delivery::MockDeliveryStore;
    use muster_domain::ports::transport::{AdoptedJournal, MockAdoptedJournal, MockJournalArchive};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn attempt(contact: i64) -> Attempt {
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
        store.expect_give_back().returning(|_, _| Err(StoreError::Conflict));
        let error = adopt(&archive(&discarded), &store, &RetryPolicy::default()).await.unwrap_err();
        assert!(matches!(error, AdoptError::Store(StoreError::Conflict)));
        assert!(!discarded.load(Ordering::SeqCst));
    }
}
