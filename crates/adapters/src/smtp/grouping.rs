//! Whether `MAIL FROM` is written together with what follows it: a message waits for the network twice then, and not three times.
//!
//! A server may keep its replies back until it has read all of a group (RFC 2920 section 3.2). One that takes its time over a
//! recipient then takes it over the sender, too, for whose reply a transaction is held open. So the two are written together
//! only where a recipient is judged as quickly as a sender, which each connection finds out for itself. A connection that was lost
//! while a group waited for its first reply has nothing more to find out: that is remembered for all of them.
//!
//! A group may begin with the end of the message before it (RFC 2920 section 3.1). Its first reply then comes after the server has
//! answered for that message, which a server may take its time for; so it is done only on connections where it did not, lately;
//! and by one connection at a time until one was answered, and more and more seldom where that was in vain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Slower than the sender by so much, a recipient is asked about apart.
const SLOWER_BY: Duration = Duration::from_millis(20);
/// A server that was slow is asked apart for so many messages.
const APART_FOR: u32 = 50;
/// After a group that got no reply at all every connection asks apart for so long: the message is out by then, or has learned why not.
const ALL_APART_FOR: Duration = Duration::from_mins(1);

/// A message whose server takes longer for it has kept the group behind it waiting in vain: its begin went on without.
const TOO_LONG: Duration = Duration::from_millis(100);
/// A connection that was lost while a message with a group behind it waited for its reply leaves that message in doubt, and perhaps for
/// the group's sake. So no message has company for so long then, on any connection, and for twice as long after the next.
const ALONE_FOR: Duration = Duration::from_secs(1);
/// And no longer than this.
const ALONE_AT_MOST: Duration = Duration::from_hours(1);
/// After that one message at a time has company, until so many were answered one after the other: a server may be several, of
/// which not all take it.
const TRIALS: u32 = 20;
/// So many that were answered halve the time for which none has company after the next loss.
const FORGIVEN_AFTER: u32 = 500;

/// What all connections of a server know of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Lessons>>);

#[derive(Debug)]
struct Lessons {
    /// When a group last got no reply.
    unanswered: Option<Instant>,
    /// So many messages more have company one at a time.
    trials: u32,
    /// One of them is under way.
    trying: bool,
    /// Until then no message has company.
    alone_until: Option<Instant>,
    /// How long that was for.
    alone_for: Duration,
    /// So many that had company were answered since.
    answered: u32,
}

impl Default for Lessons {
    fn default() -> Self {
        let (alone_until, alone_for) = (None, Duration::ZERO);
        Self { unanswered: None, trials: 1, trying: false, alone_until, alone_for, answered: 0 }
    }
}

impl Lessons {
    fn is_alone(&self) -> bool {
        self.alone_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether a message may have company now.
    fn takes_company(&self) -> bool {
        !self.is_alone() && (self.trials == 0 || !self.trying)
    }

    fn company_answered(&mut self) {
        self.trying = false;
        self.trials = self.trials.saturating_sub(1);
        self.answered += 1;
        if self.answered >= FORGIVEN_AFTER {
            self.answered = 0;
            self.alone_for /= 2;
        }
    }

    /// Of those that fared so together one counts.
    fn company_in_vain(&mut self) {
        self.trying = false;
        if !self.is_alone() {
            self.alone_for = (self.alone_for * 2).clamp(ALONE_FOR, ALONE_AT_MOST);
            self.alone_until = Some(Instant::now() + self.alone_for);
            (self.trials, self.answered) = (TRIALS, 0);
        }
    }
}

impl Known {
    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered_lately(&self) -> bool {
        self.lessons().unanswered.is_some_and(|since| since.elapsed() < ALL_APART_FOR)
    }

    /// Whether a message may have company now; if that is a trial, it is under way from here on.
    fn company_begins(&self) -> bool {
        let mut lessons = self.lessons();
        let begins = lessons.takes_company();
        lessons.trying |= begins && lessons.trials > 0;
        begins
    }
}

/// What one connection knows of its server.
#[derive(Debug)]
pub(super) struct Grouping {
    known: Known,
    /// A group was written, and its first reply has not come.
    waiting: bool,
    /// A message was written with a group behind it, whose first reply has not come.
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
        if self.accompanied {
            self.known.lessons().company_in_vain();
        } else if self.waiting {
            self.known.lessons().unanswered = Some(Instant::now());
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
        self.ends == 0 && self.pays() && self.known.lessons().takes_company()
    }

    /// A message is about to be ended. Whether it may have a group behind it: then it is taken to have one.
    pub(super) fn company_begins(&mut self) -> bool {
        self.accompanied = self.ends == 0 && self.pays() && self.known.company_begins();
        self.accompanied
    }

