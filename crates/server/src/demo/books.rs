//! The books of the campaign, as the API shows them, and as a table.

use crate::output::thousands;
use serde::Deserialize;
use std::fmt::{self, Write};

/// The answer to `GET /api/campaigns/{id}/balance`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Books {
    pub(super) balanced: bool,
    pub(super) audience: u64,
    pub(super) open: u64,
    pub(super) completed: u64,
    pub(super) exited: u64,
    pub(super) steps: Vec<StepBooks>,
}

/// Its row for one step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepBooks {
    pub(super) step_order: u32,
    pub(super) name: String,
    pub(super) step_type: String,
    pub(super) entered: u64,
    pub(super) pending: u64,
    pub(super) passed: u64,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) suppressed: u64,
    pub(super) skipped: u64,
    pub(super) in_doubt: u64,
    pub(super) cancelled: u64,
}

impl StepBooks {
    /// Contacts that are through with it, in whatever way.
    pub(super) fn done(&self) -> u64 {
        self.entered.saturating_sub(self.pending)
    }

    fn is_mail(&self) -> bool {
        self.step_type == "email"
    }

    /// The equation of one step, reckoned here and not believed.
    fn balances(&self) -> bool {
        let ends = if self.is_mail() {
            self.sent + self.failed + self.suppressed + self.skipped + self.in_doubt + self.cancelled
        } else {
            self.passed + self.cancelled
        };
        self.entered == self.pending + ends
    }
}

impl Books {
    /// Mails sent, over all steps.
    pub(super) fn sent(&self) -> u64 {
        self.steps.iter().map(|step| step.sent).sum()
    }

    /// Whether every equation holds, by the API's word and by our own reckoning.
    pub(super) fn balance(&self) -> bool {
        self.balanced
            && self.audience == self.open + self.completed + self.exited
            && self.steps.iter().all(StepBooks::balances)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eighty characters in all.
        const HEADS: [(&str, usize); 9] = [
            ("entered", 8),
            ("pending", 8),
            ("passed", 7),
            ("sent", 8),
            ("failed", 7),
            ("suppr.", 7),
            ("skipped", 8),
            ("doubt", 6),
            ("cancel.", 8),
        ];
        let mut head = format!("{:<13}", "step");
        for (name, width) in HEADS {
            write!(head, "{name:>width$}")?;
        }
        writeln!(f, "{head}\n{}", "─".repeat(head.len()))?;
        for step in &self.steps {
            let of_mail = |figure| if step.is_mail() { thousands(figure) } else { String::new() };
            let passed = if step.is_mail() { String::new() } else { thousands(step.passed) };
            let figures = [
                thousands(step.entered),
                thousands(step.pending),
                passed,
                of_mail(step.sent),
                of_mail(step.failed),
                of_mail(step.suppressed),
                of_mail(step.skipped),
                of_mail(step.in_doubt),
                thousands(step.cancelled),
            ];
            write!(f, "{:<13}", format!("{} {}", step.step_order, step.name))?;
            for (figure, (_, width)) in figures.iter().zip(HEADS) {
                write!(f, "{figure:>width$}")?;
            }
            writeln!(f)?;
        }
        let [audience, open, completed, exited] =
            [self.audience, self.open, self.completed, self.exited].map(thousands);
        write!(f, "\n{audience} enrolled = {open} open + {completed} completed + {exited} exited")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn books(sent: u64) -> Books {
        let step = |kind: &str, passed: u64, sent: u64| {
            json!({"stepOrder": 1, "name": "One", "stepType": kind, "entered": 3, "pending": 0, "passed": passed,
                "sent": sent, "failed": 0, "suppressed": 1, "skipped": 0, "inDoubt": 0, "cancelled": 0})
        };
        serde_json::from_value(json!({
            "balanced": true, "audience": 3, "open": 0, "completed": 2, "exited": 1,
            "steps": [step("email", 0, sent), step("wait", 3, 0)]
        }))
        .unwrap()
    }

    #[test]
    fn books_are_reckoned_and_not_believed() {
        assert!(books(2).balance());
        assert!(!books(1).balance());
        assert!(!Books { completed: 3, ..books(2) }.balance());
        assert!(!Books { balanced: false, ..books(2) }.balance());
    }

    #[test]
    fn the_table_has_a_row_a_step_and_the_campaigns_equation() {
        let table = books(2).to_string();
        assert_eq!(table.lines().count(), 6, "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(table.ends_with("3 enrolled = 0 open + 2 completed + 1 exited"), "{table}");
    }
}
