//! Whether `MAIL FROM` is written together with what follows it: a message waits for the network twice then, and not three times.
//!
//! A server may keep its replies back until it has read all of a group (RFC 2920 section 3.2). One that takes its time over a
//! recipient then takes it over the sender, too, for whose reply a transaction is held open. So the two are written together
//! only where a recipient is judged as quickly as a sender, which each connection finds out for itself. A connection that was lost
//! while a group waited for its first reply has nothing more to find out: that is remembered for all of them.
//!
//! A group may begin with the end of the message before it (RFC 2920 section 3.1). Its first reply then comes after the server has
//! answered for that message, which a server may take its time for; so it is done only on connections where it did not, lately, and
//! more and more seldom where such messages are lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Slower than the sender by so much, a recipient is asked about apart.
const SLOWER_BY: Duration = Duration::from_millis(20);
/// A server that was slow is asked apart for so many messages.
const APART_FOR: u32 = 50;
/// After a group that got no reply at all every connection asks apart for so long: the message is out by then, or has learned why not.
const ALL_APART_FOR: Duration = Duration::from_mins(1);

/// A connection that was lost while a message with a group behind it waited for its reply leaves that message in doubt, and perhaps for
/// the group's sake. So no message has one behind it for so long then, on any connection; for twice as long when that happens again.
const ALONE_FOR: Duration = Duration::from_secs(1);
/// And no longer than this.
const ALONE_AT_MOST: Duration = Duration::from_hours(1);

/// What all connections of a server know of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Lessons>>);

#[derive(Debug, Default)]
struct Lessons {
    /// When a group last got no reply.
    unanswered: Option<Instant>,
    /// Until then no message has a group behind it.
    alone_until: Option<Instant>,
    /// How long that is for, if it was lost again.
    alone_next: Duration,
}

impl Known {
    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered(&self) {
        self.lessons().unanswered = Some(Instant::now());
    }

    fn unanswered_lately(&self) -> bool {
        self.lessons().unanswered.is_some_and(|since| since.elapsed() < ALL_APART_FOR)
    }

    fn is_alone(&self) -> bool {
        self.lessons().alone_until.is_some_and(|until| Instant::now() < until)
    }

    /// A message with a group behind it was answered, or was not. Of those that were lost together one counts.
    fn accompanied(&self, answered: bool) {
        let mut lessons = self.lessons();
        let now = Instant::now();
        if answered {
            lessons.alone_next = ALONE_FOR;
        } else if lessons.alone_until.is_none_or(|until| until <= now) {
            let time = lessons.alone_next.max(ALONE_FOR);
            lessons.alone_until = Some(now + time);
            lessons.alone_next = (time * 2).min(ALONE_AT_MOST);
        }
    }
}

/// What one connection knows of its server.
#[derive(Debug)]
pub(super) struct Grouping {
    known: Known,
    /// A group was written, and its first reply has not come.
    waiting: bool,
    /// A message was written with a group behind it, and its reply has not come.
    accompanied: bool,
    /// So many messages more are asked about apart.
    apart: u32,
    /// So many more have to end before a group may begin with the end of one.
    ends: u32,
    /// How long a sender took to be answered by itself.
    sender: Duration,
}

/// The connection is lost, or its exchange was given up half way.
impl Drop for Grouping {
    fn drop(&mut self) {
        if self.waiting {
            self.known.unanswered();
        }
        if self.accompanied {
            self.known.accompanied(false);
        }
    }
}

impl Grouping {
    /// Nothing is known of a connection: its first message tells.
    pub(super) fn of(known: Known) -> Self {
        Self { known, waiting: false, accompanied: false, apart: 1, ends: 1, sender: Duration::ZERO }
    }

    /// Whether to write them together.
    pub(super) fn pays(&self) -> bool {
        self.apart == 0 && !self.known.unanswered_lately()
    }

    /// Whether to write them behind the message before, too.
    pub(super) fn pays_behind_a_message(&self) -> bool {
        self.ends == 0 && self.pays() && !self.known.is_alone()
    }

    /// A message is about to be ended with a group behind it.
    pub(super) fn accompanied_begins(&mut self) {
        self.accompanied = true;
    }

    /// A message was answered for, so long after its end was written.
    pub(super) fn message_took(&mut self, time: Duration) {
        if std::mem::take(&mut self.accompanied) {
            self.known.accompanied(true);
        }
        self.ends = if time > SLOWER_BY { APART_FOR } else { self.ends.saturating_sub(1) };
    }

    /// The first reply to a group is waited for.
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
        let mut grouping = Grouping::of(Known::default());
        for recipient in recipients {
            grouping.sender_took(QUICK);
            grouping.recipient_took(*recipient);
        }
        grouping
    }

    #[test]
    fn the_first_message_of_a_connection_tells_whether_the_next_are_written_together() {
        assert!(!Grouping::of(Known::default()).pays());
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
        let known = Known::default();
        let quick = || {
            let mut grouping = Grouping::of(known.clone());
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
        known.lessons().unanswered = Instant::now().checked_sub(ALL_APART_FOR);
        assert!(other.pays());
    }

    /// How long no message has a group behind it now, in seconds; that time passes.
    fn alone_for(known: &Known) -> u64 {
        let until = known.lessons().alone_until.replace(Instant::now());
        let half = Duration::from_millis(500);
        until.map_or(0, |until| (until + half).saturating_duration_since(Instant::now()).as_secs())
    }

    #[test]
    fn a_message_that_was_lost_with_a_group_behind_it_keeps_all_alone_for_longer_and_longer_until_one_is_answered() {
        let known = Known::default();
        let accompanied = |answered: bool| {
            let mut grouping = Grouping::of(known.clone());
            grouping.recipient_took(Duration::ZERO);
            grouping.message_took(Duration::ZERO);
            let pays = grouping.pays_behind_a_message();
            grouping.accompanied_begins();
            if answered {
                grouping.message_took(Duration::ZERO);
            }
            pays
        };
        assert!(accompanied(true));
        for seconds in [1, 2, 4, 8] {
            let (one, other) = (accompanied(false), accompanied(false));
            assert!(one && !other, "the other was lost with it");
            assert_eq!(alone_for(&known), seconds);
        }
        assert!(accompanied(true));
        accompanied(false);
        assert_eq!(alone_for(&known), ALONE_FOR.as_secs());
        for _ in 0..20 {
            alone_for(&known);
            accompanied(false);
        }
        assert_eq!(alone_for(&known), ALONE_AT_MOST.as_secs());
    }
}