    /// A message was answered for, so long after its end was written. A group behind it has yet to be.
    pub(super) fn message_took(&mut self, time: Duration) {
        self.ends = if time > SLOWER_BY { APART_FOR } else { self.ends.saturating_sub(1) };
        if self.accompanied && time > TOO_LONG {
            self.accompanied = false;
            self.known.lessons().company_in_vain();
        }
    }

    /// Nothing is to be learned from the group behind a message: it was not written after all, or the server hung up in order.
    pub(super) fn company_ends(&mut self) {
        if std::mem::take(&mut self.accompanied) {
            self.known.lessons().trying = false;
        }
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
        if std::mem::take(&mut self.accompanied) {
            self.known.lessons().company_answered();
        }
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

    /// How long no message has company now, in seconds; that time passes.
    fn alone_for(known: &Known) -> u64 {
        let (until, half) = (known.lessons().alone_until.replace(Instant::now()), Duration::from_millis(500));
        until.map_or(0, |until| (until + half).saturating_duration_since(Instant::now()).as_secs())
    }

    /// A connection on which a message was sent.
    fn acquainted(known: &Known) -> Grouping {
        let mut grouping = Grouping::of(known.clone());
        grouping.recipient_took(Duration::ZERO);
        grouping.message_took(Duration::ZERO);
        grouping
    }

    /// A message with a group behind it, of which both are answered.
    fn answered(known: &Known) {
        let mut grouping = acquainted(known);
        assert!(grouping.company_begins());
        grouping.message_took(Duration::ZERO);
        grouping.group_begins();
        grouping.group_took(Duration::ZERO);
    }

    #[test]
    fn one_message_has_company_until_it_and_its_company_are_answered_and_then_all_may() {
        let known = Known::default();
        let (mut one, mut other) = (acquainted(&known), acquainted(&known));
        assert!(one.pays_behind_a_message() && one.company_begins());
        assert!(!other.pays_behind_a_message() && !other.company_begins());
        one.message_took(Duration::ZERO);
        assert!(!other.company_begins(), "the group may be lost yet");
        one.group_begins();
        one.group_took(Duration::ZERO);
        assert!(other.company_begins() && acquainted(&known).company_begins());
    }

    #[test]
    fn company_that_was_not_written_is_no_trial() {
        let known = Known::default();
        let mut one = acquainted(&known);
        assert!(one.company_begins());
        one.company_ends();
        drop(one);
        assert_eq!(alone_for(&known), 0);
        assert!(acquainted(&known).company_begins());
    }

    /// Every way in which company is in vain: the message is lost, or takes too long, or its company gets no answer.
    fn in_vain() -> [fn(Grouping); 3] {
        [
            drop,
            |mut grouping| grouping.message_took(TOO_LONG + Duration::from_millis(1)),
            |mut grouping| {
                grouping.message_took(Duration::ZERO);
                grouping.group_begins();
            },
        ]
    }

    #[test]
    fn after_company_in_vain_none_has_any_for_longer_and_longer_and_then_one_at_a_time() {
        for in_vain in in_vain() {
            let known = Known::default();
            answered(&known);
            for seconds in [1, 2, 4, 8] {
                let [mut one, mut other, third] = [(); 3].map(|()| acquainted(&known));
                assert!(one.company_begins());
                // It was answered before, or is one of the trials.
                let together = other.company_begins();
                assert_eq!(together, seconds == 1);
                in_vain(one);
                if together {
                    in_vain(other);
                }
                assert!(!third.pays_behind_a_message());
                assert!(third.pays(), "groups by themselves are another matter");
                assert_eq!(alone_for(&known), seconds, "what was lost together counts once");
            }
            for _ in 0..TRIALS {
                let (mut one, mut other) = (acquainted(&known), acquainted(&known));
                assert!(one.company_begins() && !other.company_begins());
                one.company_ends();
                answered(&known);
            }
            let (mut one, mut other) = (acquainted(&known), acquainted(&known));
            assert!(one.company_begins() && other.company_begins());
        }
    }

    #[test]
    fn what_is_answered_makes_up_for_losses_after_a_while() {
        let known = Known::default();
        let lost = || {
            assert!(acquainted(&known).company_begins());
            alone_for(&known)
        };
        assert_eq!([lost(), lost(), lost()], [1, 2, 4]);
        (0..FORGIVEN_AFTER - 1).for_each(|_| answered(&known));
        assert_eq!(lost(), 8);
        (0..FORGIVEN_AFTER * 2).for_each(|_| answered(&known));
        assert_eq!(lost(), 4);
        (0..20).map(|_| lost()).for_each(|seconds| assert!(seconds > 4));
        assert_eq!(lost(), ALONE_AT_MOST.as_secs());
    }
}
