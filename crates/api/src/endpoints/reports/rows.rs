//! Figures as rows to be downloaded: of days, of steps, of links, or of one day's steps or links.

use super::analytics::{DayLinkResponse, DayResponse, DayStepResponse, NamedLink, StepResponse, all};
use crate::csv_table::{CsvTable, attachment};
use crate::extract::NDJSON;
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::HttpResponse;
use actix_web::http::header;
use chrono::NaiveDate;
use muster_domain::model::figures::Report;
use serde::Serialize;
use uuid::Uuid;

/// What rows are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Every day of the range.
    Day,
    /// Every step.
    Step,
    /// Every link.
    Link,
    /// A step, on a day on which something of it was counted.
    DayStep,
    /// A link, on a day on which it was followed.
    DayLink,
}

impl Grouping {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Day, Self::Step, Self::Link, Self::DayStep, Self::DayLink];

    /// As callers name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Step => "step",
            Self::Link => "link",
            Self::DayStep => "dayStep",
            Self::DayLink => "dayLink",
        }
    }

    /// The one of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// What it adds to the name of a file.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Day => "",
            Self::Step => "-by-step",
            Self::Link => "-by-link",
            Self::DayStep => "-by-day-and-step",
            Self::DayLink => "-by-day-and-link",
        }
    }
}

/// The rows of a download.
pub(super) enum Rows {
    Days(Vec<DayResponse>),
    Steps(Vec<StepResponse>),
    Links(Vec<NamedLink>),
    DaySteps(Vec<DayStepResponse>),
    DayLinks(Vec<DayLinkResponse>),
}

impl Rows {
    /// Those of `report` that `grouping` asks for.
    pub(super) fn of(report: Report, grouping: Grouping) -> Self {
        match grouping {
            Grouping::Day => Self::Days(all(report.days)),
            Grouping::Step => Self::Steps(all(report.steps)),
            Grouping::Link => Self::Links(all(report.links)),
            Grouping::DayStep => Self::DaySteps(all(report.step_days)),
            Grouping::DayLink => Self::DayLinks(all(report.link_days)),
        }
    }

    /// As a table of that name.
    pub(super) fn csv(&self, name: &str) -> Answer {
        let table = match self {
            Self::Days(rows) => table(rows),
            Self::Steps(rows) => table(rows),
            Self::Links(rows) => table(rows),
            Self::DaySteps(rows) => table(rows),
            Self::DayLinks(rows) => table(rows),
        };
        table?.download(format!("{name}.csv"))
    }

    /// As lines of JSON, in a file of that name.
    pub(super) fn ndjson(&self, name: &str) -> Answer {
        let lines = match self {
            Self::Days(rows) => lines(rows),
            Self::Steps(rows) => lines(rows),
            Self::Links(rows) => lines(rows),
            Self::DaySteps(rows) => lines(rows),
            Self::DayLinks(rows) => lines(rows),
        };
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, NDJSON))
            .insert_header(attachment(format!("{name}.ndjson")))
            .body(lines?))
    }
}

/// A line for each row.
fn lines(rows: &[impl Serialize]) -> Result<Vec<u8>, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, row).map_err(Problem::internal)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// A table with a row for each, headed also where there is none.
fn table<R: TableRow>(rows: &[R]) -> Result<CsvTable, Problem> {
    let columns: Vec<&str> = R::default().cells().into_iter().map(|(name, _)| name).collect();
    let mut table = CsvTable::new(&columns)?;
    for row in rows {
        table.row(row.cells().into_iter().map(|(_, cell)| cell))?;
    }
    Ok(table)
}

