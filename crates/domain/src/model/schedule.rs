//! When a campaign may send: its start, its window, its blackout dates, all in one time zone.

use super::guard_rails::GuardRails;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

/// A day of the week, as written in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    /// Every day, from Monday.
    pub const ALL: [Weekday; 7] =
        [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Weekday::Mon => "mon",
            Weekday::Tue => "tue",
            Weekday::Wed => "wed",
            Weekday::Thu => "thu",
            Weekday::Fri => "fri",
            Weekday::Sat => "sat",
            Weekday::Sun => "sun",
        }
    }

    /// The day of that name.
    pub fn parse(name: &str) -> Option<Weekday> {
        Self::ALL.into_iter().find(|day| day.as_str() == name)
    }
}

/// Local hours on local days in which mail may begin. `from` is included, `to` is not; `to <= from` runs past midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// The days on which the window opens, at least one.
    pub days: Vec<Weekday>,
    /// When it opens, local time.
    pub from: NaiveTime,
    /// When it closes, local time.
    pub to: NaiveTime,
}

/// When a campaign may send. Empty fields mean no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Start by itself at this instant; set by scheduling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<DateTime<Utc>>,
    /// The zone in which windows, blackout dates, daily limits and days of reports are meant.
    pub timezone: chrono_tz::Tz,
    /// Hours in which mail may begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Local dates on which no mail begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blackout_dates: Vec<NaiveDate>,
}

/// How the mails of a campaign begin, as written in requests. Nothing is stored: it follows from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStrategy {
    /// When somebody launches it.
    Immediate,
    /// At `startAt`.
    Scheduled,
}

impl SendStrategy {
    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            SendStrategy::Immediate => "immediate",
            SendStrategy::Scheduled => "scheduled",
        }
    }

    /// The strategy of that name.
    pub fn parse(name: &str) -> Option<SendStrategy> {
        [SendStrategy::Immediate, SendStrategy::Scheduled].into_iter().find(|strategy| strategy.as_str() == name)
    }
}

impl Schedule {
    /// How its mails begin.
    pub fn send_strategy(&self) -> SendStrategy {
        if self.start_at.is_some() { SendStrategy::Scheduled } else { SendStrategy::Immediate }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { start_at: None, timezone: chrono_tz::UTC, window: None, blackout_dates: Vec::new() }
    }
}

/// What becomes of a delivery whose outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInDoubt {
    /// It stays in doubt until somebody or something settles it: at most one copy arrives.
    #[default]
    Hold,
    /// It is sent once more under the same Message-ID: at least one copy arrives.
    Resend,
}

impl OnInDoubt {
    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            OnInDoubt::Hold => "hold",
            OnInDoubt::Resend => "resend",
        }
    }

    /// The policy of that name.
    pub fn parse(name: &str) -> Option<OnInDoubt> {
        [OnInDoubt::Hold, OnInDoubt::Resend].into_iter().find(|policy| policy.as_str() == name)
    }
}

/// How a campaign behaves. Every field acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Mails carry an image that tells when they are opened.
    pub track_opens: bool,
    /// Links lead by way of us, so that clicks are counted.
    pub track_clicks: bool,
    /// Mails carry one-click unsubscribe headers (RFC 8058) and a link in their footer.
    pub unsubscribe_enabled: bool,
    /// Who sends and where they can be reached by post; stands in the footer of every mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_address: Option<String>,
    /// No more deliveries than this begin in a local day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<i32>,
    /// No more deliveries than this begin in an hour of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly_limit: Option<i32>,
    /// A contact that answers a mail leaves the campaign.
    pub stop_on_reply: bool,
    /// What becomes of a delivery whose outcome is not known.
    pub on_in_doubt: OnInDoubt,
    /// When the campaign pauses itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard_rails: Option<GuardRails>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            track_opens: false,
            track_clicks: false,
            unsubscribe_enabled: true,
            postal_address: None,
            daily_limit: None,
            hourly_limit: None,
            stop_on_reply: false,
            on_in_doubt: OnInDoubt::Hold,
            guard_rails: None,
        }
    }
}
