//! One running server process: start it, know when it is ready, stop it.

use super::binaries::Binaries;
use super::error::{EmbeddedError, Trying};
use super::folder::StateFolder;
use super::settings::settings;
use super::sys::{self, Signal};
use super::{Durability, Shutdown, orphans, process};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the remains of a killed server may keep its successor out.
const PREDECESSOR_GONE_WITHIN: Duration = Duration::from_secs(15);

/// Recovery after a crash replays at most `max_wal_size` of log; slower than this is not slow but stuck.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// What each step of a shutdown may take before the next, harder one.
const FAST_WITHIN: Duration = Duration::from_secs(20);
const IMMEDIATE_WITHIN: Duration = Duration::from_secs(5);

/// A log longer than this is put aside when the server starts.
const LOG_AT_MOST: u64 = 16 << 20;

const POLL: Duration = Duration::from_millis(5);

/// A server that accepted connections when it was made.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

/// Why one try to start ended.
enum Failure {
    /// What is left of a killed predecessor, of which this was the main process, is still in the way.
    Predecessor(u32, EmbeddedError),
    Final(EmbeddedError),
}

impl From<EmbeddedError> for Failure {
    fn from(error: EmbeddedError) -> Self {
        Self::Final(error)
    }
}

impl Server {
    /// Starts the server on the folder's data and waits until it accepts connections.
    pub(super) fn start(
        folder: &StateFolder,
        binaries: &Binaries,
        durability: Durability,
    ) -> Result<Self, EmbeddedError> {
        let give_up = Instant::now() + PREDECESSOR_GONE_WITHIN;
        loop {
            match try_start(folder, binaries, durability) {
                Ok(child) => return Ok(Self { child }),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Predecessor(_, error)) if Instant::now() > give_up => return Err(error),
                Err(Failure::Predecessor(server, _)) => {
                    orphans::end(&folder.data(), server);
                    sleep(Duration::from_millis(50));
                }
            }
        }
    }

    /// The process id of the server's main process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the server has not exited.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops the server and waits for its end; a stop that hangs is made harder step by step.
    pub(super) fn stop(&mut self, how: Shutdown) -> io::Result<()> {
        let steps = [(Signal::Interrupt, FAST_WITHIN), (Signal::Quit, IMMEDIATE_WITHIN), (Signal::Kill, Duration::MAX)];
        let first = match how {
            Shutdown::Fast => 0,
            Shutdown::Immediate => 1,
            Shutdown::Kill => 2,
        };
        for (signal, within) in &steps[first..] {
            if !self.is_running() {
                return Ok(());
            }
            sys::send(*signal, self.pid())?;
            let asked_at = Instant::now();
            while self.is_running() && asked_at.elapsed() < *within {
                sleep(POLL);
            }
        }
        self.child.wait().map(drop)
    }
}

fn try_start(folder: &StateFolder, binaries: &Binaries, durability: Durability) -> Result<Child, Failure> {
    let before = first_line_pid(&folder.data());
    let (log, log_start) = open_log(&folder.log())?;
    let errors = log.try_clone().trying("open", &folder.log())?;
    let mut command = process::command(&binaries.dir.join("postgres"), folder.account.as_ref());
    command.arg("-D").arg(folder.data()).stdin(Stdio::null()).stdout(log).stderr(errors);
    for setting in settings(durability, &folder.socket_dir) {
        command.arg("-c").arg(setting);
    }
    let mut child = process::spawn(command).trying("start postgres of", &binaries.dir)?;

    let give_up = Instant::now() + READY_WITHIN;
    loop {
        if is_ready(&folder.data(), child.id()) {
            return Ok(child);
        }
        let exited = child.try_wait().trying("wait for postgres of", &binaries.dir)?;
        if exited.is_none() && Instant::now() < give_up {
            sleep(POLL);
            continue;
        }
        if exited.is_none() {
            child.kill().and_then(|()| child.wait()).trying("stop postgres of", &binaries.dir)?;
        }
        let failed = EmbeddedError::Failed { program: "postgres", output: log_since(&folder.log(), log_start) };
        let in_the_way = exited.and_then(|_| in_the_way(before, first_line_pid(&folder.data()), child.id()));
        return Err(match in_the_way {
            Some(other) => Failure::Predecessor(other, failed),
            None => Failure::Final(failed),
        });
    }
}

/// Which other server may have kept `child` from starting, by whom `postmaster.pid` named before and names now. One that went down
/// meanwhile has taken its name away; then one more try shows whether it was that.
fn in_the_way(before: Option<u32>, now: Option<u32>, child: u32) -> Option<u32> {
    now.or(before).filter(|server| *server != child)
}

/// Whether `postmaster.pid` says that the server `pid` accepts connections: line 1 is its pid, line 8 its state.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
}

/// The server that `postmaster.pid` names, if it is there.
fn first_line_pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// The log, opened for appending, and where this start's lines begin.
fn open_log(path: &Path) -> Result<(File, u64), EmbeddedError> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LOG_AT_MOST) {
        fs::rename(path, path.with_extension("log.old")).trying("put aside", path)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(path).trying("open", path)?;
    let start = log.metadata().trying("look at", path)?.len();
    Ok((log, start))
}

/// The last lines that the server wrote since `start`.
fn log_since(path: &Path, start: u64) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut log| {
        log.seek(SeekFrom::Start(start))?;
        log.read_to_string(&mut text)
    });
    match read {
        Ok(_) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(8)..].join("\n")
        }
        Err(refusal) => format!("its log cannot be read: {refusal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predecessor_is_in_the_way_whether_it_is_still_there_or_went_down_meanwhile() {
        const CHILD: u32 = 7;
        for (before, now, expected) in [
            (None, None, None),
            (None, Some(CHILD), None),
            (Some(5), Some(5), Some(5)),
            (Some(5), None, Some(5)),
            (None, Some(5), Some(5)),
            (Some(5), Some(CHILD), None),
        ] {
            assert_eq!(in_the_way(before, now, CHILD), expected, "{before:?} {now:?}");
        }
    }
}
