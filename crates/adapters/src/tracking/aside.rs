//! A template as HTML.
//!
//! It is none: tags of the template language stand within attributes, with quotes and angle brackets of their own. Each
//! is set aside for a letter that stands for it, so that what remains reads as HTML, and put back afterwards.

use super::{fill, unused_letter};
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::ops::Range;

/// A template whose tags are set aside.
pub(super) struct Aside<'a> {
    /// What remains: `mark`, a number, `mark` for each stretch that was.
    pub(super) flat: String,
    pub(super) stretches: Vec<Stretch<'a>>,
    mark: char,
}

/// A stretch of a template that is no text of its own: one tag, or several without text between them.
pub(super) struct Stretch<'a> {
    /// As it was written.
    source: &'a str,
    /// The octet of the flat text at which its mark stands.
    pub(super) at: usize,
    /// And behind which it ends.
    pub(super) end: usize,
    /// The first word of each statement.
    pub(super) statements: Vec<&'a str>,
}

impl<'a> Aside<'a> {
    /// `None` when it is no template that can be read.
    pub(super) fn of(template: &'a str) -> Option<Self> {
        let flat = String::with_capacity(template.len());
        let mut aside = Self { flat, stretches: Vec::new(), mark: unused_letter(template)? };
        let (mut end, mut statements, mut begins) = (0, Vec::new(), false);
        for token in tokenize(template, false, SyntaxConfig::default()) {
            match token.ok()?.0 {
                Token::TemplateData(text) => {
                    // A slice of the template itself, unless a new version of the engine changes that.
                    let start = text.as_ptr().addr().checked_sub(template.as_ptr().addr())?;
                    if start < end || template.get(start..start + text.len()) != Some(text) {
                        return None;
                    }
                    aside.stretch(template.get(end..start)?, std::mem::take(&mut statements));
                    aside.flat.push_str(text);
                    end = start + text.len();
                }
                Token::Ident(word) if begins => statements.push(word),
                token => {
                    begins = matches!(token, Token::BlockStart);
                    continue;
                }
            }
            begins = false;
        }
        aside.stretch(template.get(end..)?, statements);
        Some(aside)
    }

    fn stretch(&mut self, source: &'a str, statements: Vec<&'a str>) {
        if source.is_empty() {
            return;
        }
        let at = self.flat.len();
        self.flat.extend([self.mark.to_string(), self.stretches.len().to_string(), self.mark.to_string()]);
        self.stretches.push(Stretch { source, at, end: self.flat.len(), statements });
    }

    /// The text with every stretch in its place again.
    pub(super) fn put_back(&self, text: &str) -> Option<String> {
        fill(text, self.mark, |place| {
            self.stretches.get(place).map(|stretch| stretch.source.to_owned()).unwrap_or_default()
        })
    }

    /// What stands before the first stretch of a piece of the flat text.
    pub(super) fn before_stretches<'t>(&self, text: &'t str) -> &'t str {
        text.split(self.mark).next().unwrap_or(text)
    }

    /// Whether there is a stretch in that range of the flat text.
    pub(super) fn has_stretch(&self, range: &Range<usize>) -> bool {
        let first = self.stretches.partition_point(|stretch| stretch.at < range.start);
        self.stretches.get(first).is_some_and(|stretch| stretch.at < range.end)
    }
}
