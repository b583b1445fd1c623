//! Sessions with the mail server, as many as there may be and no more, and for each tenant no more than its share.

use super::alone::{AT_MOST as AT_THE_DOOR, Alone, Within};
use super::opening::open;
use super::patience::Patience;
use super::places::{Place, Places, Waits};
use muster_domain::model::ids::{CampaignKey, TenantNo};
use muster_domain::ports::transport::{MailSession, MailTransport, TransportError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Sessions come free one by one. A begin waits so long at most for more than the first: beginning ten mails together costs
/// the database little more than beginning one.
const GATHER: Duration = Duration::from_millis(1);

/// A begin that has its locks waits so long at most for the first of the sessions that it expects.
const ARRIVE: Duration = Duration::from_millis(20);
/// So long it takes a begin to have what it expects, from its locks on: the one before it, the first session, and the others.
pub(super) const LONGEST_TO_SIT: Duration = AT_THE_DOOR.saturating_add(ARRIVE).saturating_add(GATHER);
/// Where there are more sessions, what is claimed together does not fill them, and there is work enough for the processors while a commit
/// is on its way to the disk.
const FEW: usize = 50;

/// Where there are more, a begin of one mail for each is no dearer than one of several, and the others go on meanwhile.
const FEW_ENOUGH_FOR_ROUNDS: usize = 25;

/// Hands out sessions.
pub(super) struct Sessions {
    transport: Arc<dyn MailTransport>,
    places: Arc<Places>,
    pub(super) begins: Alone,
    patience: Patience,
}

/// Sessions for one begin.
pub(super) struct Hand {
    pub(super) sessions: Vec<Lent>,
    /// Those that are expected by the time that it has its locks.
    pub(super) expected: Option<Expected>,
    /// Mails for each session, at most.
    pub(super) for_each: usize,
    /// To be kept while it lasts: see [`Alone`].
    pub(super) alone: Option<Within>,
}

impl Hand {
    /// For so many mails at once.
    pub(super) fn seats(&self) -> usize {
        self.expected.as_ref().map_or(self.sessions.len(), |expected| expected.sessions)
    }

    /// For so many of those that wait: as many for each session, in whole rounds.
    pub(super) fn fits(&self, waiting: usize) -> usize {
        let seats = self.seats();
        let rounds = waiting.checked_div(seats).unwrap_or(0);
        seats * rounds.clamp(1, self.for_each)
    }

    /// Sessions that are here.
    fn of(sessions: Vec<Lent>, alone: Option<Within>) -> Self {
        Self { sessions, expected: None, for_each: 1, alone }
    }
}

/// Sessions that a begin expects: see [`Sessions::arrived`].
pub(super) struct Expected {
    pub(super) sessions: usize,
    /// Its tenant wants them meanwhile.
    waits: Waits,
}

#[cfg(test)]
impl Expected {
    /// By a begin of `campaign`, whoever has them.
    pub(super) fn of(sessions: &Sessions, campaign: CampaignKey, count: usize) -> Self {
        Self { sessions: count, waits: Waits::begin(&sessions.places, campaign) }
    }
}

/// A session, and the right to have it.
pub(super) struct Lent {
    /// Dropped first: the connection is back before somebody else may take one.
    pub(super) session: Box<dyn MailSession>,
    _place: Place,
}

impl Lent {
    pub(super) fn of(session: Box<dyn MailSession>, place: Place) -> Self {
        Self { session, _place: place }
    }
}

impl Sessions {
    pub(super) fn of(transport: Arc<dyn MailTransport>) -> Self {
        let places = Places::of(transport.sessions_at_most().max(1));
        Self { transport, places, begins: Alone::default(), patience: Patience::default() }
    }

    /// See [`Places::wanted_by`].
    pub(super) fn wanted_by(&self, tenants: impl Iterator<Item = TenantNo>) {
        self.places.wanted_by(tenants);
    }

    /// See [`Places::held_up`].
    pub(super) fn held_up(&self) -> BTreeMap<TenantNo, usize> {
        self.places.held_up()
    }

    /// Lets a begin of `campaign` under way go first; then, if anything is `wanted` still, waits for one free place, takes up
    /// to so many for its tenant, and opens a session for each. Where sessions are about to come free it does not wait for them, but
    /// says how many to expect. None when `stop` comes first; else at least one session, here or expected, or why there is none.
    pub(super) async fn take(
        &self,
        campaign: CampaignKey,
        wanted: impl Fn() -> usize,
        stop: &CancellationToken,
    ) -> Option<Result<Hand, TransportError>> {
        let mut waits = Waits::begin(&self.places, campaign);
        let mut alone = self.begins.within(campaign).await;
        if stop.is_cancelled() {
            return None;
        }
        if let Some(within) = alone.as_mut().filter(|_| wanted() > 0) {
            let sessions = self.expected(campaign.tenant, wanted(), within);
            if sessions > 0 {
                let (expected, for_each) = (Some(Expected { sessions, waits }), self.for_each_session(within));
                return Some(Ok(Hand { sessions: Vec::new(), expected, for_each, alone }));
            }
            within.come_to_the_counter().await;
        }
        let wanted = wanted();
        if wanted == 0 {
            return Some(Ok(Hand::of(Vec::new(), alone)));
        }
        let first = stop.run_until_cancelled(waits.place()).await?;
        let taken = self.gather(first, wanted, 0, alone.as_ref()).await;
        drop(waits);
        let opened = stop.run_until_cancelled(open(&self.transport, taken, None)).await?;
        let for_each = alone.as_ref().map_or(1, |within| self.for_each_session(within));
        Some(opened.map(|sessions| Hand { for_each, ..Hand::of(sessions, alone) }))
    }

    /// How many mails a begin may have for each of its sessions: several where there are few, the mail server is near, and nobody else wants
    /// them.
    fn for_each_session(&self, within: &Within) -> usize {
        let few = self.places.count() <= FEW_ENOUGH_FOR_ROUNDS;
        let alone = few && within.is_near() && self.nobody_else_waits(within.campaign());
        if alone { within.rounds().for_each_session() } else { 1 }
    }

    /// How many sessions a begin may expect to have by the time that it has its locks: those that the begins before it have, and what
    /// is free, within its tenant's share. None where enough are free or there are many in all, and where that is a bad guess: the
    /// mail server is not near, or does not take messages quickly.
    fn expected(&self, tenant: TenantNo, wanted: usize, within: &Within) -> usize {
        let free = self.places.free_within(tenant);
        let all = (free + within.seats()).min(self.places.share(tenant));
        let few = self.places.count() <= FEW;
        let waits = wanted.min(all) > free && few && within.is_near() && within.foresight().pays();
        if waits { wanted.min(all) } else { 0 }
    }

    /// `wanted` of the sessions that a begin expected, now that it has its locks, besides those that were `left` to it; as many as come
    /// free soon, which may be none.
    pub(super) async fn arrived(
        &self,
        mut expected: Expected,
        wanted: usize,
        left: usize,
        alone: Option<&Within>,
    ) -> Result<Vec<Lent>, TransportError> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let until = Instant::now() + if left > 0 { GATHER } else { ARRIVE };
        let taken = match timeout_at(until, expected.waits.place()).await {
            Ok(first) => self.gather(first, wanted, left, alone).await,
            Err(_) => Vec::new(),
        };
        drop(expected);
        let opened = open(&self.transport, taken, Some(until)).await;
        // What was left has yet to be answered: see the counter.
        if let Some(within) = alone.filter(|_| left == 0) {
            within.foresight().came(opened.as_ref().map_or(0, Vec::len), wanted);
        }
        opened
    }

    /// Whether a campaign's begin may leave its sessions to the next of its own: nobody else waits for any.
    pub(super) fn nobody_else_waits(&self, campaign: CampaignKey) -> bool {
        self.places.nobody_else_waits(campaign)
    }

    /// What else is free, up to `wanted` in all and within the tenant's share; and what the tenant has under way, beyond what is `left`
    /// already, and comes free soon.
    async fn gather(&self, first: Place, wanted: usize, left: usize, alone: Option<&Within>) -> Vec<Place> {
        let tenant = first.tenant();
        let seated = |place: Place| place.seated(alone.map(Within::seat));
        let mut taken = vec![seated(first)];
        while taken.len() < wanted
            && let Some(place) = self.places.free_now(tenant)
        {
            taken.push(seated(place));
        }
        let under_way = self.places.held(tenant).saturating_sub(taken.len() + left);
        let awaited = under_way.min(wanted - taken.len());
        if awaited > 0 && self.patience.pays() {
            let until = Instant::now() + GATHER;
            let before = taken.len();
            while taken.len() < before + awaited
                && let Ok(Some(place)) = timeout_at(until, self.places.next_free(tenant)).await
            {
                taken.push(seated(place));
            }
            if taken.len() - before < awaited.div_ceil(3) {
                self.patience.in_vain();
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests;
