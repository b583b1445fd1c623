//! What one mail has seen of one kind, and what a change of that adds to the figures.

use super::EventKind;
use crate::model::books::BookEntries;
use crate::model::figures::{Counts, Tally};
use crate::model::ids::{LinkNo, StepNo};
use chrono::{DateTime, Utc};

/// Events of one mail and kind, added up. The same whatever order they are added in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Engagement {
    /// All of them.
    pub total: i64,
    /// Those of people.
    pub human_total: i64,
    /// When the first was.
    pub first_at: Option<DateTime<Utc>>,
    /// When the first of a person was.
    pub first_human_at: Option<DateTime<Utc>>,
    /// When the last of a person was.
    pub last_human_at: Option<DateTime<Utc>>,
}

impl Engagement {
    /// Adds an event.
    pub fn add(&mut self, at: DateTime<Utc>, human: bool) {
        let earlier = |known: Option<DateTime<Utc>>| Some(known.map_or(at, |known| known.min(at)));
        self.total += 1;
        self.first_at = earlier(self.first_at);
        if human {
            self.human_total += 1;
            self.first_human_at = earlier(self.first_human_at);
            self.last_human_at = self.last_human_at.max(Some(at));
        }
    }

    /// Takes back that events, `exposed`, were people's, when those of `left` are by now. What is older than every row that
    /// is kept stays known.
    pub fn expose(&mut self, exposed: &[DateTime<Utc>], left: &[DateTime<Utc>]) {
        self.human_total -= i64::try_from(exposed.len()).unwrap_or(i64::MAX);
        if self.human_total <= 0 {
            (self.first_human_at, self.last_human_at) = (None, None);
            return;
        }
        let was_exposed = |at: Option<DateTime<Utc>>| at.is_some_and(|at| exposed.contains(&at));
        if was_exposed(self.first_human_at) {
            self.first_human_at = left.iter().min().copied();
        }
        if was_exposed(self.last_human_at) {
            self.last_human_at = left.iter().max().copied().or(self.first_human_at);
        }
    }
}

/// Whose figures: the step's, or those of one of its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Which step's mail.
    pub step: StepNo,
    /// What of it.
    pub kind: EventKind,
    /// Only this link; the whole mail when `None`.
    pub link: Option<LinkNo>,
}

impl Subject {
    fn add(self, entries: &mut BookEntries, at: DateTime<Utc>, add: Tally) {
        match self.link {
            Some(link) => *entries.link(at, self.step, link) += add,
            None => entries.quarter(at, self.step).add(self.kind, add),
        }
    }
}

impl Counts {
    /// Of opens and clicks everything is counted; of the rest mails, each once, and only what people did.
    fn add(&mut self, kind: EventKind, add: Tally) {
        let mails = add.human_unique;
        match kind {
            EventKind::Opened => self.opens += add,
            EventKind::Clicked => self.clicks += add,
            EventKind::Replied => self.replied += mails,
            EventKind::Refused => self.bounced += mails,
            EventKind::Bounced => self.returned += mails,
            EventKind::Complained => self.complained += mails,
            EventKind::Delivered => self.confirmed += mails,
            EventKind::Unsubscribed => self.unsubscribed += mails,
        }
    }
}

/// A new event: it counts in its own quarter-hour.
pub fn add_event(entries: &mut BookEntries, of: Subject, at: DateTime<Utc>, human: bool) {
    of.add(entries, at, Tally { total: 1, human_total: i64::from(human), ..Tally::default() });
}

/// An event that was taken for a person's turns out to be a program's.
pub fn take_human(entries: &mut BookEntries, of: Subject, at: DateTime<Utc>) {
    of.add(entries, at, Tally { human_total: -1, ..Tally::default() });
}

/// The mail counts once, at its first event: when that is another one now, it moves from its quarter-hour to the other.
pub fn add_change(entries: &mut BookEntries, of: Subject, before: &Engagement, after: &Engagement) {
    let mut shift = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>, one: fn(i64) -> Tally| {
        if from != to {
            for (at, by) in from.map(|at| (at, -1)).into_iter().chain(to.map(|at| (at, 1))) {
                of.add(entries, at, one(by));
            }
        }
    };
    shift(before.first_at, after.first_at, |unique| Tally { unique, ..Tally::default() });
    shift(before.first_human_at, after.first_human_at, |human_unique| Tally { human_unique, ..Tally::default() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-01T{text}Z").parse().unwrap()
    }

    const OPENED: Subject = Subject { step: StepNo(1), kind: EventKind::Opened, link: None };

    #[test]
    fn a_mail_counts_at_its_first_open_whatever_order_they_come_in() {
        let events = [(at("10:20:00"), true), (at("10:05:00"), false), (at("10:50:00"), true)];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let posted = orders.map(|order| {
            let (mut entries, mut known) = (BookEntries::default(), Engagement::default());
            for index in order {
                let (when, human) = events[index];
                let before = known;
                known.add(when, human);
                add_event(&mut entries, OPENED, when, human);
                add_change(&mut entries, OPENED, &before, &known);
            }
            entries.quarters.retain(|_, counts| *counts != Counts::default());
            entries
        });
        let opens = |quarter: &str| posted[0].quarters[&(at(quarter), StepNo(1))].opens;
        assert_eq!(opens("10:00:00"), Tally { total: 1, unique: 1, human_total: 0, human_unique: 0 });
        assert_eq!(opens("10:15:00"), Tally { total: 1, unique: 0, human_total: 1, human_unique: 1 });
        assert_eq!(opens("10:45:00"), Tally { total: 1, unique: 0, human_total: 1, human_unique: 0 });
        assert!(posted.iter().all(|entries| *entries == posted[0]));
    }

    #[test]
    fn what_turns_out_to_be_a_programs_is_taken_back() {
        let times = ["10:00:00", "10:20:00", "10:40:00", "11:00:00"].map(at);
        let of = |people: &[DateTime<Utc>]| {
            let mut seen = Engagement::default();
            for at in &times {
                seen.add(*at, people.contains(at));
            }
            seen
        };
        for exposed in [&times[..1], &times[1..2], &times[3..], &times[..]] {
            let left: Vec<_> = times.iter().filter(|at| !exposed.contains(at)).copied().collect();
            let mut seen = of(&times);
            seen.expose(exposed, &left);
            assert_eq!(seen, of(&left), "{exposed:?}");
        }
        // Of the first two no rows are kept any more.
        let mut seen = of(&times);
        seen.expose(&times[2..], &[]);
        assert_eq!((seen.human_total, seen.first_human_at, seen.last_human_at), (2, Some(times[0]), Some(times[0])));
    }

    #[test]
    fn what_a_program_does_is_no_reply() {
        let mut entries = BookEntries::default();
        let replied = Subject { kind: EventKind::Replied, ..OPENED };
        let mut known = Engagement::default();
        known.add(at("10:00:00"), false);
        add_change(&mut entries, replied, &Engagement::default(), &known);
        assert_eq!(entries.quarter(at("10:00:00"), StepNo(1)).replied, 0);
    }
}
