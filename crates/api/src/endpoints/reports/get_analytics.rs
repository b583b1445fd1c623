//! `GET /api/campaigns/{id}/analytics`

use super::figures::FiguresResponse;
use crate::csv_table::{CsvTable, attachment};
use crate::extract::{CampaignsRead, Can, Fields, FromFields, InPath, Item, NDJSON, Params, Wanted};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::http::header;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use chrono_tz::Tz;
use muster_domain::model::figures::{LinkLine, Report, StepLine};
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::get_analytics::{self as story, AnalyticsError, GetAnalytics};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Over which days, and whose.
pub(crate) struct RangeParams {
    first: NaiveDate,
    last: NaiveDate,
    timezone: Option<Tz>,
}

/// The parameters, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `RangeParams` reads")]
struct Range {
    /// The first day.
    #[param(rename = "startDate")]
    start_date: NaiveDate,
    /// The last day, included.
    #[param(rename = "endDate")]
    end_date: NaiveDate,
    /// An IANA time zone; the campaign's when absent.
    timezone: Option<String>,
}

impl FromFields for RangeParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let first = fields.required("startDate", Item::date);
        let last = fields.required("endDate", Item::date);
        let timezone =
            fields.optional("timezone", |value| value.one_of(&["an IANA time zone"], |name| name.parse().ok()));
        Some(Self { first: first?, last: last?, timezone: timezone? })
    }
}

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
}

/// One day.
#[derive(Serialize, ToSchema)]
#[schema(as = AnalyticsDay)]
pub(crate) struct DayResponse {
    /// Which, in the time zone that was asked for.
    date: NaiveDate,
    #[serde(flatten)]
    figures: FiguresResponse,
}

/// One step.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnalyticsStep)]
pub(crate) struct StepResponse {
    step_id: Uuid,
    step_order: i16,
    name: String,
    #[serde(flatten)]
    figures: FiguresResponse,
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
    /// Mails in which a person followed it.
    unique_clicks: i64,
    total_clicks: i64,
    /// Mails in which a person or a program followed it.
    all_unique_clicks: i64,
    all_total_clicks: i64,
}

impl From<LinkLine> for LinkResponse {
    fn from(line: LinkLine) -> Self {
        Self {
            step_id: line.step.0,
            step_order: line.order,
            url: line.url,
            unique_clicks: line.clicks.human_unique,
            total_clicks: line.clicks.human_total,
            all_unique_clicks: line.clicks.unique,
            all_total_clicks: line.clicks.total,
        }
    }
}

impl From<StepLine> for StepResponse {
    fn from(line: StepLine) -> Self {
        Self { step_id: line.id.0, step_order: line.order, name: line.name, figures: line.counts.into() }
    }
}

impl From<Report> for AnalyticsResponse {
    fn from(report: Report) -> Self {
        let day = |(date, counts): (NaiveDate, _)| DayResponse { date, figures: FiguresResponse::from(counts) };
        Self {
            overall: report.days.into_iter().map(day).collect(),
            totals: report.totals.into(),
            by_step: report.steps.into_iter().map(Into::into).collect(),
            by_link: report.links.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<AnalyticsError> for Problem {
    fn from(error: AnalyticsError) -> Self {
        match error {
            AnalyticsError::NotFound => Self::NotFound,
            AnalyticsError::Invalid(problems) => Self::Invalid(problems),
            AnalyticsError::Store(error) => Self::Store(error),
        }
    }
}

/// What happened on each day of a range and at each step.
///
/// With `Accept: text/csv` the days are a table to download: the date, then the figures under the names they have here.
/// With `Accept: application/x-ndjson` they are lines, each a day as it is here.
#[utoipa::path(
    operation_id = "get_analytics",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign"), Range),
    responses((status = 200, description = "The figures", content(
        (AnalyticsResponse = "application/json"),
        (String = "text/csv"),
        (String = "application/x-ndjson")
    )))
)]
#[get("/campaigns/{id}/analytics")]
pub(crate) async fn get_analytics(
    caller: Can<CampaignsRead>,
    id: InPath<CampaignId>,
    range: Params<RangeParams>,
    wanted: Wanted,
) -> Answer {
    let command = GetAnalytics { id: id.0, first: range.first, last: range.last, timezone: range.timezone };
    let tracker = caller.state.tracker.as_ref();
    let report = caller.read(async |tx| story::get_analytics(tx, tracker, command).await).await?;
    let name = format!("analytics-{}-{}-{}", id.0, range.first, range.last);
    match wanted {
        Wanted::Json => Ok(HttpResponse::Ok().json(AnalyticsResponse::from(report))),
        Wanted::Csv => day_table(&report)?.download(format!("{name}.csv")),
        Wanted::Ndjson => {
            let lines = day_lines(&report)?;
            Ok(HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, NDJSON))
                .insert_header(attachment(format!("{name}.ndjson")))
                .body(lines))
        }
    }
}

/// A line for each day, as JSON shows it.
fn day_lines(report: &Report) -> Result<Vec<u8>, Problem> {
    let mut lines = Vec::new();
    for (date, counts) in &report.days {
        let day = DayResponse { date: *date, figures: FiguresResponse::from(*counts) };
        serde_json::to_writer(&mut lines, &day).map_err(Problem::internal)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// A row for each day.
fn day_table(report: &Report) -> Result<CsvTable, Problem> {
    let names = FiguresResponse::from(report.totals).cells().map(|(name, _)| name);
    let mut table = CsvTable::new(&[&["date"], names.as_slice()].concat())?;
    for (date, counts) in &report.days {
        let figures = FiguresResponse::from(*counts).cells().map(|(_, cell)| cell);
        table.row([date.to_string()].into_iter().chain(figures))?;
    }
    Ok(table)
}
