//! What a sink offers and how it misbehaves.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A phase of a conversation at which a [`Rule`] may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the greeting.
    Connect,
    /// At `EHLO` and `HELO`.
    Ehlo,
    /// At `STARTTLS`.
    StartTls,
    /// At `AUTH`.
    Auth,
    /// At `MAIL FROM`.
    Mail,
    /// At `RCPT TO`.
    Rcpt,
    /// At `DATA`.
    Data,
    /// When the first octets of a body have come.
    Body,
    /// When the final dot has come.
    Dot,
    /// At `RSET`.
    Rset,
    /// At `NOOP`.
    Noop,
    /// At `QUIT`.
    Quit,
}

/// What to do instead of behaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Say this line; 421 closes. Nothing happens besides: a message is accepted only if the line begins with `2`.
    Reply(String),
    /// Close the connection without a word.
    Drop,
    /// Say nothing more, ever, and keep the connection open.
    Stall,
    /// Say nothing more, and hang up after this long; a message at [`At::Dot`] is not accepted.
    StallFor(Duration),
    /// Say something that is not SMTP.
    Garbage,
    /// Say one line of 64 KiB.
    LongLine,
    /// At [`At::Dot`]: accept the message, then close without a word.
    AcceptThenDrop,
    /// Behave, after this long.
    Delay(Duration),
    /// Behave, and say this line at once after the reply.
    Extra(String),
}

/// When a rule acts, among the times its phase is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    Fraction(f64),
}

/// One misbehaviour.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    at: At,
    act: Act,
    when: When,
    recipient: Option<String>,
}

impl Rule {
    /// Acts every time.
    pub fn new(at: At, act: Act) -> Self {
        Self { at, act, when: When::Always, recipient: None }
    }

    /// Says `line` at `at`.
    pub fn reply(at: At, line: &str) -> Self {
        Self::new(at, Act::Reply(line.to_owned()))
    }

    /// Acts only the `n`-th time, from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { when: When::Nth(n), ..self }
    }

    /// Acts only the first `n` times.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        Self { when: When::First(n), ..self }
    }

    /// Acts on this share of the times (0 to 1), spread the same way in every run.
    #[must_use]
    pub fn fraction(self, share: f64) -> Self {
        Self { when: When::Fraction(share), ..self }
    }

    /// Acts only for recipients that contain `part`; times are counted among those. For phases from `RCPT` on.
    #[must_use]
    pub fn to(self, part: &str) -> Self {
        Self { recipient: Some(part.to_owned()), ..self }
    }
}

/// What a sink offers, keeps, and does wrong.
#[derive(Debug, Clone)]
pub struct Script {
    /// Misbehaviours; the first that fits acts.
    pub rules: Vec<Rule>,
    /// Offer `STARTTLS`.
    pub starttls: bool,
    /// Speak TLS from the first octet.
    pub implicit_tls: bool,
    /// Show a self-signed certificate for another name instead of one that verifies for `localhost`.
    pub self_signed: bool,
    /// Offer `AUTH` with these mechanisms.
    pub auth: Option<&'static str>,
    /// The user name and password that are right.
    pub account: (String, String),
    /// Know `EHLO`; else only `HELO`.
    pub ehlo: bool,
    /// Offer PIPELINING (RFC 2920); else every command has to wait for the reply to the one before it.
    pub pipelining: bool,
    /// Offer SMTPUTF8.
    pub smtputf8: bool,
    /// Announce this `SIZE`.
    pub size: Option<usize>,
    /// Keep the octets of each message, not only their hash.
    pub keep_data: bool,
    /// Append every event to this file, too, as lines of JSON: see [`super::log_line`].
    pub log_file: Option<PathBuf>,
    /// Which of the possible rows of chances the fractions of rules follow.
    pub seed: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            starttls: false,
            implicit_tls: false,
            self_signed: false,
            auth: None,
            account: ("user".to_owned(), "secret".to_owned()),
            ehlo: true,
            pipelining: true,
            smtputf8: true,
            size: None,
            keep_data: true,
            log_file: None,
            seed: 0,
        }
    }
}

impl Script {
    /// Behaves, but for `rules`.
    pub fn with(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn needs_tls(&self) -> bool {
        self.starttls || self.implicit_tls
    }
}

/// The rules of a running sink, with how often each phase was reached.
#[derive(Debug)]
pub(super) struct Rules {
    counted: Mutex<Vec<(Rule, u64)>>,
    seed: u64,
}

impl Rules {
    pub(super) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        Self { counted: Mutex::new(counted(rules)), seed }
    }

    pub(super) fn replace(&self, rules: Vec<Rule>) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted(rules);
    }

    /// What to do at `at` for `recipient`; `None` to behave. Every rule that could act counts.
    pub(super) fn consult(&self, at: At, recipient: &str) -> Option<Act> {
        let mut rules = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for (index, (rule, count)) in (0_u64..).zip(rules.iter_mut()).filter(|(_, (rule, _))| rule.at == at) {
            if rule.recipient.as_ref().is_some_and(|part| !recipient.contains(part)) {
                continue;
            }
            *count += 1;
            let acts = match rule.when {
                When::Always => true,
                When::Nth(n) => *count == n,
                When::First(n) => *count <= n,
                // A row of its own for each rule, or of two at one phase the rarer would never act.
                When::Fraction(share) => draw(self.seed ^ (index << 48) ^ *count) < share,
            };
            if acts && found.is_none() {
                found = Some(rule.act.clone());
            }
        }
        found
    }
}

fn counted(rules: Vec<Rule>) -> Vec<(Rule, u64)> {
    rules.into_iter().map(|rule| (rule, 0)).collect()
}

/// The `n`-th of a fixed row of numbers in `0..1` that looks random (SplitMix64).
fn draw(n: u64) -> f64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let share = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_only_what_concerns_them() {
        let rules = Rules::new(
            vec![Rule::new(At::Rcpt, Act::Drop).to("bob").nth(2), Rule::new(At::Rcpt, Act::Stall).first(1)],
            0,
        );
        assert_eq!(rules.consult(At::Mail, ""), None);
        assert_eq!(rules.consult(At::Rcpt, "bob@x"), Some(Act::Stall));
        assert_eq!(rules.consult(At::Rcpt, "amy@x"), None);
        assert_eq!(rules.consult(At::Rcpt, "bob@x"), Some(Act::Drop));
        assert_eq!(rules.consult(At::Rcpt, "bob@x"), None);
    }

    #[test]
    fn a_fraction_is_about_that_fraction() {
        let rules = Rules::new(vec![Rule::new(At::Dot, Act::Drop).fraction(0.1)], 0);
        let acted = (0..10_000).filter(|_| rules.consult(At::Dot, "").is_some()).count();
        assert!((900..1100).contains(&acted), "{acted}");
    }

    #[test]
    fn of_two_fractions_at_one_phase_both_act_and_a_seed_is_a_row_of_its_own() {
        let both = vec![Rule::new(At::Dot, Act::Drop).fraction(0.1), Rule::new(At::Dot, Act::Garbage).fraction(0.1)];
        let row = |seed| {
            let rules = Rules::new(both.clone(), seed);
            (0..1_000).map(|_| rules.consult(At::Dot, "")).collect::<Vec<_>>()
        };
        for act in [Act::Drop, Act::Garbage] {
            let acted = row(7).iter().filter(|done| **done == Some(act.clone())).count();
            assert!((60..140).contains(&acted), "{act:?}: {acted}");
        }
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }
}
