//! What was found, as a table for people.

use std::fmt::Write;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Absent, and some commands do without it.
    Optional,
    /// Works, but not as one would want it in production.
    Doubtful,
    /// Must be mended.
    Bad,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How to take it.
    pub verdict: Verdict,
    /// What was found, without any value that may be secret.
    pub found: String,
    /// The command that mends it.
    pub mend: Option<String>,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>, mend: Option<String>) -> Self {
        Self { name, verdict, found: found.into(), mend }
    }

    /// As it should be.
    pub fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Good, found, None)
    }

    /// Absent, which some commands do without.
    pub fn optional(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(name, Verdict::Optional, found, Some(mend.into()))
    }

    /// Works, but.
    pub fn doubtful(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(name, Verdict::Doubtful, found, Some(mend.into()))
    }

    /// Must be mended.
    pub fn bad(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(name, Verdict::Bad, found, Some(mend.into()))
    }
}

/// All findings, in the order in which they are shown.
#[derive(Debug, Clone, Default)]
pub struct Report(pub Vec<Check>);

impl Report {
    /// Whether nothing must be mended.
    pub fn is_healthy(&self) -> bool {
        self.bad() == 0
    }

    fn bad(&self) -> usize {
        self.0.iter().filter(|check| check.verdict == Verdict::Bad).count()
    }

    /// The findings as lines: a mark, what was looked at, what was found; below it what to do.
    pub fn table(&self, colour: bool) -> String {
        let width = self.0.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
        // Writing to a String cannot fail, so results are dropped.
        let mut table = String::new();
        for check in &self.0 {
            let (mark, ansi) = match check.verdict {
                Verdict::Good => ("✓", "32"),
                Verdict::Optional => ("–", "2"),
                Verdict::Doubtful => ("!", "33"),
                Verdict::Bad => ("✗", "31"),
            };
            let mark = if colour { format!("\u{1b}[{ansi}m{mark}\u{1b}[0m") } else { mark.to_owned() };
            let _ = writeln!(table, "{mark} {:<width$}  {}", check.name, check.found);
            if let Some(mend) = &check.mend {
                let _ = writeln!(table, "  {:<width$}  → {mend}", "");
            }
        }
        let _ = match self.bad() {
            0 => write!(table, "\nNothing that is needed is missing."),
            1 => write!(table, "\nOne thing must be mended."),
            n => write!(table, "\n{n} things must be mended."),
        };
        table
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Report};

    #[test]
    fn the_table_lines_up_and_ends_with_the_verdict() {
        let report = Report(vec![
            Check::good("Database", "reachable"),
            Check::optional("Mail", "not given", "--smtp-url"),
            Check::bad("Secret key", "too short", "openssl rand -hex 32"),
        ]);
        assert!(!report.is_healthy());
        let expected = "✓ Database    reachable\n\
            – Mail        not given\n              → --smtp-url\n\
            ✗ Secret key  too short\n              → openssl rand -hex 32\n\
            \nOne thing must be mended.";
        assert_eq!(report.table(false), expected);
        assert!(report.table(true).contains("\u{1b}[31m✗\u{1b}[0m Secret key"));
    }

    #[test]
    fn doubts_and_absences_are_healthy() {
        let report = Report(vec![Check::optional("Mail", "not given", "x"), Check::doubtful("Links", "http", "y")]);
        assert!(report.is_healthy());
    }
}
