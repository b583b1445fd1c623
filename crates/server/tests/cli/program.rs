//! Starting the program, listening to it, and ending it.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A folder for the state of one test, that a database server may enter which runs as another user.
pub(crate) fn state_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("muster-cli-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .expect("a folder")
}

/// The program with those arguments, and of the test's own environment only what it needs to find its tools.
pub(crate) fn muster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env_clear().args(arguments).env("HOME", "/nonexistent");
    for name in ["PATH", "TMPDIR", "MUSTER_PG_BIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program can be started")
}

/// What it said, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("what it says is UTF-8")
}

/// A program that runs beside the test. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    /// Everything it said on standard output so far.
    pub(crate) said: Vec<String>,
    log: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let errors = File::create(&log).expect("a file for its log");
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("the program can be started");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        Self { child, lines, said: Vec::new(), log, _folder: folder }
    }

    /// Listens until it says a line with `wanted` in it, and returns that line.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(wanted) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("it never said {wanted:?}: {:#?}\n{}", self.said, self.log());
                }
            }
        }
    }

    /// Waits until its log has a line with `wanted` in it, and returns that line.
    pub(crate) fn wait_for_log(&self, wanted: &str) -> String {
        let mut found = String::new();
        until(&format!("{wanted:?} in the log"), || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(wanted));
            line.unwrap_or_default().clone_into(&mut found);
            line.is_some()
        });
        found
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("its end", || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.expect("it ended")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process id of the private database server below that state folder.
pub(crate) fn database_server(state: &Path) -> u32 {
    let text = std::fs::read_to_string(state.join("data/postmaster.pid")).expect("a running server");
    text.lines().next().and_then(|line| line.trim().parse().ok()).expect("its process id")
}

/// Whether a process of that id lives.
pub(crate) fn lives(pid: u32) -> bool {
    Command::new("sh").arg("-c").arg(format!("kill -0 {pid} 2>/dev/null")).status().expect("a shell").success()
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < give_up, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
