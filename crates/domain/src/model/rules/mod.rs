//! Rules over a contact: the one form shared by conditions and segments.
//!
//! | field | operators | value |
//! |---|---|---|
//! | a text field (`email`, `firstName`, …) | `eq ne in contains startsWith exists` | text |
//! | `tags` | `eq ne in contains startsWith exists` | text; `eq` and `contains` both ask for a tag that is there |
//! | `leadScore` | `eq ne lt lte gt gte in` | number |
//! | `customFields.<name>` | all | text, number, boolean |
//! | `opened`, `clicked`, `replied`, `received` | `eq ne exists` | true, false, or which mail and when, see [`Engaged`] |
//!
//! Text compares without regard to case ([`fold`]). `ne` is the opposite of `eq`, so it holds for an absent field too.
//! A custom field has a text form and, where that is a plain decimal, a number: a number as value compares with the
//! number, text and booleans with the text form, so that it makes no difference whether an import wrote `42` as text.
//! Ordering a custom field is numeric when the value is or reads as a number; otherwise it is by text, which orders
//! ISO dates rightly, and leaves out fields that are numbers.

mod comparison;
mod engagement;
mod eval;
mod mails;
mod parse;

pub use comparison::{Comparison, Scalar, Subject, Test, Than, fold};
pub use engagement::{Did, Engaged, MAX_DAYS};
#[cfg(test)]
pub(crate) use mails::tests as mails_tests;
pub use mails::{Mails, each_mail};
pub(crate) use mails::{check_type, id};

use serde::{Deserialize, Serialize};

/// A rule nests no deeper than this.
pub const MAX_DEPTH: usize = 8;
/// A rule has no more comparisons than this.
pub const MAX_COMPARISONS: usize = 100;
/// A list to compare with is no longer than this.
pub const MAX_LIST: usize = 1000;
/// A text to compare with has no more characters than this.
pub const MAX_TEXT: usize = 500;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal; holds for an absent field.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// One of a list.
    In,
    /// Text that holds another; for `tags`, a tag that is there.
    Contains,
    /// Text that begins with another; for `tags`, some tag that does.
    StartsWith,
    /// There at all (`true`) or not (`false`).
    Exists,
}

impl Op {
    /// Every operator, in the order of the documentation.
    pub const ALL: [Op; 10] =
        [Op::Eq, Op::Ne, Op::Lt, Op::Lte, Op::Gt, Op::Gte, Op::In, Op::Contains, Op::StartsWith, Op::Exists];

    /// As written in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "eq",
            Op::Ne => "ne",
            Op::Lt => "lt",
            Op::Lte => "lte",
            Op::Gt => "gt",
            Op::Gte => "gte",
            Op::In => "in",
            Op::Contains => "contains",
            Op::StartsWith => "startsWith",
            Op::Exists => "exists",
        }
    }

    /// The operator of that name.
    pub fn parse(name: &str) -> Option<Op> {
        Self::ALL.into_iter().find(|op| op.as_str() == name)
    }
}

/// A condition on what is known of a contact. Made by [`Rule::parse`], asked by [`Rule::holds`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged, deny_unknown_fields)]
pub enum Rule {
    /// Every one holds. None at all holds too.
    All {
        /// Which.
        all: Vec<Rule>,
    },
    /// At least one holds. None at all never holds.
    Any {
        /// Which.
        any: Vec<Rule>,
    },
    /// It does not hold.
    Not {
        /// What.
        not: Box<Rule>,
    },
    /// A comparison.
    Compare {
        /// A contact field, `tags`, `leadScore`, `customFields.<name>`, or what a contact did.
        field: String,
        /// How.
        op: Op,
        /// With what.
        value: serde_json::Value,
    },
}
