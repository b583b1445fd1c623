//! Whether `MAIL FROM` is written together with what follows it: a message waits for the network twice then, and not three times.
//!
//! A server may keep its replies back until it has read all of a group (RFC 2920 section 3.2). One that takes its time over a
//! recipient then takes it over the sender, too, for whose reply a transaction is held open. So the two are written together
//! only where a recipient is judged as quickly as a sender, which each connection finds out for itself. A connection that was lost
//! while a group waited for its first reply has nothing more to find out: that is remembered for all of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Slower than the sender by so much, a recipient is asked about apart.
const SLOWER_BY: Duration = Duration::from_millis(20);
/// A server that was slow is asked apart for so many messages.
const APART_FOR: u32 = 50;
/// After a group that got no reply at all every connection asks apart for so long: the message is out by then, or has learned why not.
const ALL_APART_FOR: Duration = Duration::from_mins(1);

/// When a group last got no reply, on any connection of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Unanswered(Arc<Mutex<Option<Instant>>>);

impl Unanswered {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn lately(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() < ALL_APART_FOR)
    }
}

/// What one connection knows of its server.
#[derive(Debug)]
pub(super) struct Grouping {
    unanswered: Unanswered,
    /// A group was written, and its first reply has not come.
    waiting: bool,
    /// So many messages more are asked about apart.
    apart: u32,
    /// How long a sender took to be answered by itself.
    sender: Duration,
}

/// The connection is lost, or its exchange was given up half way.
impl Drop for Grouping {
    fn drop(&mut self) {
        if self.waiting {
            self.unanswered.note();
        }
    }
}

impl Grouping {
    /// Nothing is known of a connection: its first message tells.
    pub(super) fn of(unanswered: Unanswered) -> Self {
        Self { unanswered, waiting: false, apart: 1, sender: Duration::ZERO }
    }

    /// Whether to write them together.
    pub(super) fn pays(&self) -> bool {
        self.apart == 0 && !self.unanswered.lately()
    }

    /// A group is about to be written.
    pub(super) fn group_begins(&mut self) {
        self.waiting = true;
    }

    /// The sender was answered by itself.
    pub(super) fn sender_took(&mut self, time: Duration) {
        self.sender = time;
    }

    /// The recipient was, after it.
    pub(super) fn recipient_took(&mut self, time: Duration) {
        self.apart = if self.is_slow(time) { APART_FOR } else { self.apart.saturating_sub(1) };
    }

    /// The sender was answered, and others had been asked about behind it.
    pub(super) fn group_took(&mut self, time: Duration) {
        self.waiting = false;
        if self.is_slow(time) {
            self.apart = APART_FOR;
        }
    }

    fn is_slow(&self, time: Duration) -> bool {
        time > self.sender + SLOWER_BY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(30);
    const SLOW: Duration = Duration::from_millis(51);

    fn told(recipients: &[Duration]) -> Grouping {
        let mut grouping = Grouping::of(Unanswered::default());
        for recipient in recipients {
            grouping.sender_took(QUICK);
            grouping.recipient_took(*recipient);
        }
        grouping
    }

    #[test]
    fn the_first_message_of_a_connection_tells_whether_the_next_are_written_together() {
        assert!(!Grouping::of(Unanswered::default()).pays());
        assert!(told(&[QUICK]).pays());
        assert!(told(&[QUICK + SLOWER_BY]).pays());
        assert!(!told(&[SLOW]).pays());
    }

    #[test]
    fn a_server_that_was_slow_is_tried_again_after_a_while() {
        let mut recipients = vec![SLOW];
        recipients.resize(APART_FOR as usize, QUICK);
        assert!(!told(&recipients).pays());
        recipients.push(QUICK);
        assert!(told(&recipients).pays());
        recipients.push(SLOW);
        assert!(!told(&recipients).pays());
    }

    #[test]
    fn a_group_that_was_answered_late_is_the_last_for_a_while() {
        let mut grouping = told(&[QUICK]);
        grouping.group_took(QUICK + SLOWER_BY);
        assert!(grouping.pays());
        grouping.group_took(SLOW);
        assert!(!grouping.pays());
    }

    #[test]
    fn a_group_without_a_reply_keeps_every_connection_apart_for_a_while() {
        let unanswered = Unanswered::default();
        let quick = || {
            let mut grouping = Grouping::of(unanswered.clone());
            grouping.recipient_took(Duration::ZERO);
            grouping
        };
        let (other, mut answered, mut lost) = (quick(), quick(), quick());
        answered.group_begins();
        answered.group_took(Duration::ZERO);
        drop(answered);
        assert!(other.pays());
        lost.group_begins();
        drop(lost);
        assert!(!other.pays() && !quick().pays());
        *unanswered.0.lock().unwrap() = Instant::now().checked_sub(ALL_APART_FOR);
        assert!(other.pays());
    }
}
