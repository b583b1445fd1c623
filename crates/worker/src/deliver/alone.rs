//! The begins of one campaign, one after the other as long as the mail server is quick.
//!
//! What comes free during a begin is begun on together, by the next: as many mails in fewer transactions. With a server that
//! answers at once a begin takes as long as the processors take for it, and the fewer there are, the less that is. With one that
//! does not, sessions would stand idle for longer than transactions cost.
//!
//! A begin goes through two rooms, with room for one in each: the hall, where it takes its locks, and the counter, where the server is told
//! the sender of each mail, and the begin is committed. One that is to have its sessions first waits for the counter, takes them, and leaves
//! the hall when it has its locks, so that nobody who has some waits for one that has none. One that expects its sessions takes its locks
//! and marks its mails in the hall, while another's commit is on its way to the disk; then it goes to the counter, where it takes over
//! the sessions of that one, if nobody else wants them (`begun.rs`).

use super::begun::{Begun, Follower, NextBegin};
use super::foresight::Foresight;
use super::patience::Patience;
use super::rounds::{Record, WITHIN as ROUNDS_WITHIN};
use futures::FutureExt;
use muster_domain::model::ids::CampaignKey;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

/// Nobody waits longer for whoever is in a room: fifty mails take half of it on two busy processors.
pub(super) const AT_MOST: Duration = Duration::from_millis(20);
/// A begin that took no longer was worth waiting for, however far the server is.
const SHORT: Duration = Duration::from_millis(5);
/// The quickest answer of a server that is near takes no longer, though answers wait for each other where the processors are busy.
pub(super) const NEAR: Duration = Duration::from_millis(1);

/// The two rooms of a campaign, and who is still about. Whoever comes first goes first.
#[derive(Default)]
struct Door {
    hall: Arc<Mutex<()>>,
    counter: Arc<Mutex<()>>,
    /// Sessions that its begins have, until the server has answered for the message.
    seats: AtomicUsize,
    /// Whether the mail server was near, when it was asked last.
    near: AtomicBool,
    /// Whether its begins have had the sessions that they expected.
    foresight: Foresight,
    /// How those fared that had several mails for each session.
    rounds: Record,
    /// The begin in the hall, when it has its locks.
    next: NextBegin,
}

/// A door for each campaign that somebody is about to begin mails of, or has sessions for.
#[derive(Default)]
pub(super) struct Alone {
    doors: std::sync::Mutex<HashMap<CampaignKey, Weak<Door>>>,
    patience: Arc<Patience>,
}

/// Somebody is in one of the rooms, or in both, and others wait, for as long as this lives; or at the counter beside another, for whom it
/// did not wait longer, and then nobody waits for this one.
pub(super) struct Within {
    /// When it came into the room that it came into last.
    since: Instant,
    far: bool,
    /// Its begin has several rounds, which take their time.
    in_rounds: bool,
    patience: Arc<Patience>,
    hall: Option<OwnedMutexGuard<()>>,
    counter: Option<OwnedMutexGuard<()>>,
    campaign: CampaignKey,
    door: Arc<Door>,
}

/// One of the sessions that a campaign's begins have.
pub(super) struct Seat(Arc<Door>);

/// The only one in a room, as soon as whoever is there has left; nobody where that takes too long, or took too long lately.
async fn enter(room: &Arc<Mutex<()>>, patience: &Patience) -> Option<OwnedMutexGuard<()>> {
    match Arc::clone(room).try_lock_owned() {
        Ok(alone) => Some(alone),
        Err(_) if patience.pays() => timeout(AT_MOST, Arc::clone(room).lock_owned()).await.ok(),
        Err(_) => None,
    }
}

impl Within {
    /// Comes to the counter, as soon as whoever is there has left. Nobody is waited for too long, nor where such waits were too long lately:
    /// then there are two at it.
    pub(super) async fn come_to_the_counter(&mut self) {
        self.patience_is_for(AT_MOST);
        self.counter = enter(&self.door.counter, &self.patience).await;
        self.since = Instant::now();
    }

    /// Lets the next into the hall.
    pub(super) fn leave_the_hall(&mut self) {
        self.hall = None;
    }

    /// Goes on to the counter, and to the sessions that whoever was there leaves, with what has begun on them.
    pub(super) async fn follow_to_the_counter(&mut self) -> Vec<Begun> {
        let left = self.door.next.follow();
        self.come_to_the_counter().await;
        drop(self.door.next.take());
        self.leave_the_hall();
        left.now_or_never().and_then(Result::ok).unwrap_or_default()
    }

    /// The begin that waits to come here, if it takes sessions over.
    pub(super) fn follower(&self) -> Option<Follower> {
        self.door.next.take()
    }

    /// Whoever waited for longer did so in vain.
    fn patience_is_for(&self, at_most: Duration) {
        if self.since.elapsed() > at_most {
            self.patience.in_vain();
        }
    }

