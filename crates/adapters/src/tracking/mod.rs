//! [`Tracker`] over an HTML tokenizer: links are found as a mail program finds them, and everything else stays as it
//! was.
//!
//! The template is read as HTML, and each link's place marked in it, so that a mail rendered from it need not be
//! (`seam`, `stitch`): that is done once for each template, where reading each mail took a third of the time that it
//! took to make. It can be done where the tags of the template language stand in texts and quoted values, as they do in
//! almost all (`outline`). Of others each rendered mail is read (`rewrite`).

mod aside;
mod below;
mod number;
mod outline;
mod rewrite;
mod seam;
mod stitch;
mod target;

use crate::by_source::BySource;
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::tracking::{Marks, NumberedTemplate, Tracker};
use std::collections::HashSet;
use std::sync::Arc;

/// By which a link tells its number; taken out before sending.
const NUMBER: &str = "data-muster-link";
/// By which an author opts a link out; taken out before sending.
const OPT_OUT: &str = "data-muster-no-track";

/// The tracker; clones share the numbered templates.
#[derive(Debug, Clone, Default)]
pub struct HtmlTracker {
    numbered: Arc<BySource<(), NumberedTemplate>>,
    seam: Arc<seam::Seam>,
}

impl Tracker for HtmlTracker {
    fn number(&self, template: &str) -> Arc<NumberedTemplate> {
        if let Some(known) = self.numbered.find((), template) {
            return known;
        }
        let numbered = Arc::new(number::number(template, Some(&self.seam)));
        let links: usize =
            numbered.links.iter().map(|(_, address)| size_of::<(LinkNo, String)>() + address.len()).sum();
        self.numbered.keep((), template, (Arc::clone(&numbered), numbered.source.len() + links));
        numbered
    }

    fn track(&self, html: &str, marks: &Marks<'_>) -> String {
        stitch::stitch(html, &self.seam, marks)
            .or_else(|| rewrite::rewrite(html, marks))
            .unwrap_or_else(|| html.to_owned())
    }
}

/// Begins the marks of a seam.
const SEAM: char = '\u{f8ff}';

/// A letter for private use that `text` does not have: nothing but what we put there can be mistaken for ours.
fn unused_letter(text: &str) -> Option<char> {
    ('\u{e000}'..SEAM).find(|letter| !text.contains(*letter))
}

/// `text` with what stands between each pair of `mark`s, a number, replaced.
fn fill(text: &str, mark: char, with: impl Fn(usize) -> String) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    for (place, piece) in text.split(mark).enumerate() {
        if place % 2 == 0 { filled.push_str(piece) } else { filled.push_str(&with(piece.parse().ok()?)) }
    }
    Some(filled)
}

/// How many different links there are: it goes into each, so that visits to all of them can be told from a person's.
fn different(links: impl Iterator<Item = LinkNo>) -> i16 {
    let different: HashSet<LinkNo> = links.collect();
    i16::try_from(different.len()).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod sewn_tests;
#[cfg(test)]
mod tests;
