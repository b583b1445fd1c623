//! Sessions with the mail server, as many as there may be and no more, and for each tenant no more than its share.

use super::alone::Alone;
use futures::future::join_all;
use muster_domain::model::fairness::Shares;
use muster_domain::model::ids::{CampaignKey, TenantNo};
use muster_domain::ports::transport::{MailSession, MailTransport, TransportError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Sessions come free one by one. A begin waits so long at most for more than the first: beginning ten mails together costs
/// the database little more than beginning one.
const GATHER: Duration = Duration::from_millis(1);

/// Hands out sessions.
pub(super) struct Sessions {
    transport: Arc<dyn MailTransport>,
    free: Arc<Semaphore>,
    places: Arc<Places>,
    begins: Alone,
}

/// Who has them, and who wants them.
struct Places {
    state: Mutex<State>,
    /// Somebody gave one back, or wants no more: there may be room for others.
    changed: Notify,
}

struct State {
    shares: Shares,
    /// Tenants that have mail due.
    due: BTreeSet<TenantNo>,
    /// Tenants whose turns wait for sessions.
    waiting: BTreeMap<TenantNo, Waiting>,
}

#[derive(Default)]
struct Waiting {
    turns: usize,
    /// Of them, those whose tenant has its share, which is not everything.
    held_up: usize,
}

/// Sessions for one begin.
pub(super) struct Hand {
    pub(super) sessions: Vec<Lent>,
    /// To be kept while it lasts: see [`Alone`].
    pub(super) alone: Option<OwnedMutexGuard<()>>,
}

/// A session, and the right to have it.
pub(super) struct Lent {
    /// Dropped first: the connection is back before somebody else may take one.
    pub(super) session: Box<dyn MailSession>,
    _place: Place,
}

/// The right of a tenant to one of the sessions.
struct Place {
    tenant: TenantNo,
    places: Arc<Places>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.state().shares.give_back(self.tenant);
        self.places.changed.notify_waiters();
    }
}

impl Sessions {
    pub(super) fn of(transport: Arc<dyn MailTransport>) -> Self {
        let count = transport.sessions_at_most().max(1);
        let state = State { shares: Shares::of(count), due: BTreeSet::new(), waiting: BTreeMap::new() };
        let places = Places { state: Mutex::new(state), changed: Notify::new() };
        let (free, begins) = (Arc::new(Semaphore::new(count)), Alone::default());
        Self { transport, free, places: Arc::new(places), begins }
    }

    /// Who has mail due, as far as is known: these want sessions.
    pub(super) fn wanted_by(&self, tenants: impl Iterator<Item = TenantNo>) {
        self.places.state().due = tenants.collect();
        self.places.changed.notify_waiters();
    }

    /// Of each tenant the turns that wait although there are places, because these are the share of others.
    pub(super) fn held_up(&self) -> BTreeMap<TenantNo, usize> {
        let held_up = |(tenant, waiting): (&TenantNo, &Waiting)| (*tenant, waiting.held_up);
        self.places.state().waiting.iter().map(held_up).filter(|(_, turns)| *turns > 0).collect()
    }

    /// Lets a begin of `campaign` under way go first, waits for one free place, takes up to `wanted` for its tenant, and opens
    /// a session for each. None when `stop` comes first; else at least one session, or why there is none.
    pub(super) async fn take(
        &self,
        campaign: CampaignKey,
        wanted: usize,
        stop: &CancellationToken,
    ) -> Option<Result<Hand, TransportError>> {
        let mut waits = Waits::begin(&self.places, campaign.tenant);
        let alone = self.begins.within(campaign).await;
        let first = stop.run_until_cancelled(self.first(&mut waits)).await?;
        let taken = self.gather(first, wanted).await;
        drop(waits);
        let opened = join_all(
            taken
                .into_iter()
                .map(|place| async { self.transport.session().await.map(|session| Lent { session, _place: place }) }),
        )
        .await;
        let mut trouble = None;
        let sessions: Vec<Lent> =
            opened.into_iter().filter_map(|one| one.map_err(|error| trouble = Some(error)).ok()).collect();
        Some(match trouble {
            Some(error) if sessions.is_empty() => Err(error),
            _ => Ok(Hand { sessions, alone }),
        })
    }

    /// The first place that is free and within the tenant's share.
    async fn first(&self, waits: &mut Waits<'_>) -> Place {
        loop {
            self.places.room_for(waits).await;
            // Never closed while it is here.
            let Ok(permit) = Arc::clone(&self.free).acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            if let Some(place) = self.places.place(waits.tenant, permit) {
                return place;
            }
        }
    }

    /// What else is free, or comes free soon, up to `wanted` in all.
    async fn gather(&self, first: Place, wanted: usize) -> Vec<Place> {
        let tenant = first.tenant;
        let until = Instant::now() + GATHER;
        let mut taken = vec![first];
        while taken.len() < wanted && self.places.state().room(tenant) > 0 {
            let Ok(Ok(permit)) = timeout_at(until, Arc::clone(&self.free).acquire_owned()).await else { break };
            let Some(place) = self.places.place(tenant, permit) else { break };
            taken.push(place);
        }
        taken
    }
}

impl Places {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `tenant` a place, if that is within its share.
    fn place(self: &Arc<Self>, tenant: TenantNo, permit: OwnedSemaphorePermit) -> Option<Place> {
        let mut state = self.state();
        if state.room(tenant) == 0 {
            return None;
        }
        state.shares.take(tenant);
        Some(Place { tenant, places: Arc::clone(self), _permit: permit })
    }

    /// Waits until the tenant holds less than its share.
    async fn room_for(&self, waits: &mut Waits<'_>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let (room, all) = {
                let state = self.state();
                (state.room(waits.tenant), state.shares.holds_all(waits.tenant))
            };
            // Who holds all there is waits for itself and nobody else.
            waits.hold_up(room == 0 && !all);
            if room > 0 {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    fn room(&self, tenant: TenantNo) -> usize {
        let wants = |other: TenantNo| self.due.contains(&other) || self.waiting.contains_key(&other);
        let elsewhere = self.waiting.keys().filter(|other| !self.due.contains(other)).count();
        let others = self.due.len() + elsewhere - usize::from(wants(tenant));
        self.shares.room(tenant, others, wants)
    }
}

/// A turn that waits for sessions.
struct Waits<'a> {
    places: &'a Places,
    tenant: TenantNo,
    /// It waits because its tenant has its share.
    held_up: bool,
}

impl<'a> Waits<'a> {
    fn begin(places: &'a Places, tenant: TenantNo) -> Self {
        places.state().waiting.entry(tenant).or_default().turns += 1;
        Self { places, tenant, held_up: false }
    }

    fn hold_up(&mut self, held_up: bool) {
        if held_up != self.held_up {
            self.held_up = held_up;
            let mut state = self.places.state();
            let waiting = state.waiting.entry(self.tenant).or_default();
            waiting.held_up = if held_up { waiting.held_up + 1 } else { waiting.held_up - 1 };
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.hold_up(false);
        let mut state = self.places.state();
        if let Some(waiting) = state.waiting.get_mut(&self.tenant) {
            waiting.turns -= 1;
            if waiting.turns == 0 {
                state.waiting.remove(&self.tenant);
                drop(state);
                self.places.changed.notify_waiters();
            }
        }
    }
}
