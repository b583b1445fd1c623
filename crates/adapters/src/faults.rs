//! Faults on demand, in builds with the feature `fault-injection` alone: points at which the process kills or stops
//! itself, and bugs that the harnesses of the test kit have to find. `docs/reliability.md` lists both.
//!
//! What a bug changes in SQL is changed here, on the statement's way to the database, so that the statements themselves
//! know nothing of it. Everything else is done around the ports, in `muster-server`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

/// A bug planted on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// What is claimed counts as sent.
    CheckpointAtFetch,
    /// A delivery is written down only after it was handed over, and no journal knows of it.
    SendThenMark,
    /// A claim does not raise the epoch, so that nobody is fenced off.
    NoEpoch,
    /// What ran out is pending again, whether or not it may have been sent.
    ReaperWithoutGuard,
    /// A pause is looked at when mail is claimed, and not when it begins.
    PauseAsAFlag,
    /// Every attempt has a Message-ID of its own.
    RandomMessageId,
    /// A connection lost after the final dot is tried again.
    RetryAfterDot,
    /// Unsubscribing is looked at when mail is claimed, and not when it begins.
    UnsubscribeCheckedAtClaim,
}

impl Bug {
    /// Every bug, by the name under which `PLANTED_BUG` plants it.
    pub const ALL: [(&str, Bug); 8] = [
        ("checkpoint-at-fetch", Bug::CheckpointAtFetch),
        ("send-then-mark", Bug::SendThenMark),
        ("no-epoch", Bug::NoEpoch),
        ("reaper-without-guard", Bug::ReaperWithoutGuard),
        ("pause-as-a-flag", Bug::PauseAsAFlag),
        ("random-message-id", Bug::RandomMessageId),
        ("retry-after-dot", Bug::RetryAfterDot),
        ("unsubscribe-checked-at-claim", Bug::UnsubscribeCheckedAtClaim),
    ];
}

/// The bug that `PLANTED_BUG` names.
///
/// # Panics
/// When there is no such bug: a harness must not believe that it has planted one.
pub fn planted() -> Option<Bug> {
    static PLANTED: LazyLock<Option<Bug>> = LazyLock::new(|| {
        let name = std::env::var("PLANTED_BUG").ok()?;
        let known = Bug::ALL.iter().find(|(known, _)| *known == name);
        Some(known.unwrap_or_else(|| panic!("there is no bug {name:?} to plant")).1)
    });
    *PLANTED
}

/// What `CRASH_AT` asks for: `point`, `point:n` for the n-th time it is reached, `point:n:stop` to stop there and not die.
struct CrashAt {
    point: String,
    nth: u32,
    signal: libc::c_int,
    reached: AtomicU32,
}

impl CrashAt {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(':');
        let point = parts.next().unwrap_or_default().to_owned();
        let nth = parts.next().map_or(1, |nth| nth.parse().expect("CRASH_AT: a number after the point"));
        let signal = match parts.next() {
            None | Some("kill") => libc::SIGKILL,
            Some("stop") => libc::SIGSTOP,
            Some(other) => panic!("CRASH_AT: neither kill nor stop: {other:?}"),
        };
        Self { point, nth, signal, reached: AtomicU32::new(0) }
    }
}

/// The process has come to a point; ends here, or stands still here, if that is what `CRASH_AT` says.
pub fn point(name: &str) {
    static CRASH_AT: OnceLock<Option<CrashAt>> = OnceLock::new();
    let wanted = CRASH_AT.get_or_init(|| std::env::var("CRASH_AT").ok().map(|text| CrashAt::parse(&text)));
    let Some(crash) = wanted.as_ref().filter(|crash| crash.point == name) else { return };
    if crash.reached.fetch_add(1, Ordering::SeqCst) + 1 == crash.nth {
        #[expect(unsafe_code, reason = "raise takes a number and touches no memory")]
        unsafe {
            libc::raise(crash.signal);
        }
    }
}

/// How many connections `POOL_SIZE` leaves to each pool.
pub(crate) fn pool_size() -> Option<usize> {
    let size = std::env::var("POOL_SIZE").ok()?;
    Some(size.parse().expect("POOL_SIZE: a number"))
}

/// Kept, because the connection's cache goes by the text: one for each statement there is.
static REWRITTEN: LazyLock<Mutex<HashMap<&'static str, &'static str>>> = LazyLock::new(Mutex::default);

/// What the planted bug makes of a statement, if it concerns it.
pub(crate) fn rewritten(sql: &'static str) -> &'static str {
    let (right, wrong) = match planted() {
        Some(Bug::NoEpoch) => ("epoch = o.epoch + 1,", "epoch = o.epoch,"),
        Some(Bug::ReaperWithoutGuard) => {
            ("AND state = 'c' AND lease_until < statement_timestamp()", "AND lease_until < statement_timestamp()")
        }
        _ => return sql,
    };
    if !sql.contains(right) {
        return sql;
    }
    let mut rewritten = REWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    rewritten.entry(sql).or_insert_with(|| sql.replace(right, wrong).leak())
}
