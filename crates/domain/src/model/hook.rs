//! Hooks: addresses to which others report what became of mails.

use super::ids::{HookId, HookNo, TenantNo, WorkspaceNo};
use chrono::{DateTime, TimeDelta, Utc};

/// A report may be this much older or newer than the clock says: what was overheard is worth nothing later.
pub const REPORT_WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Names one hook for ever: its address and its secret are made from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HookKey {
    /// The owner.
    pub tenant: TenantNo,
    /// The workspace whose mails it hears of.
    pub workspace: WorkspaceNo,
    /// Its number.
    pub no: HookNo,
}

/// A hook as it is stored. Its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What its address and its secret are made from.
    pub key: HookKey,
    /// Its id.
    pub id: HookId,
    /// What it is for, in its owner's words; 1 to 200 characters.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What is remembered of a report, so that it counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// A hash over the id that its sender gave it, and its place among what came with it.
    pub id: [u8; 32],
    /// A hash over all that came with it.
    pub content: [u8; 32],
}
