//! Reading lists of people of any size as they arrive: bytes go in chunk by chunk, rows come out, and what is held in
//! memory does not depend on the size of the list.

mod csv;
mod ndjson;
mod run;
mod stream;

pub(crate) use run::{Importer, Tally};
pub(crate) use stream::{Format, Reader};

/// A row longer than this is refused and passed over.
const ROW_BYTES: usize = 1024 * 1024;

/// A row with more cells, and a file with more columns than this, are refused.
const MAX_COLUMNS: usize = 1000;

/// What a reader has read and nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    /// Rows that can be imported.
    pub(crate) rows: Vec<muster_domain::model::import::ImportRow>,
    /// What is wrong with the others.
    pub(crate) problems: Vec<muster_domain::model::import::RowProblem>,
    /// How many rows that were.
    pub(crate) refused: u64,
    /// How many bytes the rows took.
    pub(crate) bytes: usize,
}

impl Harvest {
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
