//! Letters that wait for a session.
//!
//! The turns of a campaign put theirs together, so that a begin takes as many as there are sessions for, and not what is
//! left of one turn's.

use muster_domain::model::ids::CampaignKey;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The letters of each campaign, in the order in which they came.
pub(super) struct Waiting<T>(Mutex<State<T>>);

struct State<T> {
    letters: HashMap<CampaignKey, VecDeque<(u64, T)>>,
    /// So many came since the start.
    came: u64,
}

/// A place in that order.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self(Mutex::new(State { letters: HashMap::new(), came: 0 }))
    }
}

impl<T> Waiting<T> {
    /// Adds letters behind those that wait, and says where the last of them stands.
    pub(super) fn put(&self, campaign: CampaignKey, letters: Vec<T>) -> Mark {
        let mut state = self.state();
        let State { letters: waiting, came } = &mut *state;
        if !letters.is_empty() {
            let places = *came + 1..;
            *came += letters.len() as u64;
            waiting.entry(campaign).or_default().extend(places.zip(letters));
        }
        Mark(*came)
    }

    /// Takes up to `at_most` of those that came first.
    pub(super) fn take(&self, campaign: CampaignKey, at_most: usize) -> Vec<T> {
        let mut state = self.state();
        let Some(waiting) = state.letters.get_mut(&campaign) else { return Vec::new() };
        let taken = waiting.drain(..at_most.min(waiting.len())).map(|(_, letter)| letter).collect();
        if waiting.is_empty() {
            state.letters.remove(&campaign);
        }
        taken
    }

    /// Takes all of them.
    pub(super) fn take_all(&self, campaign: CampaignKey) -> Vec<T> {
        self.take(campaign, usize::MAX)
    }

    /// How many wait, those behind `mark` too; none when everything up to `mark` is taken.
    pub(super) fn until(&self, campaign: CampaignKey, mark: Mark) -> usize {
        let state = self.state();
        let Some(waiting) = state.letters.get(&campaign) else { return 0 };
        waiting.front().filter(|(place, _)| *place <= mark.0).map_or(0, |_| waiting.len())
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::model::ids::{CampaignNo, TenantNo};

    fn campaign(number: i32) -> CampaignKey {
        CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(number) }
    }

    #[test]
    fn the_letters_of_all_turns_are_taken_together_in_the_order_in_which_they_came() {
        let waiting = Waiting::default();
        waiting.put(campaign(1), vec![1, 2, 3]);
        waiting.put(campaign(2), vec![10]);
        waiting.put(campaign(1), vec![4, 5]);
        assert_eq!(waiting.take(campaign(1), 4), [1, 2, 3, 4]);
        assert_eq!(waiting.take(campaign(1), 4), [5]);
        assert_eq!(waiting.take_all(campaign(1)), [0; 0]);
        assert_eq!(waiting.take_all(campaign(2)), [10]);
        assert!(waiting.state().letters.is_empty(), "nothing is kept of who has none");
    }

    #[test]
    fn a_turn_is_over_when_its_own_are_taken_whoever_took_them() {
        let waiting = Waiting::default();
        let first = waiting.put(campaign(1), vec![1, 2]);
        let second = waiting.put(campaign(1), vec![3]);
        assert_eq!((waiting.until(campaign(1), first), waiting.until(campaign(1), second)), (3, 3));
        waiting.take(campaign(1), 2);
        assert_eq!((waiting.until(campaign(1), first), waiting.until(campaign(1), second)), (0, 1));
        waiting.take(campaign(1), 1);
        assert_eq!(waiting.until(campaign(1), second), 0);
        let third = waiting.put(campaign(1), vec![4]);
        assert_eq!((waiting.until(campaign(1), second), waiting.until(campaign(1), third)), (0, 1));
    }

    #[test]
    fn who_puts_nothing_waits_for_nothing_of_its_own() {
        let waiting = Waiting::<u8>::default();
        let none = waiting.put(campaign(1), Vec::new());
        waiting.put(campaign(1), vec![1]);
        assert_eq!(waiting.until(campaign(1), none), 0);
    }
}
