//! The few calls to the operating system that std does not offer. All `unsafe` of the launcher is here.

use std::io;
use std::process::Command;

/// The signals that `PostgreSQL`'s main process understands, and the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Fast shutdown: sessions are cut, a checkpoint is written.
    Interrupt,
    /// Immediate shutdown: as if the power had failed; the next start recovers.
    Quit,
    /// No shutdown at all.
    Kill,
}

/// The user this process acts as.
pub(super) fn effective_uid() -> u32 {
    #[expect(unsafe_code, reason = "geteuid has no preconditions and cannot fail")]
    unsafe {
        libc::geteuid()
    }
}

/// Sends `signal` to the process `pid`.
///
/// The caller has made sure that it is one of our servers: it holds the unreaped `Child`, or has just looked.
pub(super) fn send(signal: Signal, pid: u32) -> io::Result<()> {
    let number = match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Quit => libc::SIGQUIT,
        Signal::Kill => libc::SIGKILL,
    };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "kill only takes numbers; pid is positive, so it names one process")]
    let answer = unsafe { libc::kill(pid, number) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the kernel send the child SIGINT when the thread that spawned it ends.
///
/// Only Linux knows this. Elsewhere a killed parent leaves the server running, and the next start says so.
#[cfg(target_os = "linux")]
pub(super) fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let parent = std::process::id();
    #[expect(unsafe_code, reason = "the closure runs between fork and exec and makes two async-signal-safe calls")]
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above; nobody would send the signal then.
            if libc::getppid().cast_unsigned() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Nothing to be done: see the Linux version.
#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent(_command: &mut Command) {}
