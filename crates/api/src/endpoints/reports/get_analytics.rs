//! `GET /api/campaigns/{id}/analytics`

use super::analytics::AnalyticsResponse;
use super::rows::{Grouping, Rows};
use crate::extract::{CampaignsRead, Can, Fields, FromFields, InPath, Item, Params, Wanted};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use chrono_tz::Tz;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::get_analytics::{self as story, AnalyticsError, GetAnalytics};
use utoipa::IntoParams;
use utoipa::openapi::Object;

/// Over which days, and whose.
pub(crate) struct RangeParams {
    first: NaiveDate,
    last: NaiveDate,
    timezone: Option<Tz>,
    grouping: Option<Grouping>,
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
    /// What rows are about.
    #[param(rename = "groupBy", schema_with = groupings)]
    group_by: Option<String>,
}

fn groupings() -> Object {
    let description = "What the rows of a download are about; days when absent. JSON has days, steps and links always, and with \
        `dayStep` and `dayLink` it has `byDayStep` and `byDayLink` too.";
    crate::openapi::one_of(Grouping::ALL.map(Grouping::as_str)).description(Some(description)).build()
}

impl FromFields for RangeParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let first = fields.required("startDate", Item::date);
        let last = fields.required("endDate", Item::date);
        let timezone =
            fields.optional("timezone", |value| value.one_of(&["an IANA time zone"], |name| name.parse().ok()));
        let names = Grouping::ALL.map(Grouping::as_str);
        let grouping = fields.optional("groupBy", |value| value.one_of(&names, Grouping::parse));
        Some(Self { first: first?, last: last?, timezone: timezone?, grouping: grouping? })
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

/// What happened on each day of a range, at each step and with each link.
///
/// With `Accept: text/csv` the answer is a table to download: what each row is about, then the figures under the names they have here.
/// With `Accept: application/x-ndjson` it is lines of JSON, each such a row. `groupBy` says what rows are about: every day of the range
/// (`day`), every step (`step`), every link (`link`), or the steps (`dayStep`) or links (`dayLink`) of each day on which something of
/// them was counted. Rows of steps add up to the totals, and those of one day to that day.
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
#[get("/{id}/analytics")]
pub(crate) async fn get_analytics(
    caller: Can<CampaignsRead>,
    id: InPath<CampaignId>,
    range: Params<RangeParams>,
    wanted: Wanted,
) -> Answer {
    let command = GetAnalytics { id: id.0, first: range.first, last: range.last, timezone: range.timezone };
    let tracker = caller.state.tracker.as_ref();
    let report = caller.read(async |tx| story::get_analytics(tx, tracker, command).await).await?;
    let grouping = range.grouping.unwrap_or(Grouping::Day);
    let name = format!("analytics-{}-{}-{}{}", id.0, range.first, range.last, grouping.suffix());
    match wanted {
        Wanted::Json => Ok(HttpResponse::Ok().json(AnalyticsResponse::of(report, grouping))),
        Wanted::Csv => Rows::of(report, grouping).csv(&name),
        Wanted::Ndjson => Rows::of(report, grouping).ndjson(&name),
    }
}
