//! Lists of addresses and domains never to be mailed.

use super::run::ATTEMPTS;
use super::{Form, Sink, Tally};
use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::web;
use muster_domain::model::import::suppression::read_object;
use muster_domain::model::import::{CellProblem, SuppressionColumns, SuppressionRow};
use muster_domain::model::problem::FieldProblems;
use muster_domain::model::suppression::SuppressionReason;
use muster_domain::ports::store::{StoreError, Workspace, in_tx};
use muster_domain::usecases::import_suppressions::{ImportSuppressions, import_suppressions};
use serde_json::{Map, Value};

/// Reads addresses and domains, with a reason and a source where the list has them.
pub(crate) struct SuppressionForm;

impl Form for SuppressionForm {
    type Row = SuppressionRow;
    type Columns = SuppressionColumns;

    fn columns(&self, headers: &[&str]) -> Result<SuppressionColumns, FieldProblems> {
        SuppressionColumns::of(headers)
    }

    fn row<'a>(
        columns: &SuppressionColumns,
        line: u64,
        cells: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Option<SuppressionRow>, Vec<CellProblem>> {
        columns.read(line, cells)
    }

    fn object(&mut self, line: u64, object: &Map<String, Value>) -> Result<SuppressionRow, Vec<CellProblem>> {
        read_object(line, object)
    }
}

/// Puts them on the list of a tenant.
#[derive(Clone)]
pub(crate) struct SuppressionSink {
    /// What every handler shares.
    pub(crate) state: web::Data<ApiState>,
    /// Whose list.
    pub(crate) of: Workspace,
    /// The reason of rows that give none.
    pub(crate) reason: SuppressionReason,
    /// The source of rows that give none.
    pub(crate) source: String,
}

impl Sink for SuppressionSink {
    type Row = SuppressionRow;
    /// No delivery of the tenant begins while a batch is stored.
    const BATCH_ROWS: usize = 250;

    async fn store(self, rows: Vec<SuppressionRow>) -> Result<Tally, Problem> {
        let all = rows.len() as u64;
        let batch = ImportSuppressions { rows, reason: self.reason, source: self.source };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match in_tx(&*self.state.store, self.of, async |tx| import_suppressions(tx, &batch).await).await {
                Err(StoreError::Conflict) if left > 0 => {}
                Err(error) => return Err(error.into()),
                Ok(created) => return Ok(Tally { created, skipped: all - created, ..Tally::default() }),
            }
        }
    }
}
