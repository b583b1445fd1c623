//! Sessions with the mail server, as many as there may be and no more, and for each tenant no more than its share.

use super::alone::{Alone, Within};
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

/// Hands out sessions.
pub(super) struct Sessions {
    transport: Arc<dyn MailTransport>,
    places: Arc<Places>,
    begins: Alone,
    patience: Patience,
}

/// Sessions for one begin.
pub(super) struct Hand {
    pub(super) sessions: Vec<Lent>,
    /// To be kept while it lasts: see [`Alone`].
    pub(super) alone: Option<Within>,
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
    /// to so many for its tenant, and opens a session for each. None when `stop` comes first; else at least one session, or
    /// why there is none.
    pub(super) async fn take(
        &self,
        campaign: CampaignKey,
        wanted: impl Fn() -> usize,
        stop: &CancellationToken,
    ) -> Option<Result<Hand, TransportError>> {
        let mut waits = Waits::begin(&self.places, campaign.tenant);
        let alone = self.begins.within(campaign).await;
        let wanted = wanted();
        if wanted == 0 {
            return Some(Ok(Hand { sessions: Vec::new(), alone }));
        }
        let first = stop.run_until_cancelled(waits.place()).await?;
        let taken = self.gather(first, wanted).await;
        drop(waits);
        let opened = stop.run_until_cancelled(open(&self.transport, taken)).await?;
        Some(opened.map(|sessions| Hand { sessions, alone }))
    }

    /// What else is free, up to `wanted` in all and within the tenant's share; and what the tenant has under way and comes
    /// free soon.
    async fn gather(&self, first: Place, wanted: usize) -> Vec<Place> {
        let tenant = first.tenant();
        let mut taken = vec![first];
        while taken.len() < wanted
            && let Some(place) = self.places.free_now(tenant)
        {
            taken.push(place);
        }
        let under_way = self.places.held(tenant) - taken.len();
        let awaited = under_way.min(wanted - taken.len());
        if awaited > 0 && self.patience.pays() {
            let until = Instant::now() + GATHER;
            let before = taken.len();
            while taken.len() < before + awaited
                && let Ok(Some(place)) = timeout_at(until, self.places.next_free(tenant)).await
            {
                taken.push(place);
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