/// Cells of a row, each under the name it has in JSON.
type Cells = Vec<(&'static str, String)>;

/// A row of a table: what it is about, then its figures.
trait TableRow: Default {
    /// The same columns for every row.
    fn cells(&self) -> Cells;
}

impl TableRow for DayResponse {
    fn cells(&self) -> Cells {
        dated(self.date, self.figures.cells())
    }
}

impl TableRow for StepResponse {
    fn cells(&self) -> Cells {
        let step = step(self.step_id, self.step_order, &self.name);
        step.into_iter().chain(self.figures.cells()).collect()
    }
}

impl TableRow for NamedLink {
    fn cells(&self) -> Cells {
        let step = step(self.step_id, self.step_order, &self.name);
        let url = ("url", self.url.clone().unwrap_or_default());
        step.into_iter().chain([url]).chain(self.clicks.cells()).collect()
    }
}

impl TableRow for DayStepResponse {
    fn cells(&self) -> Cells {
        dated(self.date, self.step.cells())
    }
}

impl TableRow for DayLinkResponse {
    fn cells(&self) -> Cells {
        dated(self.date, self.link.cells())
    }
}

fn dated(date: NaiveDate, cells: impl IntoIterator<Item = (&'static str, String)>) -> Cells {
    [("date", date.to_string())].into_iter().chain(cells).collect()
}

fn step(id: Uuid, order: i16, name: &str) -> [(&'static str, String); 3] {
    [("stepId", id.to_string()), ("stepOrder", order.to_string()), ("name", name.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::model::figures::Counts;
    use muster_domain::model::figures::{LinkLine, StepLine, Tally};
    use muster_domain::model::ids::{LinkNo, StepId};
    use serde_json::Value;

    fn report() -> Report {
        let counts = Counts { sent: 7, bounced: 1, unsubscribed: 2, ..Counts::default() };
        let clicks = Tally { total: 4, unique: 3, human_total: 2, human_unique: 1 };
        let (day, id) = (NaiveDate::default(), StepId(Uuid::from_u128(5)));
        let step = StepLine { id, order: 3, name: "=1+1".to_owned(), counts };
        let url = Some("@SUM(A1)".to_owned());
        let link = LinkLine { step: id, order: 3, name: "-x".to_owned(), no: LinkNo(7), url, clicks };
        Report {
            days: vec![(day, counts)],
            totals: counts,
            steps: vec![step.clone()],
            links: vec![link.clone()],
            step_days: vec![(day, step)],
            link_days: vec![(day, link)],
        }
    }

    /// The table and the lines, in that order.
    async fn downloads(report: Report, grouping: Grouping) -> [String; 2] {
        let rows = Rows::of(report, grouping);
        let mut texts = Vec::new();
        for answer in [rows.csv("x"), rows.ndjson("x")] {
            let body = answer.unwrap().into_body();
            texts.push(String::from_utf8(actix_web::body::to_bytes(body).await.unwrap().to_vec()).unwrap());
        }
        texts.try_into().unwrap()
    }

    #[actix_web::test]
    async fn tables_and_lines_say_the_same_under_the_same_names() {
        for grouping in Grouping::ALL {
            let [table, lines] = downloads(report(), grouping).await;
            let line: serde_json::Map<String, Value> = serde_json::from_str(lines.trim_end()).unwrap();
            let mut table = csv::Reader::from_reader(table.as_bytes());
            let names: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
            let cells: Vec<String> = table.records().next().unwrap().unwrap().iter().map(str::to_owned).collect();
            assert_eq!(names.len(), line.len(), "{grouping:?}: {names:?} {line:?}");
            for (name, cell) in names.iter().zip(&cells) {
                match &line[name] {
                    // What a spreadsheet would take for a formula stands behind an apostrophe.
                    Value::String(text) if text.starts_with(['=', '@', '-']) => assert_eq!(*cell, format!("'{text}")),
                    Value::String(text) => assert_eq!(cell, text),
                    number => assert_eq!(cell.parse::<f64>().ok(), number.as_f64(), "{grouping:?} {name}"),
                }
            }
        }
    }

    #[actix_web::test]
    async fn a_table_without_rows_has_its_heading() {
        let empty = Report { step_days: Vec::new(), link_days: Vec::new(), ..report() };
        let [table, lines] = downloads(empty.clone(), Grouping::DayStep).await;
        assert!(table.starts_with("date,stepId,stepOrder,name,emailsSent,") && table.lines().count() == 1, "{table}");
        assert_eq!(lines, "");
        let [table, _] = downloads(empty, Grouping::DayLink).await;
        assert_eq!(table, "date,stepId,stepOrder,name,url,uniqueClicks,totalClicks,allUniqueClicks,allTotalClicks\r\n");
    }
}
