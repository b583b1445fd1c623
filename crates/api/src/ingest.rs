//! Taking in what recipients do: requests that come at the same time are written in one transaction, and each is
//! answered when its own is stored.
//!
//! While storage is away visits wait, in a queue that has an end, and are written when it is back; whoever asks is told
//! after a while that it is not stored yet. So nothing is lost that was acknowledged, and little that was not.

use chrono::TimeDelta;
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::{Store, StoreError, StoreResult, in_tx};
use muster_domain::usecases::record_engagement::{Visit, record_engagement, workspace_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// Visits that wait at most; a few hundred octets each.
const QUEUE: usize = 10_000;
/// Visits in one transaction at most.
const BATCH: usize = 500;
/// Transactions at the same time: one fills while the other is written.
const WRITERS: usize = 2;
/// How long a request waits to be stored. A restart of the database takes less.
const PATIENCE: Duration = Duration::from_secs(10);
/// After which time a visit is looked at again that may be too soon.
const AGAIN: Duration = Duration::from_millis(20);
/// How long to leave storage alone that is away.
const REST: Duration = Duration::from_millis(200);

/// The visit is not stored, at least not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotStored;

/// A visit on its way into storage.
struct Waiting {
    visit: Visit,
    since: Instant,
    stored: oneshot::Sender<()>,
}

/// Where requests hand in visits.
pub(crate) struct Ingest {
    queue: mpsc::Sender<Waiting>,
    /// Until the writers are started.
    incoming: StdMutex<Option<mpsc::Receiver<Waiting>>>,
}

impl Ingest {
    pub(crate) fn new() -> Self {
        let (queue, incoming) = mpsc::channel(QUEUE);
        Self { queue, incoming: StdMutex::new(Some(incoming)) }
    }

    /// Starts the writers on the runtime of the caller; once.
    pub(crate) fn start(&self, store: &Arc<dyn Store>) {
        let incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(incoming) = incoming.map(|incoming| Arc::new(Mutex::new(incoming))) else { return };
        for _ in 0..WRITERS {
            tokio::spawn(write(Arc::clone(store), Arc::clone(&incoming), self.queue.downgrade()));
        }
    }

    /// Returns when the visit is stored; after 10 seconds, or at once when too many wait, that it is not.
    pub(crate) async fn keep(&self, visit: Visit) -> Result<(), NotStored> {
        let (stored, told) = oneshot::channel();
        let waiting = Waiting { visit, since: Instant::now(), stored };
        self.queue.try_send(waiting).map_err(|_| NotStored)?;
        match timeout(PATIENCE, told).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotStored),
        }
    }
}

async fn write(store: Arc<dyn Store>, incoming: Arc<Mutex<mpsc::Receiver<Waiting>>>, again: mpsc::WeakSender<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if incoming.lock().await.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let mut tenants: BTreeMap<TenantNo, Vec<Waiting>> = BTreeMap::new();
        for waiting in batch.drain(..) {
            tenants.entry(waiting.visit.delivery.tenant).or_default().push(waiting);
        }
        for (tenant, visits) in tenants {
            let later = keep_all(store.as_ref(), tenant, visits).await;
            if !later.is_empty() {
                tokio::spawn(look_again(later, again.clone()));
            }
        }
    }
}

/// Hands visits in once more, a little later; whoever waits for them keeps the queue open.
async fn look_again(visits: Vec<Waiting>, again: mpsc::WeakSender<Waiting>) {
    sleep(AGAIN).await;
    let Some(queue) = again.upgrade() else { return };
    for visit in visits {
        // The writers end after the queue.
        let _ = queue.send(visit).await;
    }
}

/// Stores visits, however long storage is away, and gives back those that are to be handed in again. What storage refuses is tried
/// one by one, so that a single one that cannot be stored is all that is lost.
async fn keep_all(store: &dyn Store, tenant: TenantNo, visits: Vec<Waiting>) -> Vec<Waiting> {
    match try_until_there(store, tenant, &visits).await {
        Ok(later) => told(visits, &later),
        Err(error) if visits.len() == 1 => {
            tracing::error!(%error, "a visit cannot be stored");
            Vec::new()
        }
        Err(_) => {
            let mut again = Vec::new();
            for visit in visits {
                match try_until_there(store, tenant, std::slice::from_ref(&visit)).await {
                    Ok(later) => again.extend(told(vec![visit], &later)),
                    Err(error) => tracing::error!(%error, "a visit cannot be stored"),
                }
            }
            again
        }
    }
}

