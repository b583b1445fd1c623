//! Figures over a range of days, as answers show them.

use super::figures::{ClicksResponse, FiguresResponse};
use super::rows::Grouping;
use chrono::NaiveDate;
use muster_domain::model::figures::{Counts, LinkLine, Report, StepLine};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Figures over a range of days.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Analytics)]
pub(crate) struct AnalyticsResponse {
    /// One row a day, days without mail included.
    overall: Vec<DayResponse>,
    /// All days together.
    totals: FiguresResponse,
    /// One row for each e-mail step; they add up to the totals.
    by_step: Vec<StepResponse>,
    /// One row for each link that was followed, and for those of the present texts.
    by_link: Vec<LinkResponse>,
    /// With `groupBy=dayStep`: one row for each step of a day on which something of it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by_day_step: Option<Vec<DayStepResponse>>,
    /// With `groupBy=dayLink`: one row for each link of a day on which it was followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by_day_link: Option<Vec<DayLinkResponse>>,
}

/// One day.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = AnalyticsDay)]
pub(crate) struct DayResponse {
    /// Which, in the time zone that was asked for.
    pub(super) date: NaiveDate,
    #[serde(flatten)]
    pub(super) figures: FiguresResponse,
}

/// One step.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnalyticsStep)]
pub(crate) struct StepResponse {
    pub(super) step_id: Uuid,
    pub(super) step_order: i16,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) figures: FiguresResponse,
}

/// One step on one day.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = AnalyticsDayStep)]
pub(crate) struct DayStepResponse {
    /// Which day, in the time zone that was asked for.
    pub(super) date: NaiveDate,
    #[serde(flatten)]
    pub(super) step: StepResponse,
}

/// One link of one step.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnalyticsLink)]
pub(crate) struct LinkResponse {
    step_id: Uuid,
    step_order: i16,
    /// As its author wrote it, placeholders included; null for one that came out of a placeholder whole.
    #[schema(required)]
    url: Option<String>,
    #[serde(flatten)]
    clicks: ClicksResponse,
}

/// One link of one step, on one day.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = AnalyticsDayLink)]
pub(crate) struct DayLinkResponse {
    /// Which day, in the time zone that was asked for.
    pub(super) date: NaiveDate,
    #[serde(flatten)]
    pub(super) link: NamedLink,
}

/// One link, with the name of its step.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnalyticsNamedLink)]
pub(crate) struct NamedLink {
    pub(super) step_id: Uuid,
    pub(super) step_order: i16,
    /// The step's name.
    pub(super) name: String,
    /// As its author wrote it, placeholders included; null for one that came out of a placeholder whole.
    #[schema(required)]
    pub(super) url: Option<String>,
    #[serde(flatten)]
    pub(super) clicks: ClicksResponse,
}

impl From<(NaiveDate, Counts)> for DayResponse {
    fn from((date, counts): (NaiveDate, Counts)) -> Self {
        Self { date, figures: counts.into() }
    }
}

impl From<StepLine> for StepResponse {
    fn from(line: StepLine) -> Self {
        Self { step_id: line.id.0, step_order: line.order, name: line.name, figures: line.counts.into() }
    }
}

impl From<(NaiveDate, StepLine)> for DayStepResponse {
    fn from((date, line): (NaiveDate, StepLine)) -> Self {
        Self { date, step: line.into() }
    }
}

impl From<LinkLine> for LinkResponse {
    fn from(line: LinkLine) -> Self {
        Self { step_id: line.step.0, step_order: line.order, url: line.url, clicks: line.clicks.into() }
    }
}

impl From<LinkLine> for NamedLink {
    fn from(line: LinkLine) -> Self {
        let LinkLine { step, order, name, url, clicks, .. } = line;
        Self { step_id: step.0, step_order: order, name, url, clicks: clicks.into() }
    }
}

impl From<(NaiveDate, LinkLine)> for DayLinkResponse {
    fn from((date, line): (NaiveDate, LinkLine)) -> Self {
        Self { date, link: line.into() }
    }
}

impl AnalyticsResponse {
    /// The report, with what `grouping` asks for beside what is there always.
    pub(super) fn of(report: Report, grouping: Grouping) -> Self {
        Self {
            by_day_step: (grouping == Grouping::DayStep).then(|| all(report.step_days)),
            by_day_link: (grouping == Grouping::DayLink).then(|| all(report.link_days)),
            overall: all(report.days),
            totals: report.totals.into(),
            by_step: all(report.steps),
            by_link: all(report.links),
        }
    }
}

/// Each of them as an answer shows it.
pub(super) fn all<L, R: From<L>>(lines: Vec<L>) -> Vec<R> {
    lines.into_iter().map(Into::into).collect()
}
