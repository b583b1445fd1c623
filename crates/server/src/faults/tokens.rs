//! Names of deliveries: the bug that gives every attempt a new one.

use muster_adapters::faults::Bug;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::ports::tokens::{TokenPurpose, Tokens, TrackedLink};
use std::sync::Arc;

pub(super) struct Faulty {
    pub(super) inner: Arc<dyn Tokens>,
    pub(super) bug: Option<Bug>,
}

impl Tokens for Faulty {
    fn seal(&self, purpose: TokenPurpose, key: DeliveryKey) -> String {
        if self.bug == Some(Bug::RandomMessageId) && purpose == TokenPurpose::MessageId {
            return format!("{:032x}", rand::random::<u128>());
        }
        self.inner.seal(purpose, key)
    }

    fn open(&self, purpose: TokenPurpose, token: &str) -> Option<DeliveryKey> {
        self.inner.open(purpose, token)
    }

    fn seal_link(&self, link: &TrackedLink) -> String {
        self.inner.seal_link(link)
    }

    fn open_link(&self, token: &str) -> Option<TrackedLink> {
        self.inner.open_link(token)
    }
}