    /// The quickest answer of the mail server took so long.
    pub(super) fn answered_in(&mut self, quickest: Duration) {
        self.far = quickest > NEAR;
        self.door.near.store(!self.far, Relaxed);
    }

    /// Whether the mail server was near, as far as is known.
    pub(super) fn is_near(&self) -> bool {
        #[cfg(feature = "fault-injection")]
        if super::faults::always_together() {
            return true;
        }
        self.door.near.load(Relaxed)
    }

    pub(super) fn foresight(&self) -> &Foresight {
        &self.door.foresight
    }

    pub(super) fn rounds(&self) -> &Record {
        &self.door.rounds
    }

    pub(super) fn campaign(&self) -> CampaignKey {
        self.campaign
    }

    /// Its begin has several rounds.
    pub(super) fn takes_rounds(&mut self) {
        self.in_rounds = true;
    }

    /// How many sessions the begins of this campaign have.
    pub(super) fn seats(&self) -> usize {
        self.door.seats.load(Relaxed)
    }

    /// One more, for as long as it lives.
    pub(super) fn seat(&self) -> Seat {
        self.door.seats.fetch_add(1, Relaxed);
        Seat(Arc::clone(&self.door))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Relaxed);
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let rounds = if self.in_rounds { ROUNDS_WITHIN } else { Duration::ZERO };
        self.patience_is_for(rounds + if self.far { SHORT } else { AT_MOST });
    }
}

impl Alone {
    /// Waits until nobody else is in the hall, and lets others wait for as long as the guard is there. Without a guard when that
    /// takes too long, or took too long lately for how near the server is: then it does not wait for the counter either.
    pub(super) async fn within(&self, campaign: CampaignKey) -> Option<Within> {
        let door = self.door(campaign);
        let hall = enter(&door.hall, &self.patience).await?;
        let patience = Arc::clone(&self.patience);
        Some(Within {
            since: Instant::now(),
            far: false,
            in_rounds: false,
            patience,
            hall: Some(hall),
            counter: None,
            campaign,
            door,
        })
    }

    fn door(&self, campaign: CampaignKey) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(&campaign).and_then(Weak::upgrade) {
            return door;
        }
        // Doors are kept by those who are at them or have sessions: there are no more than there are turns and sessions.
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

    async fn go_on(within: &mut Within) {
        within.come_to_the_counter().await;
        within.leave_the_hall();
    }

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

    #[tokio::test(start_paused = true)]
    async fn one_is_in_the_hall_while_another_is_at_the_counter_and_no_third() {
        let alone = Alone::default();
        let mut first = alone.within(campaign(1)).await.unwrap();
        go_on(&mut first).await;
        let mut second = alone.within(campaign(1)).await.unwrap();
        let mut third = Box::pin(alone.within(campaign(1)));
        assert!(third.as_mut().now_or_never().is_none());
        let mut on = Box::pin(go_on(&mut second));
        assert!(on.as_mut().now_or_never().is_none(), "the first is there still");
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        on.await;
        assert!(third.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_whoever_is_at_the_counter() {
        let alone = Alone::default();
        let mut first = alone.within(campaign(1)).await.unwrap();
        go_on(&mut first).await;
        let mut second = alone.within(campaign(1)).await.unwrap();
        let begun = Instant::now();
        go_on(&mut second).await;
        assert!(begun.elapsed() >= AT_MOST && begun.elapsed() <= AT_MOST * 2, "{:?}", begun.elapsed());
        assert!(alone.within(campaign(1)).now_or_never().flatten().is_some(), "and the next comes into the hall");
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_that_took_long_in_the_hall_or_at_the_counter_the_next_do_not_wait_there() {
        let longer = AT_MOST + Duration::from_millis(1);
        for (in_the_hall, at_the_counter) in [(longer, Duration::ZERO), (Duration::ZERO, longer)] {
            let alone = Alone::default();
            let mut first = alone.within(campaign(1)).await.unwrap();
            tokio::time::sleep(in_the_hall).await;
            go_on(&mut first).await;
            tokio::time::sleep(at_the_counter).await;
            drop(first);
            let (_hall, begun) = (alone.within(campaign(1)).await.unwrap(), Instant::now());
            for _ in 0..WITHOUT {
                assert!(alone.within(campaign(1)).await.is_none());
            }
            assert_eq!(begun.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_in_the_hall_does_not_wait_for_the_counter_either() {
        let alone = Alone::default();
        let mut first = alone.within(campaign(1)).await.unwrap();
        go_on(&mut first).await;
        alone.patience.in_vain();
        let begun = Instant::now();
        for _ in 0..WITHOUT {
            go_on(&mut alone.within(campaign(1)).await.unwrap()).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        go_on(&mut alone.within(campaign(1)).await.unwrap()).await;
        assert!(begun.elapsed() >= AT_MOST, "and then it is tried again");
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