/// Says of all but these that they are stored.
fn told(visits: Vec<Waiting>, later: &BTreeSet<Uuid>) -> Vec<Waiting> {
    let (later, stored): (Vec<_>, Vec<_>) = visits.into_iter().partition(|waiting| later.contains(&waiting.visit.id));
    for waiting in stored {
        // Whoever asked may be gone.
        let _ = waiting.stored.send(());
    }
    later
}

/// Which are to be handed in again.
async fn try_until_there(store: &dyn Store, tenant: TenantNo, visits: &[Waiting]) -> StoreResult<BTreeSet<Uuid>> {
    loop {
        match persist(store, tenant, visits).await {
            Err(StoreError::Unavailable(_)) => sleep(REST).await,
            Err(StoreError::Conflict) => {}
            told => return told,
        }
    }
}

async fn persist(store: &dyn Store, tenant: TenantNo, visits: &[Waiting]) -> StoreResult<BTreeSet<Uuid>> {
    let told = |waiting: &Waiting| {
        let ago = TimeDelta::from_std(waiting.since.elapsed()).unwrap_or_default();
        (waiting.visit, ago)
    };
    in_tx(store, workspace_of(tenant), async |tx| {
        let visits: Vec<_> = visits.iter().map(told).collect();
        record_engagement(tx, &visits).await.map(|kept| kept.later)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use futures::join;
    use muster_domain::model::delivery::DeliveryKey;
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo};
    use muster_domain::ports::deliveries::HeldDeliveries;
    use muster_domain::ports::events::EventReport;
    use muster_domain::ports::store::{Tx, Workspace};
    use muster_domain::testing::MockUnit;
    use muster_domain::usecases::record_engagement::Place;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Storage in which contact 1's mail is under way for so many looks, and what it keeps, by contact.
    struct Shelf {
        looks: Arc<AtomicUsize>,
        kept: Arc<StdMutex<Vec<i64>>>,
    }

    #[async_trait]
    impl Store for Shelf {
        async fn begin(&self, _: Workspace) -> StoreResult<Tx> {
            let mut unit = MockUnit::default();
            let (looks, kept) = (self.looks.clone(), self.kept.clone());
            unit.deliveries.expect_hold().returning(move |_| {
                let left = looks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |looks| looks.checked_sub(1));
                let under_way = if left.is_ok() { [delivery(1)].into() } else { BTreeSet::new() };
                Ok(HeldDeliveries { under_way, ..HeldDeliveries::default() })
            });
            unit.events.expect_record().returning(move |events| {
                kept.lock().unwrap().extend(events.iter().map(|event| event.delivery.contact.0));
                Ok(EventReport::default())
            });
            Ok(unit.into_tx())
        }
    }

    fn delivery(contact: i64) -> DeliveryKey {
        let (tenant, campaign, contact) = (TenantNo(1), CampaignNo(2), ContactNo(contact));
        DeliveryKey { tenant, campaign, contact, step: StepNo(4), pass: Pass(5) }
    }

    /// How long visits to the mails of contacts 1 and 2 take to be kept, which come at the same time.
    async fn kept(looks: usize) -> (Duration, Duration) {
        let shelf = Shelf { looks: Arc::new(looks.into()), kept: Arc::default() };
        let told = Arc::clone(&shelf.kept);
        let ingest = Ingest::new();
        ingest.start(&(Arc::new(shelf) as Arc<dyn Store>));
        let visit = async |contact| {
            let (delivery, begun) = (delivery(contact), Instant::now());
            let visit = Visit { id: Uuid::now_v7(), delivery, place: Place::Image, machine: None };
            assert_eq!(ingest.keep(visit).await, Ok(()));
            begun.elapsed()
        };
        let took = join!(visit(1), visit(2));
        let mut told = told.lock().unwrap().clone();
        told.sort_unstable();
        assert_eq!(told, [1, 2], "each once");
        took
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_that_may_be_too_soon_waits_until_it_is_not_and_no_other_with_it() {
        let (at_once, a_little) = (Duration::ZERO, Duration::from_millis(2));
        let (first, second) = kept(3).await;
        assert!(first >= AGAIN * 3 && first <= (AGAIN + a_little) * 3, "{first:?}");
        assert_eq!(second, at_once);
        assert_eq!(kept(0).await, (at_once, at_once));
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_to_a_mail_that_goes_on_being_sent_is_kept_all_the_same() {
        let (first, _) = kept(usize::MAX).await;
        assert!(first <= Duration::from_millis(300), "{first:?}");
    }
}
