//! What a refused mail says about its address: gone for good, full for now, or nothing at all.
//!
//! One rule for a server's reply while we talk to it and for a report that comes hours later.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// An enhanced mail system status code (RFC 3463), such as `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnhancedStatus {
    /// 2 success, 4 transient, 5 permanent.
    pub class: u8,
    /// 0 undefined, 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// What precisely.
    pub detail: u16,
}

impl EnhancedStatus {
    /// Reads `class.subject.detail` (RFC 3463 section 2) with nothing before or after it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let (subject, detail) = (number(parts.next()?)?, number(parts.next()?)?);
        parts.next().is_none().then_some(Self { class, subject, detail })
    }

    /// The first code among the words of a text, such as a server's reply. Of subjects that RFC 3463 knows, so that a
    /// program's version is none.
    pub fn find(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        words.filter_map(|word| Self::parse(word.trim_matches('.'))).find(|status| status.subject <= 7)
    }

    /// It only repeats that something failed.
    fn is_vague(self) -> bool {
        self.subject == 0
    }
}

impl std::fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One to three digits.
fn number(text: &str) -> Option<u16> {
    let is_number = (1..=3).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The first reply code of RFC 5321 (three digits, 400 to 599) among the words of a text.
pub fn find_reply_code(text: &str) -> Option<u16> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.filter(|word| word.len() == 3).find_map(|word| word.parse().ok().filter(|code| (400..600).contains(code)))
}

/// What a bounce says about the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BounceClass {
    /// It does not take mail and never will: nothing is sent to it again.
    Hard,
    /// It did not take this mail: full, or its server was away for too long. Enough of these count as a hard one.
    Soft,
    /// The mail or its sender was refused, by a filter or a policy. Says nothing about the address.
    Blocked,
}

impl BounceClass {
    /// Every class.
    pub const ALL: [BounceClass; 3] = [BounceClass::Hard, BounceClass::Soft, BounceClass::Blocked];

    /// As written in requests and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            BounceClass::Hard => "hard",
            BounceClass::Soft => "soft",
            BounceClass::Blocked => "blocked",
        }
    }

    /// The class of that name.
    pub fn parse(name: &str) -> Option<BounceClass> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The class of a final refusal with that status, as far as there is one, and what the server said, if it is known.
    ///
    /// A code that says what is wrong decides, whoever wrote it; then the reply code; then the status that only says that
    /// something is. What says nothing is soft: it takes several of them to matter.
    pub fn of(status: Option<EnhancedStatus>, said: Option<&str>) -> BounceClass {
        let said_status = said.and_then(EnhancedStatus::find);
        let telling = [status, said_status].into_iter().flatten().find(|status| !status.is_vague());
        if let Some(status) = telling {
            return Self::of_status(status);
        }
        if let Some(code) = said.and_then(find_reply_code) {
            return Self::of_reply(code);
        }
        match status.or(said_status) {
            Some(EnhancedStatus { class: 5, .. }) => BounceClass::Hard,
            _ => BounceClass::Soft,
        }
    }

    /// RFC 3463 section 3, with the codes that RFC 5248's registry has added.
    fn of_status(status: EnhancedStatus) -> BounceClass {
        match (status.class, status.subject, status.detail) {
            // The sender's own address; and protocol, content and policy, which speak of the mail and of us.
            (_, 1, 7 | 8) | (_, 5..=7, _) => BounceClass::Blocked,
            // Full, or the message is too long for it, or a list behind it could not be expanded.
            (_, 2, 2..=4) => BounceClass::Soft,
            (5, 1 | 2, _) => BounceClass::Hard,
            _ => BounceClass::Soft,
        }
    }

    fn of_reply(code: u16) -> BounceClass {
        match code {
            550 | 551 | 553 => BounceClass::Hard,
            400..=499 | 552 => BounceClass::Soft,
            _ => BounceClass::Blocked,
        }
    }
}

/// When soft bounces add up to a hard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftBouncePolicy {
    /// So many mails must have come back,
    pub count: usize,
    /// all of them within this time,
    pub within: TimeDelta,
    /// the first and the last at least so far apart: a server that is down for a weekend is no reason.
    pub spanning: TimeDelta,
}

impl Default for SoftBouncePolicy {
    fn default() -> Self {
        Self { count: 5, within: TimeDelta::days(90), spanning: TimeDelta::days(7) }
    }
}

