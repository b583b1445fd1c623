//! Names of deliveries for the outside: opaque, authentic, and always the same for the same delivery.

use crate::model::delivery::DeliveryKey;
use crate::model::events::ClickedLink;

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
    /// In the address of the image that tells of opens.
    Open,
    /// In the address of the link that no person sees.
    Trap,
}

/// A link of one mail that leads by way of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedLink {
    /// In which mail.
    pub delivery: DeliveryKey,
    /// Which of its links.
    pub link: ClickedLink,
    /// Where it leads in the end.
    pub target: String,
}

/// Seals delivery keys into tokens and opens them again.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait Tokens: Send + Sync {
    /// The token of `key` for `purpose`; the same every time, and fit for an address or a header as it is.
    fn seal(&self, purpose: TokenPurpose, key: DeliveryKey) -> String;
    /// The key that was sealed; `None` for anything that was not made by [`Tokens::seal`] for `purpose`.
    fn open(&self, purpose: TokenPurpose, token: &str) -> Option<DeliveryKey>;
    /// The token of a link, target included: nothing has to be looked up to follow it.
    fn seal_link(&self, link: &TrackedLink) -> String;
    /// The link that was sealed; `None` for anything that was not made by [`Tokens::seal_link`].
    fn open_link(&self, token: &str) -> Option<TrackedLink>;
}
