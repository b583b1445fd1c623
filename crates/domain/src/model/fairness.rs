//! Whose turn it is: tenants in a circle, and within each tenant its campaigns in a circle.
//!
//! One turn is a small batch. A campaign that has no more leaves the circle, so that what small ones leave over goes to
//! the backlogs; a tenant with a thousand campaigns gets no more turns than one with a single campaign.

use super::ids::{CampaignKey, CampaignNo, TenantNo};
use std::collections::{BTreeMap, BTreeSet};

/// The circle of those who have work. Remembers who had the last turn, also of those who left.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    waiting: BTreeMap<TenantNo, BTreeSet<CampaignNo>>,
    last_tenant: Option<TenantNo>,
    last_campaign: BTreeMap<TenantNo, CampaignNo>,
}

impl Turns {
    /// Replaces those who have work; the order of turns goes on from where it was.
    pub fn replace(&mut self, campaigns: impl IntoIterator<Item = CampaignKey>) {
        self.waiting.clear();
        for key in campaigns {
            self.waiting.entry(key.tenant).or_default().insert(key.campaign);
        }
        // A tenant without work starts afresh; so this remembers no more tenants than have work.
        self.last_campaign.retain(|tenant, _| self.waiting.contains_key(tenant));
    }

    /// Takes a campaign out of the circle: it has no more work, or may not act for now.
    pub fn remove(&mut self, key: CampaignKey) {
        if let Some(campaigns) = self.waiting.get_mut(&key.tenant) {
            campaigns.remove(&key.campaign);
            if campaigns.is_empty() {
                self.waiting.remove(&key.tenant);
            }
        }
    }

    /// Whether nobody has work.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives the next turn: to the next tenant in the circle, and of its campaigns to the next in theirs. The campaign
    /// stays in the circle.
    pub fn next_turn(&mut self) -> Option<CampaignKey> {
        let tenant = following(self.waiting.keys().copied(), self.last_tenant)?;
        let campaigns = self.waiting.get(&tenant)?;
        let campaign = following(campaigns.iter().copied(), self.last_campaign.get(&tenant).copied())?;
        self.last_tenant = Some(tenant);
        self.last_campaign.insert(tenant, campaign);
        Some(CampaignKey { tenant, campaign })
    }
}

/// The smallest of the sorted `circle` that is greater than `last`, or else the smallest.
fn following<T: Copy + Ord>(mut circle: impl Iterator<Item = T> + Clone, last: Option<T>) -> Option<T> {
    let mut again = circle.clone();
    circle.find(|one| last.is_none_or(|last| *one > last)).or_else(|| again.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(tenant: i32, campaign: i32) -> CampaignKey {
        CampaignKey { tenant: TenantNo(tenant), campaign: CampaignNo(campaign) }
    }

    fn take(turns: &mut Turns, count: usize) -> Vec<CampaignKey> {
        (0..count).filter_map(|_| turns.next_turn()).collect()
    }

    #[test]
    fn tenants_take_turns_whatever_the_number_of_their_campaigns() {
        let mut turns = Turns::default();
        turns.replace([key(1, 10), key(2, 20), key(2, 21), key(2, 22)]);
        let order = take(&mut turns, 6);
        assert_eq!(order, [key(1, 10), key(2, 20), key(1, 10), key(2, 21), key(1, 10), key(2, 22)]);
    }

    #[test]
    fn what_the_small_leave_over_goes_to_the_backlog() {
        let mut turns = Turns::default();
        turns.replace([key(1, 10), key(2, 20)]);
        turns.remove(key(2, 20));
        assert_eq!(take(&mut turns, 3), [key(1, 10); 3]);
        turns.remove(key(1, 10));
        assert!(turns.is_empty());
        assert_eq!(turns.next_turn(), None);
    }

    #[test]
    fn a_new_list_does_not_start_the_circle_again() {
        let mut turns = Turns::default();
        let everyone = [key(1, 10), key(1, 11), key(2, 20)];
        turns.replace(everyone);
        assert_eq!(take(&mut turns, 1), [key(1, 10)]);
        turns.replace(everyone);
        assert_eq!(take(&mut turns, 2), [key(2, 20), key(1, 11)]);
    }

    proptest! {
        #[test]
        fn between_two_turns_of_one_tenant_everybody_else_has_one(
            keys in proptest::collection::btree_set((1..6_i32, 1..20_i32), 1..40),
        ) {
            let mut turns = Turns::default();
            turns.replace(keys.iter().map(|(tenant, campaign)| key(*tenant, *campaign)));
            let tenants: BTreeSet<_> = keys.iter().map(|(tenant, _)| *tenant).collect();
            let order = take(&mut turns, 3 * tenants.len());
            for round in order.chunks(tenants.len()) {
                let served: BTreeSet<_> = round.iter().map(|key| key.tenant.0).collect();
                prop_assert_eq!(&served, &tenants);
            }
        }

        #[test]
        fn a_tenants_campaigns_all_come_round(campaigns in proptest::collection::btree_set(1..50_i32, 1..30)) {
            let mut turns = Turns::default();
            turns.replace(campaigns.iter().map(|campaign| key(1, *campaign)));
            let served: BTreeSet<_> = take(&mut turns, campaigns.len()).iter().map(|key| key.campaign.0).collect();
            prop_assert_eq!(served, campaigns);
        }
    }
}
