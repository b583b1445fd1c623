//! Hooks: making, listing and revoking them, their addresses and secrets, and what has come in through them.

use super::store::StoreResult;
use crate::model::hook::{Hook, HookKey, Receipt};
use crate::model::ids::HookId;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

/// A message as it came, signed in the manner of Standard Webhooks (standardwebhooks.com).
#[derive(Clone, Copy)]
pub struct SignedMessage<'a> {
    /// `webhook-id`, the same however often it is sent.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970, as written.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more of `v1,<base64>`, parted by blanks.
    pub signature: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Addresses and secrets of hooks: nothing of either is stored, both follow from the installation's secret.
pub trait HookSeals: Send + Sync {
    /// The last part of the hook's address.
    fn token(&self, hook: HookKey) -> String;
    /// The hook of an address; `None` for anything that [`HookSeals::token`] did not make.
    fn open(&self, token: &str) -> Option<HookKey>;
    /// What its reports are signed with: `whsec_` and 32 bytes in base64.
    fn secret(&self, hook: HookKey) -> SecretString;
    /// Whether the message was signed with the hook's secret. Takes as long for a wrong signature as for a right one.
    fn is_signed(&self, hook: HookKey, message: SignedMessage<'_>) -> bool;
}

/// What became of claiming a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody has reported this before.
    First,
    /// It was reported before, or is being reported at this moment.
    Again,
    /// Its id was used before, for something else.
    OtherContent,
}

/// The hooks of one workspace.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait HookRepo: Send {
    /// Makes a hook.
    async fn insert(&mut self, name: &str) -> StoreResult<Hook>;

    /// At most `limit` hooks that were not revoked, the newest first, after the one at `after`.
    async fn list(&mut self, after: Option<HookId>, limit: u32) -> StoreResult<Vec<Hook>>;

    /// The hook of that id, if it was not revoked.
    async fn find(&mut self, id: HookId) -> StoreResult<Option<Hook>>;

    /// Ends a hook for good. False when there is no such hook or it was revoked before.
    async fn revoke(&mut self, id: HookId) -> StoreResult<bool>;

    /// The database's real clock, when the hook is there and was not revoked.
    async fn open(&mut self, hook: HookKey) -> StoreResult<Option<DateTime<Utc>>>;

    /// Notes that something was reported. A receipt is kept for eight days at least, longer than anybody tries again, and
    /// gone when its transaction is undone. Of several at once one is the first, and the others wait for its end.
    async fn claim(&mut self, hook: HookKey, receipt: &Receipt) -> StoreResult<Claimed>;
}
