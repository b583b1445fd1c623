//! Whose turn it is, and how much of what there is for all each tenant may hold.
//!
//! [`Turns`]: tenants in a circle, and within each tenant its campaigns in a circle. One turn is a small batch. A campaign that has no more leaves the circle, so that what small ones leave over goes to
//! the backlogs; a tenant with a thousand campaigns gets no more turns than one with a single campaign.
//!
//! [`Shares`]: who holds places for long, because its mail server stands still, holds no more of them than its share.

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

    /// Those who have work.
    pub fn tenants(&self) -> impl Iterator<Item = TenantNo> {
        self.waiting.keys().copied()
    }

    /// Gives the next turn: to the next tenant in the circle for whom `may` says so, and of its campaigns to the next in
    /// theirs. The campaign stays in the circle.
    pub fn next_turn(&mut self, may: impl Fn(TenantNo) -> bool) -> Option<CampaignKey> {
        let circle = self.waiting.keys().copied().filter(|tenant| may(*tenant));
        let tenant = following(circle, self.last_tenant)?;
        let campaigns = self.waiting.get(&tenant)?;
        let campaign = following(campaigns.iter().copied(), self.last_campaign.get(&tenant).copied())?;
        self.last_tenant = Some(tenant);
        self.last_campaign.insert(tenant, campaign);
        Some(CampaignKey { tenant, campaign })
    }
}

/// A number of places for all tenants together, and who holds how many of them.
///
/// Max-min fair, as far as it can be without taking anything away: who wants no more keeps what it holds, and those who want
/// more have equal shares in the rest. A single tenant may have all of it.
#[derive(Debug, Clone)]
pub struct Shares {
    places: usize,
    held: BTreeMap<TenantNo, usize>,
}

impl Shares {
    /// So many places, held by nobody.
    pub fn of(places: usize) -> Self {
        Self { places, held: BTreeMap::new() }
    }

    /// How many more `tenant` may take: see [`Shares::share`].
    pub fn room(&self, tenant: TenantNo, others: usize, wants: impl Fn(TenantNo) -> bool) -> usize {
        self.share(tenant, others, wants).saturating_sub(self.held(tenant))
    }

    /// How many `tenant` may hold, when besides it those want more of whom `wants` is true, `others` in number. Looks at
    /// those who hold something, and not at those who wait.
    pub fn share(&self, tenant: TenantNo, others: usize, wants: impl Fn(TenantNo) -> bool) -> usize {
        let wants_more = |other: TenantNo| other == tenant || wants(other);
        let kept: usize = self.held.iter().filter(|(other, _)| !wants_more(**other)).map(|(_, held)| held).sum();
        let wanting = others + 1;
        // Rounded up: with more tenants than places each may have one.
        self.places.saturating_sub(kept).div_ceil(wanting).max(1)
    }

    /// `tenant` takes one.
    pub fn take(&mut self, tenant: TenantNo) {
        *self.held.entry(tenant).or_default() += 1;
    }

    /// `tenant` gives one back.
    pub fn give_back(&mut self, tenant: TenantNo) {
        if let Some(held) = self.held.get_mut(&tenant) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&tenant);
            }
        }
    }

    /// Whether there is nothing that `tenant` does not hold.
    pub fn holds_all(&self, tenant: TenantNo) -> bool {
        self.held(tenant) >= self.places
    }

    /// So many `tenant` holds.
    pub fn held(&self, tenant: TenantNo) -> usize {
        self.held.get(&tenant).copied().unwrap_or_default()
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
        (0..count).filter_map(|_| turns.next_turn(|_| true)).collect()
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
        assert_eq!(turns.next_turn(|_| true), None);
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

    #[test]
    fn who_may_not_have_a_turn_is_passed_over_and_comes_round_again() {
        let mut turns = Turns::default();
        turns.replace([key(1, 10), key(2, 20), key(3, 30)]);
        assert_eq!(turns.next_turn(|tenant| tenant != TenantNo(1)), Some(key(2, 20)));
        assert_eq!(turns.next_turn(|tenant| tenant != TenantNo(3)), Some(key(1, 10)));
        assert_eq!(turns.next_turn(|_| false), None);
    }

    fn held(shares: &mut Shares, tenant: i32, count: usize) {
        (0..count).for_each(|_| shares.take(TenantNo(tenant)));
    }

    fn room(shares: &Shares, tenant: i32, wants: &[i32]) -> usize {
        room_beside(shares, TenantNo(tenant), &wants.iter().map(|tenant| TenantNo(*tenant)).collect())
    }

    fn room_beside(shares: &Shares, tenant: TenantNo, wants: &BTreeSet<TenantNo>) -> usize {
        let others = wants.iter().filter(|other| **other != tenant).count();
        shares.room(tenant, others, |other| wants.contains(&other))
    }

    #[test]
    fn a_single_tenant_may_have_everything() {
        let mut shares = Shares::of(10);
        assert_eq!(room(&shares, 1, &[]), 10);
        held(&mut shares, 1, 4);
        assert_eq!(room(&shares, 1, &[1]), 6);
    }

    #[test]
    fn who_wants_no_more_keeps_what_it_holds_and_the_others_share_the_rest() {
        let mut shares = Shares::of(10);
        held(&mut shares, 1, 1);
        assert_eq!(room(&shares, 2, &[]), 9, "the first wants no more");
        assert_eq!(room(&shares, 2, &[1, 3]), 4, "three want more");
        held(&mut shares, 2, 5);
        assert_eq!(room(&shares, 2, &[1]), 0, "half of it is the other's");
        shares.give_back(TenantNo(2));
        assert_eq!(room(&shares, 2, &[1]), 1);
    }

    proptest! {
        /// Whoever asks next takes what it may and keeps it for ever: the worst that mail servers can do.
        #[test]
        fn nobody_is_kept_from_its_share_by_those_who_give_nothing_back(
            places in 1..50_usize, tenants in 1..8_i32, asking in proptest::collection::vec(0..8_i32, 0..60),
        ) {
            let wants: BTreeSet<_> = (0..tenants).map(TenantNo).collect();
            let mut shares = Shares::of(places);
            let fair = places.div_ceil(wants.len());
            for tenant in asking.into_iter().map(|n| TenantNo(n % tenants)).chain(wants.iter().copied()) {
                let taken: usize = wants.iter().map(|one| shares.held(*one)).sum();
                let room = room_beside(&shares, tenant, &wants);
                for _ in 0..room.min(places - taken.min(places)) {
                    shares.take(tenant);
                }
                prop_assert!(shares.held(tenant) <= fair);
            }
            let left = places.saturating_sub(wants.iter().map(|one| shares.held(*one)).sum());
            let least = wants.iter().map(|one| shares.held(*one)).min().unwrap_or_default();
            prop_assert!(left == 0 || least == fair, "{left} are left, and somebody has {least} of {fair}");
        }

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
