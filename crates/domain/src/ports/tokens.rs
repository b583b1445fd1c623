//! Names of deliveries for the outside: opaque, authentic, and always the same for the same delivery.

use crate::model::delivery::DeliveryKey;

/// What a token is good for. One made for one purpose opens for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPurpose {
    /// In the unsubscribe link of a mail.
    Unsubscribe,
    /// The local part of a mail's Message-ID: lower-case letters and digits only.
    MessageId,
    /// The local part of a mail's return path, to which bounces go: lower-case letters and digits only.
    ReturnPath,
    /// The id of a delivery in the API.
    Delivery,
}

/// Seals delivery keys into tokens and opens them again.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait Tokens: Send + Sync {
    /// The token of `key` for `purpose`; the same every time, and fit for an address or a header as it is.
    fn seal(&self, purpose: TokenPurpose, key: DeliveryKey) -> String;
    /// The key that was sealed; `None` for anything that was not made by [`Tokens::seal`] for `purpose`.
    fn open(&self, purpose: TokenPurpose, token: &str) -> Option<DeliveryKey>;
}
