//! Figures of a campaign over a range of days.

use crate::model::figures::Report;
use crate::model::ids::CampaignId;
use crate::model::problem::FieldProblems;
use crate::ports::store::{StoreError, Tx};
use chrono::NaiveDate;
use chrono_tz::Tz;

/// No report is longer, in days.
pub const MAX_DAYS: i64 = 3_660;

/// Report on this campaign.
#[derive(Debug, Clone, Copy)]
pub struct GetAnalytics {
    /// Which.
    pub id: CampaignId,
    /// The first day.
    pub first: NaiveDate,
    /// The last day, included.
    pub last: NaiveDate,
    /// Whose days; the campaign's zone when absent.
    pub timezone: Option<Tz>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// The range makes no sense.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The figures by day and by step; both add up to the totals.
pub async fn get_analytics(tx: &mut Tx, command: GetAnalytics) -> Result<Report, AnalyticsError> {
    let campaign = tx.campaigns().find(command.id).await?.ok_or(AnalyticsError::NotFound)?;
    let days = (command.last - command.first).num_days();
    if days < 0 {
        let detail = "the end date comes before the start date";
        return Err(AnalyticsError::Invalid(FieldProblems::one("/endDate", "dates_reversed", detail)));
    }
    if days >= MAX_DAYS {
        let detail = format!("a report covers at most {MAX_DAYS} days");
        return Err(AnalyticsError::Invalid(FieldProblems::one("/endDate", "range_too_long", detail)));
    }
    let timezone = command.timezone.unwrap_or(campaign.content.schedule.timezone);
    let rows = tx.analytics().days(&campaign, timezone, command.first, command.last).await?;
    let lines = tx.analytics().step_lines(&campaign).await?;
    Ok(Report::of(command.first, command.last, &rows, lines))
}
