//! Bad input, named field by field.

use serde::{Deserialize, Serialize};

/// One bad field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// Where: a JSON pointer (RFC 6901) into the request body, such as `/steps/0/subjectLine`.
    pub pointer: String,
    /// A short machine-readable reason, such as `too_long`.
    pub code: String,
    /// What is wrong and what would be right; repeats no personal data.
    pub detail: String,
}

/// Every bad field of a request, collected before anything is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldProblems(pub Vec<FieldProblem>);

impl FieldProblems {
    /// A single problem.
    pub fn one(pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(pointer, code, detail);
        problems
    }

    /// Notes a problem at `pointer`.
    pub fn add(&mut self, pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldProblem { pointer: pointer.into(), code: code.into(), detail: detail.into() });
    }

    /// Takes over the problems of a part of the request that sits at `prefix`.
    pub fn extend_under(&mut self, prefix: &str, inner: FieldProblems) {
        self.0.extend(inner.0.into_iter().map(|p| FieldProblem { pointer: format!("{prefix}{}", p.pointer), ..p }));
    }

    /// The value, or a noted problem and `None`, so that checking can go on.
    pub fn keep<T>(&mut self, prefix: &str, result: Result<T, FieldProblems>) -> Option<T> {
        result.map_err(|inner| self.extend_under(prefix, inner)).ok()
    }

    /// `Ok` when nothing was noted.
    pub fn into_result(self) -> Result<(), FieldProblems> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::fmt::Display for FieldProblems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{}: {}", if n == 0 { "" } else { "; " }, problem.pointer, problem.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldProblems {}
