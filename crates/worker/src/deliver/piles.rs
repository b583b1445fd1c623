//! Outcomes that wait to be written down, a pile for each campaign.

use muster_domain::model::ids::CampaignKey;
use std::collections::{HashMap, HashSet, VecDeque};

/// What waits, and whose turn it is. No step costs more for more campaigns.
pub(super) struct Piles<T> {
    waiting: HashMap<CampaignKey, Vec<T>>,
    /// Those with something waiting that may be taken, in the order in which they came to it.
    ready: VecDeque<CampaignKey>,
    /// Those of which nothing may be taken for now.
    held: HashSet<CampaignKey>,
}

impl<T> Default for Piles<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), ready: VecDeque::new(), held: HashSet::new() }
    }
}

impl<T> Piles<T> {
    pub(super) fn put(&mut self, campaign: CampaignKey, one: T) {
        let pile = self.waiting.entry(campaign).or_default();
        if pile.is_empty() && !self.held.contains(&campaign) {
            self.ready.push_back(campaign);
        }
        pile.push(one);
    }

    /// The pile whose turn it is, or the `at_most` that lay there longest; of its campaign nothing more is taken until
    /// [`Piles::release`].
    pub(super) fn take(&mut self, at_most: usize) -> Option<(CampaignKey, Vec<T>)> {
        let campaign = self.ready.pop_front()?;
        let mut pile = self.waiting.remove(&campaign)?;
        let later = pile.split_off(pile.len().min(at_most));
        if !later.is_empty() {
            self.waiting.insert(campaign, later);
        }
        self.held.insert(campaign);
        Some((campaign, pile))
    }

    pub(super) fn release(&mut self, campaign: CampaignKey) {
        if self.held.remove(&campaign) && self.waiting.contains_key(&campaign) {
            self.ready.push_back(campaign);
        }
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
    fn a_pile_is_taken_from_the_bottom_and_then_held_until_it_is_released() {
        let mut piles = Piles::default();
        for n in 0..5 {
            piles.put(campaign(1), n);
        }
        assert_eq!(piles.take(3), Some((campaign(1), vec![0, 1, 2])));
        piles.put(campaign(1), 5);
        assert_eq!(piles.take(3), None);
        piles.release(campaign(1));
        assert_eq!(piles.take(3), Some((campaign(1), vec![3, 4, 5])));
        piles.put(campaign(1), 6);
        assert_eq!(piles.take(3), None, "it is held, though nothing was left of it");
        piles.release(campaign(1));
        assert_eq!(piles.take(3), Some((campaign(1), vec![6])));
        piles.release(campaign(1));
        assert_eq!(piles.take(3), None, "nothing waits");
        piles.put(campaign(1), 7);
        assert_eq!(piles.take(3), Some((campaign(1), vec![7])));
    }

    #[test]
    fn campaigns_take_turns_and_a_backlog_waits_behind_those_who_came_meanwhile() {
        let mut piles = Piles::default();
        for (number, one) in [(2, 'a'), (2, 'b'), (1, 'c')] {
            piles.put(campaign(number), one);
        }
        assert_eq!(piles.take(1), Some((campaign(2), vec!['a'])));
        piles.release(campaign(2));
        assert_eq!(piles.take(1), Some((campaign(1), vec!['c'])));
        assert_eq!(piles.take(1), Some((campaign(2), vec!['b'])));
        assert_eq!(piles.take(1), None);
    }
}
