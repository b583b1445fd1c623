//! Looks at what Muster needs from its machine and says how to mend what is wrong. It mends nothing itself.

mod checks;
mod report;

pub use checks::{Examination, examine};
pub use report::{Check, Report, Verdict};
