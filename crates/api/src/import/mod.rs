//! Reading lists of any size as they arrive: bytes go in chunk by chunk, rows come out, and what is held in memory does
//! not depend on the size of the list. What a list is of is its [`Form`].

mod contacts;
mod csv;
mod form;
mod ndjson;
mod report;
mod run;
mod stream;
mod suppressions;

pub(crate) use contacts::{ContactForm, ContactSink};
pub(crate) use form::Form;
pub(crate) use report::ImportResponse;
pub(crate) use run::{Importer, Sink, Tally};
pub(crate) use stream::{Format, Reader};
pub(crate) use suppressions::{SuppressionForm, SuppressionSink};

/// A row longer than this is refused and passed over.
const ROW_BYTES: usize = 1024 * 1024;

/// A row with more cells, and a file with more columns than this, are refused.
const MAX_COLUMNS: usize = 1000;

/// What a reader has read and nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Harvest<R> {
    /// Rows that can be imported.
    pub(crate) rows: Vec<R>,
    /// What is wrong with the others.
    pub(crate) problems: Vec<muster_domain::model::import::RowProblem>,
    /// How many rows that were.
    pub(crate) refused: u64,
    /// How many bytes the rows took.
    pub(crate) bytes: usize,
}

// Derived, it would ask for a default row.
impl<R> Default for Harvest<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), problems: Vec::new(), refused: 0, bytes: 0 }
    }
}

impl<R> Harvest<R> {
    fn refuse(&mut self, line: u64, problems: Vec<muster_domain::model::import::CellProblem>) {
        use muster_domain::model::import::RowProblem;
        self.refused += 1;
        self.problems.extend(problems.into_iter().map(|problem| RowProblem { line, problem }));
    }

    fn refuse_too_long(&mut self, line: u64) {
        use muster_domain::model::import::CellProblem;
        let detail = format!("a row has at most {ROW_BYTES} bytes");
        self.refuse(line, vec![CellProblem::row("row_too_long", detail)]);
    }
}
