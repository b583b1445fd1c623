//! Ending on request: Ctrl-C or SIGTERM once to stop in order, once more to stop at once.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status of a command that was interrupted twice (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first SIGINT or SIGTERM; the second ends the process where it stands, which leaves
/// nothing behind: a private database dies with its parent, and journals know how far each mail came.
///
/// # Errors
/// When the system refuses to hand signals over.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    drop(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stopping.is_cancelled() {
                std::process::exit(INTERRUPTED);
            }
            tracing::info!(target: "muster", "stopping; once more stops at once");
            stopping.cancel();
        }
    }));
    Ok(stop)
}
