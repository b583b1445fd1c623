//! For the tests of services that use this crate: mocks of every port, a unit of work made of them, and builders.
//!
//! Each port `Xyz` has its `MockXyz` beside it (by mockall). [`MockUnit`] puts the repositories together into a
//! [`Tx`](crate::ports::store::Tx); [`remembering`] makes campaigns that stay stored; the builders make values that
//! are valid, so that a test says only what it is about. Only with the feature `testing`.

mod builders;
mod memory;
mod unit;

pub use builders::{a_campaign, a_principal, a_step, an_email, some_content};
pub use memory::remembering;
pub use unit::MockUnit;