impl SoftBouncePolicy {
    /// Whether an address whose mails came back at these times, in any order, is given up at `now`.
    pub fn is_exhausted(&self, bounced_at: &[DateTime<Utc>], now: DateTime<Utc>) -> bool {
        let recent = || bounced_at.iter().filter(|at| **at <= now && now - **at <= self.within);
        match (recent().min(), recent().max()) {
            (Some(first), Some(last)) => recent().count() >= self.count && *last - *first >= self.spanning,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_status_is_three_numbers_and_nothing_else() {
        let status = |class, subject, detail| Some(EnhancedStatus { class, subject, detail });
        assert_eq!(EnhancedStatus::parse("5.1.1"), status(5, 1, 1));
        assert_eq!(EnhancedStatus::parse("4.7.500"), status(4, 7, 500));
        for bad in
            ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.1.", "5..1", "5.1.x", "5.1.1000", "+5.1.1", "5.1.-1", " 5.1.1"]
        {
            assert_eq!(EnhancedStatus::parse(bad), None, "{bad:?}");
        }
        assert_eq!(EnhancedStatus::find("smtp; 550-5.7.26 (see 10.1.2.3)."), status(5, 7, 26));
        assert_eq!(EnhancedStatus::find("host mx.example[192.0.2.5], Exim 4.92.3, said: no"), None);
    }

    #[test]
    fn a_reply_code_is_a_word_of_its_own() {
        assert_eq!(find_reply_code("smtp; 550 5.1.1 unknown"), Some(550));
        assert_eq!(find_reply_code("host mx[192.0.2.1] said: 452-full"), Some(452));
        assert_eq!(find_reply_code("5.1.1 10.550.1.1 x550 2505 250"), None);
    }

    #[test]
    fn the_class_follows_what_the_code_says_of_the_address() {
        use BounceClass::{Blocked, Hard, Soft};
        for (status, said, expected) in [
            ("5.1.1", "", Hard),
            ("5.1.2", "", Hard),
            ("5.1.10", "null MX", Hard),
            ("5.2.1", "", Hard),
            ("5.2.2", "552 mailbox full", Soft),
            ("5.2.3", "", Soft),
            ("5.1.8", "bad sender domain", Blocked),
            ("5.3.0", "", Soft),
            ("5.4.4", "", Soft),
            ("4.4.7", "expired", Soft),
            ("4.2.2", "", Soft),
            ("5.7.1", "550 5.7.1 blocked", Blocked),
            ("4.7.0", "", Blocked),
            ("5.6.1", "", Blocked),
            // What is vague gives way to what is not.
            ("5.0.0", "smtp; 550 5.1.1 no such user", Hard),
            ("5.0.0", "smtp; 550 5.7.1 spam", Blocked),
            ("5.0.0", "smtp; 554 spam", Blocked),
            ("5.0.0", "smtp; 552 over quota", Soft),
            ("5.0.0", "", Hard),
            ("4.0.0", "", Soft),
            ("", "550 no such user", Hard),
            ("", "421 try later", Soft),
            ("", "", Soft),
        ] {
            let said = Some(said).filter(|said| !said.is_empty());
            assert_eq!(BounceClass::of(EnhancedStatus::parse(status), said), expected, "{status} {said:?}");
        }
    }

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(day)
    }

    #[test]
    fn soft_bounces_need_both_number_and_time() {
        let policy = SoftBouncePolicy { count: 3, within: TimeDelta::days(30), spanning: TimeDelta::days(7) };
        let given_up =
            |days: &[i64], now| policy.is_exhausted(&days.iter().map(|day| at(*day)).collect::<Vec<_>>(), at(now));
        assert!(given_up(&[10, 3, 5], 10));
        assert!(!given_up(&[3, 10], 10), "too few");
        assert!(!given_up(&[4, 5, 10], 10), "too close together");
        assert!(!given_up(&[0, 32, 33], 33), "the first is too long ago");
        assert!(!given_up(&[1, 2, 20], 9), "one lies in the future");
        assert!(!given_up(&[], 9));
    }

    proptest! {
        #[test]
        fn any_text_has_a_class(status: String, said: String) {
            let status = EnhancedStatus::find(&status);
            let class = BounceClass::of(status, Some(&said));
            prop_assert_eq!(BounceClass::parse(class.as_str()), Some(class));
        }

        #[test]
        fn a_status_reads_what_it_writes(class in prop::sample::select(vec![2_u8, 4, 5]), subject in 0_u16..1000, detail in 0_u16..1000) {
            let status = EnhancedStatus { class, subject, detail };
            prop_assert_eq!(EnhancedStatus::parse(&status.to_string()), Some(status));
        }
    }
}
