//! Starts a program of `PostgreSQL` so that it dies with this process.

use super::account::Account;
use super::sys;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

/// A command to start, and where its child goes.
type Request = (Command, Sender<io::Result<Child>>);

/// Leads to the one thread that starts servers. It never ends before the process does.
static LAUNCHER: Mutex<Option<Sender<Request>>> = Mutex::new(None);

/// A command for the program at `program`, run by `account`, in a group of its own, with an environment of its own.
///
/// A group of its own: Ctrl-C in a terminal must reach this process alone, which stops the database last.
/// An environment of its own: variables of `libpq` would change what the program does, and secrets are not its business.
pub(super) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").process_group(0);
    for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    if let Some(account) = account {
        account.runs(&mut command);
    }
    sys::die_with_parent(&mut command);
    command
}

/// Starts `command` from the thread that never ends.
///
/// The signal of [`sys::die_with_parent`] follows the *thread* that forked, so a thread of a pool, which may retire
/// when idle, would take the database with it.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = channel();
    launcher()?.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn launcher() -> io::Result<Sender<Request>> {
    let mut launcher = LAUNCHER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = launcher.as_ref() {
        return Ok(running.clone());
    }
    let (sender, requests) = channel::<Request>();
    std::thread::Builder::new().name("postgres-launcher".to_owned()).spawn(move || {
        for (mut command, reply) in requests {
            // Nobody waits any more: the child is dropped here, and its owner's folder lock with it.
            let _ = reply.send(command.spawn());
        }
    })?;
    *launcher = Some(sender.clone());
    Ok(sender)
}
