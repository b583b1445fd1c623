//! Taking in what recipients do: requests that come at the same time are written in one transaction, and each is
//! answered when its own is stored.
//!
//! While storage is away visits wait, in a queue that has an end, and are written when it is back; whoever asks is told
//! after a while that it is not stored yet. So nothing is lost that was acknowledged, and little that was not.

use chrono::TimeDelta;
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::{Store, StoreError, StoreResult, in_tx};
use muster_domain::usecases::record_engagement::{Visit, record_engagement, workspace_of};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

/// Visits that wait at most; a few hundred octets each.
const QUEUE: usize = 10_000;
/// Visits in one transaction at most.
const BATCH: usize = 500;
/// Transactions at the same time: one fills while the other is written.
const WRITERS: usize = 2;
/// How long a request waits to be stored. A restart of the database takes less.
const PATIENCE: Duration = Duration::from_secs(10);
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
            tokio::spawn(write(Arc::clone(store), Arc::clone(&incoming)));
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

async fn write(store: Arc<dyn Store>, incoming: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
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
            keep_all(store.as_ref(), tenant, visits).await;
        }
    }
}

/// Stores visits, however long storage is away. What storage refuses is tried one by one, so that a single one that
/// cannot be stored is all that is lost.
async fn keep_all(store: &dyn Store, tenant: TenantNo, visits: Vec<Waiting>) {
    match try_until_there(store, tenant, &visits).await {
        Ok(()) => visits.into_iter().for_each(told),
        Err(error) if visits.len() == 1 => tracing::error!(%error, "a visit cannot be stored"),
        Err(_) => {
            for visit in visits {
                match try_until_there(store, tenant, std::slice::from_ref(&visit)).await {
                    Ok(()) => told(visit),
                    Err(error) => tracing::error!(%error, "a visit cannot be stored"),
                }
            }
        }
    }
}

fn told(waiting: Waiting) {
    // Whoever asked may be gone.
    let _ = waiting.stored.send(());
}

async fn try_until_there(store: &dyn Store, tenant: TenantNo, visits: &[Waiting]) -> StoreResult<()> {
    loop {
        match persist(store, tenant, visits).await {
            Err(StoreError::Unavailable(_)) => sleep(REST).await,
            Err(StoreError::Conflict) => {}
            told => return told,
        }
    }
}

async fn persist(store: &dyn Store, tenant: TenantNo, visits: &[Waiting]) -> StoreResult<()> {
    let told = |waiting: &Waiting| {
        let ago = TimeDelta::from_std(waiting.since.elapsed()).unwrap_or_default();
        (waiting.visit, ago)
    };
    in_tx(store, workspace_of(tenant), async |tx| {
        let visits: Vec<_> = visits.iter().map(told).collect();
        record_engagement(tx, &visits).await.map(drop)
    })
    .await
}
