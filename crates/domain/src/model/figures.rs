//! Figures of a campaign for people: by day, by step, and the rates with their denominators.

use super::ids::{LinkNo, StepId, StepNo};
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Opens, or clicks: every one and mails, of all and of people.
///
/// What programs did (mail scanners, image proxies) is within the first two and not within the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every one.
    pub total: i64,
    /// Mails, each once.
    pub unique: i64,
    /// Every one by a person.
    pub human_total: i64,
    /// Mails, each once, at the first by a person.
    pub human_unique: i64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.unique += other.unique;
        self.human_total += other.human_total;
        self.human_unique += other.human_unique;
    }
}

/// What happened, as counted. Everything but the totals counts mails, each once, at the first time.
///
/// A mail that comes back counts twice, each time in its own place: as [`returned`](Self::returned) when it came back, and as
/// [`undelivered`](Self::undelivered) when it had been sent. So a day's bounces are those that came that day, and a day's deliveries
/// are those of its own mails, which may become fewer later and never fewer than none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted by the mail server.
    pub sent: i64,
    /// Recipients refused for good while sending.
    pub bounced: i64,
    /// Accepted, and sent back afterwards: counted when they came back.
    pub returned: i64,
    /// The same mails, as far as they count as sent: counted when they were sent.
    pub undelivered: i64,
    /// A provider says that it arrived.
    pub confirmed: i64,
    /// Opens.
    pub opens: Tally,
    /// Clicks.
    pub clicks: Tally,
    /// Answered by a person.
    pub replied: i64,
    /// Reported as spam.
    pub complained: i64,
    /// Contacts that unsubscribed through the mail.
    pub unsubscribed: i64,
}

impl Counts {
    /// Accepted and not sent back.
    pub fn delivered(&self) -> i64 {
        self.sent - self.undelivered
    }

    /// Refused while sending or sent back afterwards.
    pub fn bounces(&self) -> i64 {
        self.bounced + self.returned
    }

    /// Handed to the server and answered for good: accepted or refused.
    pub fn attempted(&self) -> i64 {
        self.sent + self.bounced
    }

    /// Delivered, of all attempted.
    pub fn delivery_rate(&self) -> f64 {
        rate(self.delivered(), self.attempted())
    }

    /// Bounced, of all attempted.
    pub fn bounce_rate(&self) -> f64 {
        rate(self.bounces(), self.attempted())
    }

    /// So many mails, of all delivered.
    pub fn of_delivered(&self, mails: i64) -> f64 {
        rate(mails, self.delivered())
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.bounced += other.bounced;
        self.returned += other.returned;
        self.undelivered += other.undelivered;
        self.confirmed += other.confirmed;
        self.opens += other.opens;
        self.clicks += other.clicks;
        self.replied += other.replied;
        self.complained += other.complained;
        self.unsubscribed += other.unsubscribed;
    }
}

/// `part` of `whole` in `0.0..=1.0`; nothing of nothing is nothing.
fn rate(part: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate of counts far below 2^52")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// One step's counts on one local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayOfStep {
    /// The day, in the zone that was asked for.
    pub day: NaiveDate,
    /// The step.
    pub step: StepNo,
    /// What happened.
    pub counts: Counts,
}

/// One link's clicks on one local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayOfLink {
    /// The day, in the zone that was asked for.
    pub day: NaiveDate,
    /// The step it is in.
    pub step: StepNo,
    /// Which link.
    pub link: LinkNo,
    /// How often it was followed.
    pub clicks: Tally,
}

/// A step's line in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLine {
    /// Its id.
    pub id: StepId,
    /// Its place.
    pub order: i16,
    /// Its name.
    pub name: String,
    /// What happened within the range, or on one day of it.
    pub counts: Counts,
}

/// A link's line in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLine {
    /// The step it is in.
    pub step: StepId,
    /// That step's place.
    pub order: i16,
    /// That step's name.
    pub name: String,
    /// Which link.
    pub no: LinkNo,
    /// Its address as its author wrote it; `None` when it came out of a placeholder whole.
    pub url: Option<String>,
    /// How often it was followed within the range, or on one day of it.
    pub clicks: Tally,
}

