//! Optimistic concurrency: `If-Match` (RFC 9110 section 13.1.1).

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

/// The version that the caller believes to be current. `None` when it did not say, or said `*`.
///
/// A well-formed tag that no version of ours ever had becomes 0, which never matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<i32>);

impl IfMatch {
    /// Refuses when the caller named another version than `current`.
    pub fn check(self, current: i32) -> Result<(), Problem> {
        if self.0.is_none_or(|expected| expected == current) { Ok(()) } else { Err(Problem::VersionMismatch) }
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(header::IF_MATCH);
        ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => parse(value.to_str().unwrap_or_default()).map(Self).ok_or_else(refused),
            (Some(_), Some(_)) => Err(refused()),
        })
    }
}

fn refused() -> Problem {
    Problem::invalid("/If-Match", "invalid_etag", "must be one version as the ETag gave it, such as \"3\", or *")
}

#[expect(clippy::option_option, reason = "malformed, or any version, or one")]
fn parse(text: &str) -> Option<Option<i32>> {
    let text = text.trim();
    if text == "*" {
        return Some(None);
    }
    // A tag has quotes (RFC 9110 section 8.8.3), but the version as it stands in the body cannot be taken for anything else.
    if let Some(version) = number(text) {
        return Some(Some(version));
    }
    let (weak, tag) = text.strip_prefix("W/").map_or((false, text), |tag| (true, tag));
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('"') || inner.contains(|c: char| c.is_control() || c == ' ') {
        return None;
    }
    let version = number(inner).filter(|version| !weak && *version > 0);
    Some(Some(version.unwrap_or(0)))
}

/// A number as it is written back.
fn number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|number: &i32| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_the_etag_gave_it() {
        assert_eq!(parse("\"3\""), Some(Some(3)));
        assert_eq!(parse("*"), Some(None));
        assert_eq!(parse("3"), Some(Some(3)), "as the body has it");
    }

    #[test]
    fn a_weak_or_foreign_tag_matches_no_version() {
        for tag in ["W/\"3\"", "\"abc\"", "\"03\"", "\"-1\"", "\"99999999999\"", "\"\""] {
            assert_eq!(parse(tag), Some(Some(0)), "{tag}");
        }
    }

    #[test]
    fn what_is_no_tag_is_malformed() {
        for text in ["", "3 4", "03", "\"3", "\"1\", \"2\"", "\"a b\""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
