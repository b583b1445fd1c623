//! Begins that wait for each other whatever came of it, in builds with the feature `fault-injection` alone: a harness that is to see
//! mails named behind others sees them on a machine that is slow, too, with a build that is not optimised.

use std::sync::LazyLock;

/// Whether `ALWAYS_TOGETHER` is set: every mail server counts as near, and every wait as one that pays.
pub(super) fn always_together() -> bool {
    static SET: LazyLock<bool> = LazyLock::new(|| std::env::var_os("ALWAYS_TOGETHER").is_some());
    *SET
}