/// Figures over a range of days. Days and steps both add up to the totals, because both are sums of the same rows; a step's days add
/// up to its line, a link's to its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every day of the range, in order, those without mail too.
    pub days: Vec<(NaiveDate, Counts)>,
    /// All days together.
    pub totals: Counts,
    /// Every e-mail step, in order.
    pub steps: Vec<StepLine>,
    /// Every link that was followed, and those of the present texts, by step and in the order of the text.
    pub links: Vec<LinkLine>,
    /// Each day's steps of which something was counted that day, by day and in the order of `steps`.
    pub step_days: Vec<(NaiveDate, StepLine)>,
    /// Each day's links that were followed that day, by day and in the order of `links`.
    pub link_days: Vec<(NaiveDate, LinkLine)>,
}

impl Report {
    /// Adds rows up over `first..=last`. Rows of steps that are not in `steps` belong to no line and are left out of none of the sums.
    pub fn of(first: NaiveDate, last: NaiveDate, rows: &[DayOfStep], mut steps: Vec<(StepNo, StepLine)>) -> Self {
        let mut days: Vec<_> =
            first.iter_days().take_while(|day| *day <= last).map(|day| (day, Counts::default())).collect();
        let mut totals = Counts::default();
        let mut cells: BTreeMap<(NaiveDate, usize), Counts> = BTreeMap::new();
        for row in rows {
            if let Ok(at) = days.binary_search_by_key(&row.day, |(day, _)| *day) {
                days[at].1 += row.counts;
                totals += row.counts;
                if let Some(step) = steps.iter().position(|(no, _)| *no == row.step) {
                    *cells.entry((row.day, step)).or_default() += row.counts;
                }
            }
        }
        cells.retain(|_, counts| *counts != Counts::default());
        let on_day = |((day, step), counts): (&(NaiveDate, usize), &Counts)| {
            (*day, StepLine { counts: *counts, ..steps[*step].1.clone() })
        };
        let step_days = cells.iter().map(on_day).collect();
        for ((_, step), counts) in cells {
            steps[step].1.counts += counts;
        }
        let steps = steps.into_iter().map(|(_, line)| line).collect();
        Self { days, totals, steps, links: Vec::new(), step_days, link_days: Vec::new() }
    }

