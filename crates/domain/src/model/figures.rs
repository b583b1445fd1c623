//! Figures of a campaign for people: by day, by step, and the rates with their denominators.

use super::ids::{LinkNo, StepId, StepNo};
use chrono::NaiveDate;
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted by the mail server.
    pub sent: i64,
    /// Recipients refused for good while sending.
    pub bounced: i64,
    /// Accepted, and sent back afterwards.
    pub returned: i64,
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
        self.sent - self.returned
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

/// A step's line in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLine {
    /// Its id.
    pub id: StepId,
    /// Its place.
    pub order: i16,
    /// Its name.
    pub name: String,
    /// What happened within the range.
    pub counts: Counts,
}

/// A link's line in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLine {
    /// The step it is in.
    pub step: StepId,
    /// That step's place.
    pub order: i16,
    /// Which link.
    pub no: LinkNo,
    /// Its address as its author wrote it; `None` when it came out of a placeholder whole.
    pub url: Option<String>,
    /// How often it was followed.
    pub clicks: Tally,
}

/// Figures over a range of days. Days and steps both add up to the totals, because both are sums of the same rows.
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
}

impl Report {
    /// Adds rows up over `first..=last`. Rows of steps that are not in `steps` belong to no line and are left out of none of the sums.
    pub fn of(first: NaiveDate, last: NaiveDate, rows: &[DayOfStep], mut steps: Vec<(StepNo, StepLine)>) -> Self {
        let mut days: Vec<_> =
            first.iter_days().take_while(|day| *day <= last).map(|day| (day, Counts::default())).collect();
        let mut totals = Counts::default();
        for row in rows {
            if let Ok(at) = days.binary_search_by_key(&row.day, |(day, _)| *day) {
                days[at].1 += row.counts;
                totals += row.counts;
                if let Some((_, line)) = steps.iter_mut().find(|(no, _)| *no == row.step) {
                    line.counts += row.counts;
                }
            }
        }
        Self { days, totals, steps: steps.into_iter().map(|(_, line)| line).collect(), links: Vec::new() }
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
    }

    #[test]
    fn a_rate_of_nothing_is_a_number() {
        assert!(Counts::default().delivery_rate().abs() < f64::EPSILON);
        let counts = Counts { sent: 3, bounced: 1, ..Counts::default() };
        assert!((counts.delivery_rate() - 0.75).abs() < f64::EPSILON);
    }

    #[test]
    fn what_was_sent_back_was_not_delivered() {
        let counts = Counts { sent: 5, bounced: 3, returned: 1, unsubscribed: 2, ..Counts::default() };
        assert_eq!((counts.delivered(), counts.bounces(), counts.attempted()), (4, 4, 8));
        assert!((counts.delivery_rate() - 0.5).abs() < f64::EPSILON);
        assert!((counts.bounce_rate() - 0.5).abs() < f64::EPSILON);
        assert!((counts.of_delivered(counts.unsubscribed) - 0.5).abs() < f64::EPSILON);
    }
}
