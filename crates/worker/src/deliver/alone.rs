//! The begins of one campaign, one after the other as long as the mail server is quick.
//!
//! What comes free during a begin is begun on together, by the next: as many mails in fewer transactions. With a server that
//! answers at once a begin takes as long as the processors take for it, and the fewer there are, the less that is. With one that
//! does not, sessions would stand idle for longer than transactions cost.

use super::patience::Patience;
use muster_domain::model::ids::CampaignKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};

/// Nobody waits longer for another's begin: fifty mails take half of it on two busy processors.
const AT_MOST: Duration = Duration::from_millis(20);
/// A begin that took no longer was worth waiting for, however far the server is.
const SHORT: Duration = Duration::from_millis(5);
/// The quickest answer of a server that is near takes no longer, though answers wait for each other where the processors are busy.
const NEAR: Duration = Duration::from_millis(1);

type Door = tokio::sync::Mutex<()>;

/// A door for each campaign that somebody is about to begin mails of. Whoever comes first goes first.
#[derive(Default)]
pub(super) struct Alone {
    doors: Mutex<HashMap<CampaignKey, Weak<Door>>>,
    patience: Arc<Patience>,
}

/// Somebody is within, and others wait, for as long as this lives.
pub(super) struct Within {
    since: Instant,
    far: bool,
    patience: Arc<Patience>,
    _door: OwnedMutexGuard<()>,
}

impl Within {
    /// The quickest answer of the mail server took so long.
    pub(super) fn answered_in(&mut self, quickest: Duration) {
        self.far = quickest > NEAR;
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        if self.since.elapsed() > if self.far { SHORT } else { AT_MOST } {
            self.patience.in_vain();
        }
    }
}

impl Alone {
    /// Waits until nobody else is within, and lets others wait for as long as the guard lives. Without a guard when that
    /// takes too long, or took too long lately for how near the server is: then there are two within.
    pub(super) async fn within(&self, campaign: CampaignKey) -> Option<Within> {
        let door = self.door(campaign);
        let entered = match Arc::clone(&door).try_lock_owned() {
            Ok(entered) => entered,
            Err(_) if self.patience.pays() => timeout(AT_MOST, door.lock_owned()).await.ok()?,
            Err(_) => return None,
        };
        Some(Within { since: Instant::now(), far: false, patience: Arc::clone(&self.patience), _door: entered })
    }

    fn door(&self, campaign: CampaignKey) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(&campaign).and_then(Weak::upgrade) {
            return door;
        }
        // Doors are kept by those who are at them: there are no more than there are turns.
        doors.retain(|_, door| door.strong_count() > 0);
        let door = Arc::default();
        doors.insert(campaign, Arc::downgrade(&door));
        door
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::patience::WITHOUT;
    use futures::FutureExt;
    use muster_domain::model::ids::{CampaignNo, TenantNo};

    fn campaign(number: i32) -> CampaignKey {
        CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(number) }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_each_campaign_is_within_and_the_next_comes_in_when_it_leaves() {
        let alone = Alone::default();
        let first = alone.within(campaign(1)).await.unwrap();
        let mut second = Box::pin(alone.within(campaign(1)));
        let mut third = Box::pin(alone.within(campaign(1)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(alone.within(campaign(2)).await.is_some(), "another campaign has a door of its own");
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "who came first goes first");
        let second = second.await.unwrap();
        drop(second);
        assert!(third.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_a_begin_that_takes_long() {
        let alone = Alone::default();
        let _first = alone.within(campaign(1)).await.unwrap();
        let begun = Instant::now();
        assert!(alone.within(campaign(1)).await.is_none());
        assert!(begun.elapsed() <= AT_MOST + Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_begin_that_took_long_or_a_server_that_did_the_next_do_not_wait_and_then_it_is_tried_again() {
        let longer = Duration::from_millis(1);
        for (took, quickest, without) in [
            (AT_MOST, None, 0),
            (AT_MOST + longer, None, WITHOUT),
            (AT_MOST, Some(NEAR), 0),
            (AT_MOST + longer, Some(NEAR), WITHOUT),
            (SHORT, Some(NEAR + longer), 0),
            (SHORT + longer, Some(NEAR + longer), WITHOUT),
        ] {
            let alone = Alone::default();
            let mut first = alone.within(campaign(1)).await.unwrap();
            tokio::time::sleep(took).await;
            if let Some(quickest) = quickest {
                first.answered_in(quickest);
            }
            drop(first);
            let _second = alone.within(campaign(1)).await.unwrap();
            let begun = Instant::now();
            for _ in 0..without {
                assert!(alone.within(campaign(1)).await.is_none());
                assert_eq!(begun.elapsed(), Duration::ZERO);
            }
            assert!(alone.within(campaign(1)).await.is_none());
            assert!(begun.elapsed() >= AT_MOST, "{took:?} {quickest:?}");
        }
    }

    #[tokio::test]
    async fn no_door_is_kept_that_nobody_is_at() {
        let alone = Alone::default();
        for number in 0..100 {
            drop(alone.within(campaign(number)).await);
        }
        assert!(alone.doors.lock().unwrap().len() <= 1);
    }
}
