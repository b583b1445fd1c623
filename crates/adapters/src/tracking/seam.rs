//! Marks in a template that show where links are when it is rendered, so that nobody has to look for them again.

use super::SEAM;
use super::target::target;
use htmlize::unescape_attribute;
use memchr::memmem::Finder;
use muster_domain::model::ids::LinkNo;
use std::borrow::Cow;

/// Whose value stands behind a mark as a header can hold it: where it leads is what is written.
const AS_WRITTEN: char = '=';
/// Whose value has yet to be read.
const TO_BE_READ: char = ':';

/// How marks look. A contact's name could hold one that it knew, and make a link of ours of what it likes: so each
/// process has its own, and none ever leaves it.
#[derive(Debug, Clone)]
pub(super) struct Seam {
    mark: Finder<'static>,
}

/// A marked link in a rendered template.
pub(super) struct Sewn<'a> {
    /// What comes before it, without the mark.
    pub(super) before: &'a str,
    /// The value of its `href`, with the quotes.
    pub(super) quoted: &'a str,
    no: LinkNo,
    as_written: bool,
}

impl Default for Seam {
    fn default() -> Self {
        let mark = format!("{SEAM}{:016x}", rand::random::<u64>());
        Self { mark: Finder::new(mark.as_bytes()).into_owned() }
    }
}

impl Seam {
    fn mark(&self) -> &str {
        // Made of a text, which it still is.
        std::str::from_utf8(self.mark.needle()).unwrap_or_default()
    }

    /// Begins the source of a template whose links all have marks.
    pub(super) fn begin(&self, source: &mut String) {
        source.push_str(self.mark());
    }

    /// Goes before the quote of a `href`.
    pub(super) fn sew(&self, source: &mut String, no: LinkNo, as_written: bool) {
        let kind = if as_written { AS_WRITTEN } else { TO_BE_READ };
        source.push_str(self.mark());
        source.push_str(&no.0.to_string());
        source.push(kind);
    }

    /// The marked links of a rendered template, and what comes behind the last; `None` when it is none with marks.
    pub(super) fn unpick<'a>(&self, html: &'a str) -> Option<(Vec<Sewn<'a>>, &'a str)> {
        let mut rest = html.strip_prefix(self.mark())?;
        let mut links = Vec::new();
        while let Some(at) = self.mark.find(rest.as_bytes()) {
            let (before, behind) = (rest.get(..at)?, rest.get(at + self.mark.needle().len()..)?);
            let (link, after) = Sewn::read(before, behind)?;
            links.push(link);
            rest = after;
        }
        Some((links, rest))
    }
}

impl<'a> Sewn<'a> {
    fn read(before: &'a str, behind: &'a str) -> Option<(Self, &'a str)> {
        let kind = behind.find([AS_WRITTEN, TO_BE_READ])?;
        let value = behind.get(kind + 1..)?;
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        // No value of a contact has a quote: it would be a reference.
        let end = value.get(1..)?.find(quote)? + 2;
        let (quoted, after) = value.split_at_checked(end)?;
        let as_written = behind[kind..].starts_with(AS_WRITTEN);
        Some((Self { before, quoted, no: LinkNo(behind[..kind].parse().ok()?), as_written }, after))
    }

    /// Which link it is and where it leads, if a redirect may lead there.
    pub(super) fn leads(&self, spared: Option<&str>) -> Option<(LinkNo, Cow<'a, str>)> {
        let value = &self.quoted[1..self.quoted.len() - 1];
        if self.as_written {
            return Some((self.no, Cow::Borrowed(value)));
        }
        let href = unescape_attribute(value);
        if spared.is_some_and(|spared| href.trim().starts_with(spared)) {
            return None;
        }
        Some((self.no, Cow::Owned(target(&href)?)))
    }
}
