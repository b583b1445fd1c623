//! What a list is of.

use muster_domain::model::import::CellProblem;
use muster_domain::model::problem::FieldProblems;
use serde_json::{Map, Value};

/// How the rows of one kind of list are read.
pub(crate) trait Form {
    /// What a row says.
    type Row: Send + 'static;
    /// What its columns are.
    type Columns;

    /// Settles what the columns of a CSV file are. An error refuses the whole file.
    fn columns(&self, headers: &[&str]) -> Result<Self::Columns, FieldProblems>;

    /// Takes the cells of a row that begins on `line`, `None` for a cell that is not UTF-8; `Ok(None)` when it says nothing.
    fn row<'a>(
        columns: &Self::Columns,
        line: u64,
        cells: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Option<Self::Row>, Vec<CellProblem>>;

    /// Takes the object of a line of NDJSON.
    fn object(&mut self, line: u64, object: &Map<String, Value>) -> Result<Self::Row, Vec<CellProblem>>;
}