    /// The same with `links` and, from the clicks of each day, the days of each.
    #[must_use]
    pub fn with_links(self, links: Vec<LinkLine>, clicked: &[(NaiveDate, StepId, LinkNo, Tally)]) -> Self {
        let place: BTreeMap<_, _> = links.iter().enumerate().map(|(at, line)| ((line.step, line.no), at)).collect();
        let on_day = |(day, step, link, clicks): &(NaiveDate, StepId, LinkNo, Tally)| {
            place.get(&(*step, *link)).map(|at| ((*day, *at), *clicks))
        };
        let cells: BTreeMap<_, _> = clicked.iter().filter_map(on_day).collect();
        let line = |((day, at), clicks): ((NaiveDate, usize), Tally)| (day, LinkLine { clicks, ..links[at].clone() });
        Self { link_days: cells.into_iter().map(line).collect(), links, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_steps_add_up_to_the_totals() {
        let line =
            |order| StepLine { id: StepId(uuid::Uuid::nil()), order, name: String::new(), counts: Counts::default() };
        let row = |at, step, sent| DayOfStep {
            day: day(at),
            step: StepNo(step),
            counts: Counts { sent, ..Counts::default() },
        };
        let rows =
            [row("2026-01-01", 1, 5), row("2026-01-03", 1, 2), row("2026-01-03", 2, 4), row("2026-01-09", 1, 100)];
        let report =
            Report::of(day("2026-01-01"), day("2026-01-03"), &rows, vec![(StepNo(1), line(1)), (StepNo(2), line(2))]);
        assert_eq!(report.days.iter().map(|(_, c)| c.sent).collect::<Vec<_>>(), [5, 0, 6]);
        assert_eq!(report.totals.sent, 11);
        assert_eq!(report.steps.iter().map(|s| s.counts.sent).collect::<Vec<_>>(), [7, 4]);
        let cells: Vec<_> = report.step_days.iter().map(|(at, line)| (*at, line.order, line.counts.sent)).collect();
        assert_eq!(cells, [(day("2026-01-01"), 1, 5), (day("2026-01-03"), 1, 2), (day("2026-01-03"), 2, 4)]);
    }

    #[test]
    fn days_of_steps_and_links_come_in_the_order_of_the_text_and_only_where_there_is_something() {
        let id = |n| StepId(uuid::Uuid::from_u128(n));
        let step = |n: i16| StepLine {
            id: id(n.unsigned_abs().into()),
            order: n,
            name: String::new(),
            counts: Counts::default(),
        };
        let row = |at, step, sent| DayOfStep {
            day: day(at),
            step: StepNo(step),
            counts: Counts { sent, ..Counts::default() },
        };
        // A step that was made first stands second by now; what was counted and taken back is nothing.
        let rows =
            [row("2026-01-01", 1, 5), row("2026-01-01", 2, 6), row("2026-01-02", 1, 3), row("2026-01-02", 1, -3)];
        let steps = vec![(StepNo(2), step(2)), (StepNo(1), step(1))];
        let report = Report::of(day("2026-01-01"), day("2026-01-02"), &rows, steps);
        let cells: Vec<_> = report.step_days.iter().map(|(at, line)| (*at, line.order, line.counts.sent)).collect();
        assert_eq!(cells, [(day("2026-01-01"), 2, 6), (day("2026-01-01"), 1, 5)]);

        let link = |step: i16, no| LinkLine {
            step: id(step.unsigned_abs().into()),
            order: step,
            name: String::new(),
            no: LinkNo(no),
            url: None,
            clicks: Tally { total: 9, ..Tally::default() },
        };
        let clicks = |total| Tally { total, ..Tally::default() };
        let clicked = [
            (day("2026-01-02"), id(2), LinkNo(7), clicks(4)),
            (day("2026-01-01"), id(1), LinkNo(8), clicks(3)),
            (day("2026-01-01"), id(2), LinkNo(7), clicks(2)),
            (day("2026-01-01"), id(2), LinkNo(8), clicks(1)),
        ];
        let report = report.with_links(vec![link(2, 8), link(2, 7), link(2, 6), link(1, 8)], &clicked);
        let cells: Vec<_> =
            report.link_days.iter().map(|(at, line)| (*at, line.order, line.no.0, line.clicks.total)).collect();
        let (first, second) = (day("2026-01-01"), day("2026-01-02"));
        assert_eq!(cells, [(first, 2, 8, 1), (first, 2, 7, 2), (first, 1, 8, 3), (second, 2, 7, 4)]);
        assert_eq!(report.links[0].clicks.total, 9, "the range's");
    }

    #[test]
    fn a_rate_of_nothing_is_a_number() {
        assert!(Counts::default().delivery_rate().abs() < f64::EPSILON);
        let counts = Counts { sent: 3, bounced: 1, ..Counts::default() };
        assert!((counts.delivery_rate() - 0.75).abs() < f64::EPSILON);
    }

    #[test]
    fn what_was_sent_back_was_not_delivered() {
        let counts = Counts { sent: 5, bounced: 3, returned: 1, undelivered: 1, unsubscribed: 2, ..Counts::default() };
        assert_eq!((counts.delivered(), counts.bounces(), counts.attempted()), (4, 4, 8));
        assert!((counts.delivery_rate() - 0.5).abs() < f64::EPSILON);
        assert!((counts.bounce_rate() - 0.5).abs() < f64::EPSILON);
        assert!((counts.of_delivered(counts.unsubscribed) - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_mail_that_comes_back_another_day_is_a_bounce_of_that_day_and_no_delivery_of_its_own() {
        let row = |at, counts| DayOfStep { day: day(at), step: StepNo(1), counts };
        let sent = Counts { sent: 3, undelivered: 1, ..Counts::default() };
        let came_back = Counts { returned: 1, ..Counts::default() };
        let rows = [row("2026-01-01", sent), row("2026-01-02", came_back)];
        let report = Report::of(day("2026-01-01"), day("2026-01-02"), &rows, Vec::new());
        let told: Vec<_> = report.days.iter().map(|(_, counts)| (counts.delivered(), counts.bounces())).collect();
        assert_eq!((told, report.totals.delivered(), report.totals.bounces()), (vec![(2, 0), (0, 1)], 2, 1));
    }
}
