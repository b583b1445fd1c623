//! The table: what was measured, what against, and what is to be reached.

use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

/// Where the saved table stands.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- figures: begin, written by `just bench --save` -->";
const END: &str = "<!-- figures: end -->";

/// What a figure is to reach, and what we dream of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64, f64),
    AtMost(f64, f64),
}

/// One line of the table.
#[derive(Debug)]
struct Figure {
    what: String,
    ours: String,
    against: String,
    value: String,
    goal: Option<(Goal, f64)>,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<(String, Vec<Figure>)>,
    pub(crate) took: Duration,
}

impl Report {
    pub(crate) fn section(&mut self, name: &str) {
        self.sections.push((name.to_owned(), Vec::new()));
    }

    /// A rate against another rate of the same unit; the value is their ratio.
    pub(crate) fn rate(&mut self, what: &str, ours: f64, against: (&str, f64), unit: &str, goal: Option<Goal>) {
        let ratio = ours / against.1;
        let ours = format!("{} {unit}", grouped(ours));
        let against = format!("{}: {}", against.0, grouped(against.1));
        self.push(Figure {
            what: what.to_owned(),
            ours,
            against,
            value: format!("{ratio:.2}"),
            goal: goal.map(|goal| (goal, ratio)),
        });
    }

    /// A cost against another cost, of which less is better.
    pub(crate) fn cost(&mut self, what: &str, ours: f64, against: (&str, f64), unit: &str, goal: Goal) {
        let ratio = ours / against.1;
        let against = format!("{}: {}", against.0, shown(against.1));
        let ours = format!("{} {unit}", shown(ours));
        self.push(Figure {
            what: what.to_owned(),
            ours,
            against,
            value: format!("{ratio:.2}"),
            goal: Some((goal, ratio)),
        });
    }

    /// A figure that stands for itself.
    pub(crate) fn alone(&mut self, what: &str, value: f64, unit: &str, goal: Option<Goal>) {
        let goal = goal.map(|goal| (goal, value));
        let ours = format!("{} {unit}", shown(value));
        self.push(Figure { what: what.to_owned(), ours, against: String::new(), value: String::new(), goal });
    }

    /// What could not be measured, and why.
    pub(crate) fn missing(&mut self, what: &str, why: &str) {
        self.push(Figure {
            what: what.to_owned(),
            ours: "not measured".into(),
            against: why.to_owned(),
            value: String::new(),
            goal: None,
        });
    }

    fn push(&mut self, figure: Figure) {
        say(&format!("      {}: {} {} {}", figure.what, figure.ours, figure.against, figure.value));
        if let Some((_, figures)) = self.sections.last_mut() {
            figures.push(figure);
        }
    }

    /// As a table of Markdown, which reads well on a terminal, too.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, figures) in &self.sections {
            let _ = writeln!(
                text,
                "\n### {}\n\n| what | measured | against | ratio | reach | moonshot | |\n|---|---|---|---|---|---|---|",
                heading(name)
            );
            for figure in figures {
                let (reach, moonshot, mark) =
                    figure.goal.map_or_else(Default::default, |(goal, value)| goal.judge(value));
                let ratio = if figure.against.is_empty() { "" } else { &figure.value };
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {ratio} | {reach} | {moonshot} | {mark} |",
                    figure.what, figure.ours, figure.against
                );
            }
        }
        let _ = writeln!(text, "\nTook {} s.", self.took.as_secs());
        text
    }

    /// Puts the table into its page, in the place of the last one.
    pub(crate) fn save(&self, machine: &str) -> Result<()> {
        let page = fs::read_to_string(PAGE).with_context(|| format!("{PAGE}: run it from the project's folder"))?;
        let (head, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no place for figures"))?;
        let (_, tail) = rest.split_once(END).with_context(|| format!("{PAGE} has no end of figures"))?;
        fs::write(PAGE, format!("{head}{BEGIN}\n\n{machine}\n{}\n{END}{tail}", self.text()))?;
        Ok(())
    }
}

impl Goal {
    /// The two goals in words, and whether the value is there.
    fn judge(self, value: f64) -> (String, String, &'static str) {
        let (sign, reach, moonshot, reached, dreamt) = match self {
            Goal::AtLeast(reach, moonshot) => ("≥", reach, moonshot, value >= reach, value >= moonshot),
            Goal::AtMost(reach, moonshot) => ("≤", reach, moonshot, value <= reach, value <= moonshot),
        };
        let mark = if dreamt {
            "★"
        } else if reached {
            "✓"
        } else {
            "short"
        };
        (format!("{sign} {reach}"), format!("{sign} {moonshot}"), mark)
    }
}

fn heading(section: &str) -> &str {
    match section {
        "enroll" => "Enrolling at launch",
        "import" => "Import",
        "advance" => "Advance: claim, decide, queue, write back",
        "growth" => "Growth: what a claim costs",
        "events" => "Events and analytics",
        "pausing" => "Pause",
        "requests" => "Requests",
        "chain" => "The whole chain, to Postfix's smtp-sink",
        _ => "Memory",
    }
}

/// The middle one.
///
/// # Panics
/// When there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// As many digits as mean something.
fn shown(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { grouped(value) }
}

/// Digits in groups of three.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line for whoever waits.
pub(crate) fn say(line: &str) {
    // Whoever closed the pipe does not want to know more.
    let _ = writeln!(std::io::stdout(), "{line}");
}
