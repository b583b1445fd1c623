//! The right to have a session: how many there are, who has them, and who wants them.

use super::alone::Seat;
use muster_domain::model::fairness::Shares;
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// As many places as there may be sessions, and for each tenant no more than its share.
pub(super) struct Places {
    free: Arc<Semaphore>,
    count: usize,
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
    /// How many turns of each campaign.
    turns: BTreeMap<CampaignNo, usize>,
    /// Of them, those whose tenant has its share, which is not everything.
    held_up: usize,
}

/// The right of a tenant to one of the sessions.
pub(super) struct Place {
    tenant: TenantNo,
    places: Arc<Places>,
    /// In the count of the campaign that has it. Dropped before the permit, so that none counts as that and as free.
    seat: Option<Seat>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn tenant(&self) -> TenantNo {
        self.tenant
    }

    /// The same, counted among those of a campaign.
    pub(super) fn seated(mut self, seat: Option<Seat>) -> Self {
        self.seat = seat;
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.state().shares.give_back(self.tenant);
        self.places.changed.notify_waiters();
    }
}

impl Places {
    /// So many places, all of them free.
    pub(super) fn of(count: usize) -> Arc<Self> {
        let state = State { shares: Shares::of(count), due: BTreeSet::new(), waiting: BTreeMap::new() };
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count)),
            count,
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Who has mail due, as far as is known: these want sessions.
    pub(super) fn wanted_by(&self, tenants: impl Iterator<Item = TenantNo>) {
        self.state().due = tenants.collect();
        self.changed.notify_waiters();
    }

    /// Of each tenant the turns that wait although there are places, because these are the share of others.
    pub(super) fn held_up(&self) -> BTreeMap<TenantNo, usize> {
        let held_up = |(tenant, waiting): (&TenantNo, &Waiting)| (*tenant, waiting.held_up);
        self.state().waiting.iter().map(held_up).filter(|(_, turns)| *turns > 0).collect()
    }

    /// Whether no turn but those of this campaign waits for one that it may have.
    pub(super) fn nobody_else_waits(&self, CampaignKey { tenant, campaign }: CampaignKey) -> bool {
        let state = self.state();
        let may_have_none = |(other, waiting): (&TenantNo, &Waiting)| {
            if *other == tenant {
                waiting.turns.keys().all(|other| *other == campaign)
            } else {
                state.room(*other) == 0
            }
        };
        state.waiting.iter().all(may_have_none)
    }

    /// How many there are in all.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// So many `tenant` has.
    pub(super) fn held(&self, tenant: TenantNo) -> usize {
        self.state().shares.held(tenant)
    }

    /// So many `tenant` may have.
    pub(super) fn share(&self, tenant: TenantNo) -> usize {
        self.state().share(tenant)
    }

    /// So many are free now, within the share of `tenant`.
    pub(super) fn free_within(&self, tenant: TenantNo) -> usize {
        self.state().room(tenant).min(self.free.available_permits())
    }

    /// A place that is free now, within the share of `tenant`.
    pub(super) fn free_now(self: &Arc<Self>, tenant: TenantNo) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok().and_then(|permit| self.place(tenant, permit))
    }

    /// Waits for the next that is free. `None` when that is beyond the share of `tenant`.
    pub(super) async fn next_free(self: &Arc<Self>, tenant: TenantNo) -> Option<Place> {
        match Arc::clone(&self.free).acquire_owned().await {
            Ok(permit) => self.place(tenant, permit),
            // Never closed while it is here.
            Err(_) => std::future::pending().await,
        }
    }

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
        Some(Place { tenant, places: Arc::clone(self), seat: None, _permit: permit })
    }

    /// Waits until the tenant holds less than its share.
    async fn room_for(&self, waits: &mut Waits) {
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
        self.shares.room(tenant, self.others_than(tenant), |other| self.wants(other))
    }

    fn share(&self, tenant: TenantNo) -> usize {
        self.shares.share(tenant, self.others_than(tenant), |other| self.wants(other))
    }

    fn wants(&self, tenant: TenantNo) -> bool {
        self.due.contains(&tenant) || self.waiting.contains_key(&tenant)
    }

    /// How many want some besides `tenant`.
    fn others_than(&self, tenant: TenantNo) -> usize {
        let elsewhere = self.waiting.keys().filter(|other| !self.due.contains(other)).count();
        self.due.len() + elsewhere - usize::from(self.wants(tenant))
    }
}

/// A turn that waits for sessions.
pub(super) struct Waits {
    places: Arc<Places>,
    tenant: TenantNo,
    campaign: CampaignNo,
    /// It waits because its tenant has its share.
    held_up: bool,
}

impl Waits {
    /// From here on, until it is dropped, the tenant of this campaign is among those who want some.
    pub(super) fn begin(places: &Arc<Places>, CampaignKey { tenant, campaign }: CampaignKey) -> Self {
        *places.state().waiting.entry(tenant).or_default().turns.entry(campaign).or_default() += 1;
        Self { places: Arc::clone(places), tenant, campaign, held_up: false }
    }

    /// The first place that is free and within the tenant's share.
    pub(super) async fn place(&mut self) -> Place {
        loop {
            Arc::clone(&self.places).room_for(self).await;
            if let Some(place) = self.places.next_free(self.tenant).await {
                return place;
            }
        }
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

impl Drop for Waits {
    fn drop(&mut self) {
        self.hold_up(false);
        let mut state = self.places.state();
        if let Some(waiting) = state.waiting.get_mut(&self.tenant) {
            if let Some(turns) = waiting.turns.get_mut(&self.campaign) {
                *turns -= 1;
            }
            waiting.turns.retain(|_, turns| *turns > 0);
            if waiting.turns.is_empty() {
                state.waiting.remove(&self.tenant);
                drop(state);
                self.places.changed.notify_waiters();
            }
        }
    }
}
