//! The begins of one campaign, one after the other as long as they are quick.
//!
//! What comes free during a begin is begun on together, by the next: as many mails in fewer transactions.

use muster_domain::model::ids::CampaignKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// Nobody waits longer for another's begin. It takes some milliseconds where the mail server answers at once; where it does
/// not, sessions would stand idle for longer than transactions cost.
const AT_MOST: Duration = Duration::from_millis(5);

type Door = tokio::sync::Mutex<()>;

/// A door for each campaign that somebody is about to begin mails of. Whoever comes first goes first.
#[derive(Default)]
pub(super) struct Alone(Mutex<HashMap<CampaignKey, Weak<Door>>>);

impl Alone {
    /// Waits until nobody else is within, and lets others wait for as long as the guard lives. Without a guard when that
    /// takes too long: then there are two within.
    pub(super) async fn within(&self, campaign: CampaignKey) -> Option<OwnedMutexGuard<()>> {
        timeout(AT_MOST, self.door(campaign).lock_owned()).await.ok()
    }

    fn door(&self, campaign: CampaignKey) -> Arc<Door> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    use futures::FutureExt;
    use muster_domain::model::ids::{CampaignNo, TenantNo};
    use tokio::time::Instant;

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

    #[tokio::test]
    async fn no_door_is_kept_that_nobody_is_at() {
        let alone = Alone::default();
        for number in 0..100 {
            drop(alone.within(campaign(number)).await);
        }
        assert!(alone.0.lock().unwrap().len() <= 1);
    }
}
