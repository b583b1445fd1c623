//! Telling scanners, which follow every link or the one that no person sees, from people, who follow some.

use crate::model::ids::LinkNo;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use uuid::Uuid;

/// Links that a mail has to have at least for that: two are soon followed by hand, one after the other.
pub const FEWEST_LINKS: i16 = 3;
/// Within this long a program follows every link; a person does not.
const AT_ONCE: TimeDelta = TimeDelta::seconds(2);

/// An open or a click as a row keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// On which link; `None` for the image, and for the link that no person sees.
    pub link: Option<LinkNo>,
    /// As far as is known by now, by a person.
    pub human: bool,
}

/// Whether what was seen `at` that time is the doing of whoever followed the hidden link at one of `trapped`: within two
/// seconds, before or after. Decided from the times alone, in whatever order they came to be known.
pub fn caught(at: DateTime<Utc>, trapped: &[DateTime<Utc>]) -> bool {
    trapped.iter().any(|trap| (*trap - at).abs() <= AT_ONCE)
}

/// The clicks of one mail that lie within two seconds in which each of its `links` links was followed, as indices.
///
/// Decided from the set of clicks alone, in whatever order they came to be known. A mail with few links says nothing: people follow
/// all of them, too.
pub fn swept(clicks: &[Seen], links: i16) -> Vec<usize> {
    let Some(links) = usize::try_from(links).ok().filter(|_| links >= FEWEST_LINKS) else { return Vec::new() };
    if clicks.len() < links {
        return Vec::new();
    }
    let followed = |index: &usize| Some((*index, clicks[*index].at, clicks[*index].link?));
    let mut order: Vec<_> = (0..clicks.len()).filter_map(|index| followed(&index)).collect();
    order.sort_by_key(|(_, at, _)| *at);
    let (mut found, mut first, mut within) = (vec![false; order.len()], 0, HashMap::<LinkNo, usize>::new());
    for last in 0..order.len() {
        let (_, now, link) = order[last];
        *within.entry(link).or_default() += 1;
        while now - order[first].1 > AT_ONCE {
            let (_, _, link) = order[first];
            if let Some(count) = within.get_mut(&link) {
                *count -= 1;
                if *count == 0 {
                    within.remove(&link);
                }
            }
            first += 1;
        }
        if within.len() >= links {
            found[first..=last].fill(true);
        }
    }
    order.iter().zip(found).filter_map(|((index, ..), found)| found.then_some(*index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    /// Link 0 is the hidden one.
    fn clicks(of: &[(i64, i64)]) -> Vec<Seen> {
        let click = |(millis, link): &(i64, i64)| Seen {
            id: Uuid::nil(),
            at: at(*millis),
            link: (*link != 0).then_some(LinkNo(*link)),
            human: true,
        };
        of.iter().map(click).collect()
    }

    fn found(of: &[(i64, i64)], links: i16) -> Vec<usize> {
        let mut found = swept(&clicks(of), links);
        found.sort_unstable();
        found
    }

    #[test]
    fn every_link_within_two_seconds_is_a_program() {
        assert_eq!(found(&[(0, 1), (900, 2), (2000, 3)], 3), [0, 1, 2]);
        assert!(found(&[(0, 1), (900, 2), (2001, 3)], 3).is_empty());
        assert!(found(&[(0, 1), (900, 2)], 3).is_empty(), "not every link");
    }

    #[test]
    fn a_person_who_comes_later_is_a_person() {
        assert_eq!(found(&[(60_000, 2), (100, 2), (0, 1), (200, 3)], 3), [1, 2, 3]);
    }

    #[test]
    fn the_hidden_link_is_none_of_the_links() {
        assert!(found(&[(0, 1), (1, 0), (2, 2)], 3).is_empty());
        assert_eq!(found(&[(0, 1), (1, 0), (2, 2), (3, 3)], 3), [0, 2, 3]);
    }

    #[test]
    fn what_is_seen_within_two_seconds_of_the_hidden_link_is_a_programs() {
        let trapped = [at(10_000), at(60_000)];
        for (millis, expected) in
            [(7_999, false), (8_000, true), (10_000, true), (12_000, true), (12_001, false), (61_000, true)]
        {
            assert_eq!(caught(at(millis), &trapped), expected, "{millis}");
        }
        assert!(!caught(at(0), &[]));
    }

    #[test]
    fn a_mail_with_few_links_says_nothing() {
        assert!(found(&[(0, 1), (1, 1)], 1).is_empty());
        assert!(found(&[(0, 1), (1, 2)], 2).is_empty());
        assert!(found(&[], 0).is_empty());
    }

    #[test]
    fn the_same_link_again_and_again_is_one_link() {
        assert!(found(&[(0, 1), (1, 1), (2, 2), (3, 1)], 3).is_empty());
        assert_eq!(found(&[(0, 1), (1000, 1), (1500, 3), (3000, 2), (5100, 1)], 3), [1, 2, 3], "windows slide");
    }
}
