//! Importing lists: which column is which field, and what a row says.

pub mod columns;
pub mod names;
pub mod row;
pub mod suppression;

pub use columns::{Columns, Mapping};
pub use names::Target;
pub use row::{CellProblem, ImportRow, RowProblem};
pub use suppression::{SuppressionColumns, SuppressionRow};
