//! [`Tracker`] over an HTML tokenizer: links are found as a mail program finds them, and everything else stays as it
//! was, octet for octet.

mod number;
mod rewrite;
mod target;

use crate::by_source::BySource;
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::tracking::{Marks, NumberedTemplate, Tracker};
use std::sync::Arc;

/// By which a link tells its number; taken out before sending.
const NUMBER: &str = "data-muster-link";
/// By which an author opts a link out; taken out before sending.
const OPT_OUT: &str = "data-muster-no-track";

/// The tracker; clones share the numbered templates.
#[derive(Debug, Clone, Default)]
pub struct HtmlTracker {
    numbered: Arc<BySource<(), NumberedTemplate>>,
}

impl Tracker for HtmlTracker {
    fn number(&self, template: &str) -> Arc<NumberedTemplate> {
        if let Some(known) = self.numbered.find((), template) {
            return known;
        }
        let numbered = Arc::new(number::number(template));
        let links: usize =
            numbered.links.iter().map(|(_, address)| size_of::<(LinkNo, String)>() + address.len()).sum();
        self.numbered.keep((), template, (Arc::clone(&numbered), numbered.source.len() + links));
        numbered
    }

    fn track(&self, html: &str, marks: &Marks<'_>) -> String {
        rewrite::rewrite(html, marks).unwrap_or_else(|| html.to_owned())
    }
}

/// A letter for private use that `text` does not have: nothing but what we put there can be mistaken for ours.
fn unused_letter(text: &str) -> Option<char> {
    ('\u{e000}'..='\u{f8ff}').find(|letter| !text.contains(*letter))
}

/// `text` with what stands between each pair of `mark`s, a number, replaced.
fn fill(text: &str, mark: char, with: impl Fn(usize) -> String) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    for (place, piece) in text.split(mark).enumerate() {
        if place % 2 == 0 { filled.push_str(piece) } else { filled.push_str(&with(piece.parse().ok()?)) }
    }
    Some(filled)
}

#[cfg(test)]
mod tests;
