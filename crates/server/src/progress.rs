//! Progress of a command's stages: bars on a terminal, now and then a line where there is none.

use crate::output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often a stage writes a line when there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bar: name, how far, how much, how fast, a word.
const TEMPLATE: &str = "{prefix} {bar:24.cyan/dim} {human_pos:>9}/{human_len:<9} {rate}  {msg}";

/// All stages of one command.
pub struct Progress {
    bars: Option<MultiProgress>,
    /// A bar that nobody holds any more is wiped out by the next line above the bars.
    shown: Mutex<Vec<ProgressBar>>,
}

/// One stage: a name, how much is done of how much, how fast. Shared freely between threads and tasks.
pub struct Stage {
    name: String,
    bar: ProgressBar,
    lines: Option<Lines>,
}

struct Lines {
    started: Instant,
    last: Mutex<Instant>,
    every: Duration,
}

impl Progress {
    /// Bars when standard output is a terminal, else lines.
    pub fn on_stdout() -> Self {
        let bars = io::stdout().is_terminal();
        let bars = bars.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(15)));
        Self { bars, shown: Mutex::default() }
    }

    /// Begins a stage of `total` units called `unit` (contacts, mails). Names are padded, so that bars stand below
    /// each other.
    pub fn stage(&self, name: &str, total: u64, unit: &'static str) -> Stage {
        let (bar, lines) = match &self.bars {
            Some(bars) => (bars.add(ProgressBar::new(total)), None),
            None => (ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()), Some(Lines::new())),
        };
        bar.set_style(style(unit));
        bar.set_prefix(format!("{name:<12}"));
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(bar.clone());
        Stage { name: name.to_owned(), bar, lines }
    }

    /// A line above the bars.
    pub fn say(&self, line: &str) {
        match &self.bars {
            // An error means that the terminal is gone; there is nobody to tell.
            Some(bars) => drop(bars.println(line)),
            None => output::say(line),
        }
    }
}

impl Stage {
    /// Sets how much is done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
        self.line_if_due();
    }

    /// Adds to what is done.
    pub fn add(&self, more: u64) {
        self.bar.inc(more);
        self.line_if_due();
    }

    /// Corrects how much there is to do.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// A word beside the bar, such as "paused".
    pub fn note(&self, word: &str) {
        self.bar.set_message(word.to_owned());
    }

    /// How much is done.
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// Ends the stage and leaves its last state to be seen.
    pub fn finish(self) {
        self.bar.abandon();
        if let Some(lines) = &self.lines {
            output::say(self.line(lines));
        }
    }

    fn line_if_due(&self) {
        if let Some(lines) = &self.lines
            && lines.due()
        {
            output::say(self.line(lines));
        }
    }

    fn line(&self, lines: &Lines) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let message = self.bar.message();
        let gap = if message.is_empty() { "" } else { "  " };
        format!("{:<12} {done}/{total}  {}/s{gap}{message}", self.name, rate(done, lines.started.elapsed()))
    }
}

impl Lines {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, last: Mutex::new(now), every: LINE_EVERY }
    }

    fn due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= self.every;
        if due {
            *last = Instant::now();
        }
        due
    }
}

fn style(unit: &'static str) -> ProgressStyle {
    let per_second = move |state: &ProgressState, out: &mut dyn Write| {
        // Writing to indicatif's own buffer cannot fail.
        let _ = write!(out, "{} {unit}/s", rate(state.pos(), state.elapsed()));
    };
    ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", per_second)
        .progress_chars("━━─")
}

/// Units a second, for people.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(done: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Progress, TEMPLATE, rate};
    use indicatif::ProgressStyle;
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    #[test]
    fn a_stage_counts_without_a_terminal() {
        let progress = Progress { bars: None, shown: Mutex::default() };
        let stage = progress.stage("Import", 500, "contacts");
        stage.add(200);
        stage.set_total(600);
        stage.set(450);
        stage.note("paused");
        let line = stage.line(stage.lines.as_ref().unwrap());
        assert_eq!(stage.done(), 450);
        assert!(line.starts_with("Import       450/600  ") && line.ends_with("/s  paused"), "{line}");
        stage.finish();
    }

    #[test]
    fn lines_come_now_and_then() {
        let lines = Lines { every: Duration::ZERO, ..Lines::new() };
        assert!(lines.due() && lines.due());
        assert!(!Lines::new().due());
        let past = Instant::now().checked_sub(Duration::from_secs(6)).unwrap();
        let lines = Lines { last: past.into(), ..Lines::new() };
        assert!(lines.due() && !lines.due());
    }

    #[test]
    fn the_template_is_one_that_indicatif_reads() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn rates_are_written_for_people() {
        assert_eq!(rate(5, Duration::from_secs(2)), "2.5");
        assert_eq!(rate(5000, Duration::from_secs(2)), "2500");
    }
}
