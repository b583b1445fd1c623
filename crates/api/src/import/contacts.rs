//! Lists of people.

use super::run::ATTEMPTS;
use super::{Form, Sink, Tally};
use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::web;
use muster_domain::model::ids::SegmentNo;
use muster_domain::model::import::row::{ObjectReader, read_cells};
use muster_domain::model::import::{CellProblem, Columns, ImportRow, Mapping};
use muster_domain::model::problem::FieldProblems;
use muster_domain::ports::store::{StoreError, Workspace, in_tx};
use muster_domain::usecases::import_contacts::{ImportContacts, ImportContactsError, import_contacts};
use serde_json::{Map, Value};

/// Reads people: columns become fields of contacts.
pub(crate) struct ContactForm {
    mapping: Mapping,
    objects: ObjectReader,
}

impl ContactForm {
    /// `mapping` is what the caller says about columns.
    pub(crate) fn new(mapping: Mapping) -> Self {
        Self { objects: ObjectReader::new(mapping.clone()), mapping }
    }
}

impl Form for ContactForm {
    type Row = ImportRow;
    type Columns = Columns;

    fn columns(&self, headers: &[&str]) -> Result<Columns, FieldProblems> {
        Columns::of(headers, &self.mapping)
    }

    fn row<'a>(
        columns: &Columns,
        line: u64,
        cells: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Option<ImportRow>, Vec<CellProblem>> {
        read_cells(columns, line, cells)
    }

    fn object(&mut self, line: u64, object: &Map<String, Value>) -> Result<ImportRow, Vec<CellProblem>> {
        self.objects.read(line, object)
    }
}

/// Stores people in a workspace.
#[derive(Clone)]
pub(crate) struct ContactSink {
    /// What every handler shares.
    pub(crate) state: web::Data<ApiState>,
    /// Whose contacts they become.
    pub(crate) of: Workspace,
    /// A static segment that everybody imported is put into.
    pub(crate) segment: Option<SegmentNo>,
}

impl Sink for ContactSink {
    type Row = ImportRow;
    const BATCH_ROWS: usize = 1000;

    async fn store(self, rows: Vec<ImportRow>) -> Result<Tally, Problem> {
        let batch = ImportContacts { rows, segment: self.segment };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match in_tx(&*self.state.store, self.of, async |tx| import_contacts(tx, &batch).await).await {
                Err(ImportContactsError::Store(StoreError::Conflict)) if left > 0 => {}
                Err(ImportContactsError::Store(error)) => return Err(error.into()),
                Err(ImportContactsError::NoSuchSegment) => {
                    return Err(Problem::Conflict("The segment was removed while contacts were imported into it."));
                }
                Ok(report) => {
                    let (created, updated, skipped) = (report.created, report.updated, report.skipped);
                    return Ok(Tally { created, updated, skipped, problems: report.problems });
                }
            }
        }
    }
}
