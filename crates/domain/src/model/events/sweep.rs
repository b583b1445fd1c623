//! Telling a scanner that follows every link from a person who follows some.

use crate::model::ids::LinkNo;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use uuid::Uuid;

/// Within this long a program follows every link; a person does not.
const AT_ONCE: TimeDelta = TimeDelta::seconds(2);

/// A click as a row keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Click {
    /// Its name.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// On which link.
    pub link: LinkNo,
    /// As far as is known by now, by a person.
    pub human: bool,
}

/// The clicks of one mail that lie within two seconds in which each of its `links` links was followed, as indices.
///
/// Decided from the set of clicks alone, in whatever order they came to be known. A mail with a single link says
/// nothing: everybody who follows it follows all.
pub fn swept(clicks: &[Click], links: i16) -> Vec<usize> {
    let links = usize::try_from(links).unwrap_or(0);
    if links < 2 || clicks.len() < links {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..clicks.len()).collect();
    order.sort_by_key(|index| clicks[*index].at);
    let (mut found, mut first, mut within) = (vec![false; clicks.len()], 0, HashMap::<LinkNo, usize>::new());
    for last in 0..order.len() {
        *within.entry(clicks[order[last]].link).or_default() += 1;
        while clicks[order[last]].at - clicks[order[first]].at > AT_ONCE {
            let link = clicks[order[first]].link;
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
    order.iter().zip(found).filter_map(|(index, found)| found.then_some(*index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(of: &[(i64, i64)]) -> Vec<Click> {
        let click = |(millis, link): &(i64, i64)| Click {
            id: Uuid::nil(),
            at: DateTime::from_timestamp_millis(*millis).unwrap(),
            link: LinkNo(*link),
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
        assert_eq!(found(&[(60_000, 2), (100, 2), (0, 1)], 2), [1, 2]);
    }

    #[test]
    fn a_mail_with_one_link_says_nothing() {
        assert!(found(&[(0, 1), (1, 1)], 1).is_empty());
        assert!(found(&[], 0).is_empty());
    }

    #[test]
    fn the_same_link_again_and_again_is_one_link() {
        assert!(found(&[(0, 1), (1, 1), (2, 1)], 2).is_empty());
        assert_eq!(found(&[(0, 1), (1000, 1), (3000, 2), (5100, 1)], 2), [1, 2], "windows slide");
    }
}
