//! E-mail addresses within the limits of RFC 5321.

use super::problem::FieldProblems;
use serde::{Deserialize, Serialize};

/// A mailbox that can be written to: `local@domain`, checked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Checks `text`, surrounding blanks taken off, against RFC 5321 §4.1.2 and §4.5.3.1: dot-atom local part of
    /// at most 64 octets, host name of at most 253, 254 in all; no quoting, no literals, no control characters.
    pub fn parse(text: &str) -> Result<Self, FieldProblems> {
        let text = text.trim_matches(' ');
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some((code, detail)) => Err(FieldProblems::one("", code, detail)),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes two addresses the same person: lower case.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part after the `@`, in lower case.
    pub fn domain(&self) -> String {
        self.0.rsplit('@').next().unwrap_or_default().to_lowercase()
    }
}

/// The part of an address after the `@`, in lower case: a host name, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    /// Checks `text`, surrounding blanks taken off, against what an address may have after its `@`. One `@` before it
    /// is taken off too: `@example.com` is how lists of addresses often write a domain.
    pub fn parse(text: &str) -> Result<Self, FieldProblems> {
        let text = text.trim_matches(' ');
        let text = text.strip_prefix('@').unwrap_or(text);
        let refused = |code, detail| Err(FieldProblems::one("", code, detail));
        match text {
            "" => refused("required", "a domain is needed"),
            text if !text.is_ascii() => refused(
                "invalid_domain",
                "only ASCII domains can be mailed; write an international one in its xn-- form",
            ),
            text if !is_host_name(text) => refused("invalid_domain", "a domain is a host name such as example.com"),
            text => Ok(Self(text.to_ascii_lowercase())),
        }
    }

    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with an address; `None` when nothing is.
fn flaw(text: &str) -> Option<(&'static str, &'static str)> {
    if text.is_empty() {
        return Some(("required", "an e-mail address is needed"));
    }
    if text.len() > 254 {
        return Some(("too_long", "an e-mail address has at most 254 octets (RFC 5321 section 4.5.3.1)"));
    }
    if !text.is_ascii() {
        return Some((
            "invalid_email",
            "only ASCII addresses can be mailed; write an international domain in its xn-- form",
        ));
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Some(("invalid_email", "an e-mail address has the form local@domain"));
    };
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    let dot_atom = |part: &str| part.split('.').all(|label| !label.is_empty() && label.bytes().all(atom));
    if local.len() > 64 {
        return Some(("too_long", "the part before the @ has at most 64 octets (RFC 5321 section 4.5.3.1)"));
    }
    if !dot_atom(local) {
        return Some(("invalid_email", "the part before the @ is not a plain dot-separated name"));
    }
    if !is_host_name(domain) {
        return Some(("invalid_email", "the part after the @ is not a host name"));
    }
    None
}

/// Labels of letters, digits and hyphens, two at least, the last one not a number (RFC 1123 section 2.1).
fn is_host_name(domain: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let top_is_number = domain.rsplit('.').next().is_some_and(|top| top.bytes().all(|c| c.is_ascii_digit()));
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label) && !top_is_number
}

impl TryFrom<String> for EmailAddress {
    type Error = FieldProblems;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// Shows that there is an address, not which: it may end up in a log.
impl std::fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_an_address_may_end_in() {
        for (text, domain) in [("Example.COM", "example.com"), (" @mail.example.org ", "mail.example.org")] {
            assert_eq!(DomainName::parse(text).unwrap().as_str(), domain);
        }
        for text in
            ["", "@", "example", "a@b.test", "exa mple.test", "-a.test", "a..test", "1.2.3.4", "bücher.test", "*.test"]
        {
            assert!(DomainName::parse(text).is_err(), "{text}");
        }
        assert!(DomainName::parse(&format!("{}.test", "a".repeat(64))).is_err());
    }
}
