//! How a harness tells a process of the test kit what to do: lines on standard input, answers on standard output.

use std::io::Write;
use tokio::sync::mpsc;

/// Lines of standard input, as they come; ends with it. Read by a thread of its own, which a runtime need not wait for.
pub fn commands() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    lines
}

/// Says one line at once.
///
/// # Errors
/// When nobody listens any more.
pub fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
