//! What became of a list, as answers show it.

use super::Tally;
use muster_domain::model::import::RowProblem;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of the rows. Each is counted once: created + updated + skipped is the number of rows.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportReport)]
pub(crate) struct ImportResponse {
    /// Rows that made something new.
    created: u64,
    /// Rows that changed something.
    updated: u64,
    /// Rows that did neither: what they say was known, or they are among the errors. Empty lines are no rows.
    skipped: u64,
    /// What is wrong with rows that were not imported; the first 1,000.
    errors: Vec<RowErrorResponse>,
}

/// Why a row was not imported.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportError)]
pub(crate) struct RowErrorResponse {
    /// The line on which the row begins, from 1.
    line: u64,
    /// The column by its header; null when it is about the whole row.
    #[schema(required)]
    column: Option<String>,
    /// What clients match on: `required`, `invalid_email`, `too_long`, `row_too_long`, `unclosed_quote`, …
    code: String,
    /// For people; repeats nothing of the row.
    detail: String,
}

impl From<RowProblem> for RowErrorResponse {
    fn from(RowProblem { line, problem }: RowProblem) -> Self {
        Self { line, column: problem.column, code: problem.code, detail: problem.detail }
    }
}

impl From<Tally> for ImportResponse {
    fn from(tally: Tally) -> Self {
        let Tally { created, updated, skipped, problems } = tally;
        Self { created, updated, skipped, errors: problems.into_iter().map(Into::into).collect() }
    }
}
