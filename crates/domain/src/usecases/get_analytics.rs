//! Figures of a campaign over a range of days.

use crate::model::campaign::Campaign;
use crate::model::figures::{DayOfLink, LinkLine, Report, StepLine, Tally};
use crate::model::ids::{CampaignId, LinkNo, StepId, StepNo};
use crate::model::problem::FieldProblems;
use crate::model::sequence::{Sequence, StepKind};
use crate::ports::store::{StoreError, Tx};
use crate::ports::tracking::Tracker;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;

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

/// The figures by day, by step and by both; all add up to the totals. And how often each link was followed, over the range and day by day.
pub async fn get_analytics(
    tx: &mut Tx,
    tracker: &dyn Tracker,
    command: GetAnalytics,
) -> Result<Report, AnalyticsError> {
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
    let clicked = tx.analytics().link_days(&campaign, timezone, command.first, command.last).await?;
    let links = link_lines(tx, tracker, &campaign, &lines, over_the_range(&clicked)).await?;
    let ids: BTreeMap<StepNo, StepId> = lines.iter().map(|(no, line)| (*no, line.id)).collect();
    let clicked: Vec<_> =
        clicked.iter().filter_map(|row| Some((row.day, *ids.get(&row.step)?, row.link, row.clicks))).collect();
    Ok(Report::of(command.first, command.last, &rows, lines).with_links(links, &clicked))
}

fn over_the_range(clicked: &[DayOfLink]) -> BTreeMap<(StepNo, LinkNo), Tally> {
    let mut sums: BTreeMap<(StepNo, LinkNo), Tally> = BTreeMap::new();
    for row in clicked {
        *sums.entry((row.step, row.link)).or_default() += row.clicks;
    }
    sums
}

/// Links of the present texts with what was counted, then those of texts that are no more.
async fn link_lines(
    tx: &mut Tx,
    tracker: &dyn Tracker,
    campaign: &Campaign,
    steps: &[(StepNo, StepLine)],
    mut clicked: BTreeMap<(StepNo, LinkNo), Tally>,
) -> Result<Vec<LinkLine>, StoreError> {
    if clicked.is_empty() && !campaign.content.settings.track_clicks {
        return Ok(Vec::new());
    }
    let mut sequences = tx.analytics().sequences(campaign).await?.into_iter();
    let present = sequences.next().map(|sequence| links_of(tracker, &sequence)).unwrap_or_default();
    let mut found: Vec<(StepNo, LinkNo, String, Tally)> = Vec::new();
    let mut earlier = BTreeMap::new();
    for (step, no, url) in sequences.flat_map(|sequence| links_of(tracker, &sequence)) {
        earlier.entry((step, no)).or_insert(url);
    }
    for (step, no, url) in present {
        let known = found.iter().any(|(other, link, ..)| (*other, *link) == (step, no));
        let tally = clicked.remove(&(step, no));
        // A whole placeholder may lead anywhere, or nowhere: it is told of once it was followed.
        if !known && (tally.is_some() || url.starts_with("http")) {
            found.push((step, no, url, tally.unwrap_or_default()));
        }
    }
    let gone = clicked.into_iter().map(|((step, no), tally)| (step, no, earlier.remove(&(step, no)), tally));
    let all: Vec<_> =
        found.into_iter().map(|(step, no, url, tally)| (step, no, Some(url), tally)).chain(gone).collect();
    let of_step = |(step, line): &(StepNo, StepLine)| {
        let (step, id, order) = (*step, line.id, line.order);
        let mine = all.iter().filter(move |(of, ..)| *of == step).cloned();
        let line = move |(_, no, url, clicks)| LinkLine { step: id, order, name: line.name.clone(), no, url, clicks };
        mine.map(line).collect::<Vec<_>>()
    };
    Ok(steps.iter().flat_map(of_step).collect())
}

/// The links of every mail of a sequence, as they are numbered for sending.
fn links_of(tracker: &dyn Tracker, sequence: &Sequence) -> Vec<(StepNo, LinkNo, String)> {
    let links = sequence.steps.iter().flat_map(|step| match &step.kind {
        StepKind::Email { content, .. } => {
            let numbered = tracker.number(&content.email_content);
            numbered.links.iter().map(|(no, url)| (step.no, *no, url.clone())).collect()
        }
        _ => Vec::new(),
    });
    links.collect()
}
