//! Numbering the links of a template.
//!
//! A template is no HTML: tags of the template language stand within attributes, with quotes and angle brackets of their
//! own. Each is set aside for a letter that stands for it, so that what remains reads as HTML, and put back afterwards.

use super::target::is_web;
use super::{NUMBER, OPT_OUT, fill, unused_letter};
use htmlize::unescape_attribute;
use lol_html::{RewriteStrSettings, element, rewrite_str};
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::tracking::NumberedTemplate;
use std::cell::RefCell;
use std::fmt::Write;

/// The template with its links numbered; as it is when it cannot be read.
pub(super) fn number(template: &str) -> NumberedTemplate {
    numbered(template).unwrap_or_else(|| NumberedTemplate { source: template.to_owned(), links: Vec::new() })
}

fn numbered(template: &str) -> Option<NumberedTemplate> {
    let mark = unused_letter(template)?;
    let (flat, tags) = set_aside(template, mark)?;
    let put_back = |text: &str| fill(text, mark, |tag| tags.get(tag).copied().unwrap_or_default().to_owned());
    let links = RefCell::new(Vec::new());
    let number = element!("a[href], area[href]", |element| {
        let href = element.get_attribute("href").unwrap_or_default();
        let address = put_back(unescape_attribute(href.as_str()).trim()).unwrap_or_default();
        let may_lead = href.trim().starts_with(mark) || address.split_once("://").is_some_and(|(s, _)| is_web(s));
        if may_lead && !element.has_attribute(OPT_OUT) {
            // Behind `<` and the name: an attribute that stands first is the one that counts.
            let place = element.source_location().bytes().start + 1 + element.tag_name().len();
            links.borrow_mut().push((place, LinkNo::of(&address), address));
        }
        Ok(())
    });
    let settings = RewriteStrSettings::new().with_strict(false).append_element_content_handler(number);
    rewrite_str(&flat, settings).ok()?;
    let links = links.into_inner();
    let (mut source, mut done) = (String::with_capacity(flat.len() + 50 * links.len()), 0);
    for (place, no, _) in &links {
        source.push_str(flat.get(done..*place)?);
        // Writing to a String cannot fail.
        let _ = write!(source, " {NUMBER}=\"{}\"", no.0);
        done = *place;
    }
    source.push_str(flat.get(done..)?);
    let links = links.into_iter().map(|(_, no, address)| (no, address)).collect();
    Some(NumberedTemplate { source: put_back(&source)?, links })
}

/// The template with `mark`, a number, `mark` for each stretch that is no text of its own, and those stretches.
fn set_aside(template: &str, mark: char) -> Option<(String, Vec<&str>)> {
    let (mut flat, mut tags, mut end) = (String::with_capacity(template.len()), Vec::new(), 0);
    let mut aside = |flat: &mut String, from: usize, to: usize| {
        let tag = template.get(from..to).filter(|tag| !tag.is_empty())?;
        flat.extend([mark.to_string(), tags.len().to_string(), mark.to_string()]);
        tags.push(tag);
        Some(())
    };
    for token in tokenize(template, false, SyntaxConfig::default()) {
        let Token::TemplateData(text) = token.ok()?.0 else { continue };
        // A slice of the template itself, unless a new version of the engine changes that.
        let start = text.as_ptr().addr().checked_sub(template.as_ptr().addr())?;
        if start < end || template.get(start..start + text.len()) != Some(text) {
            return None;
        }
        aside(&mut flat, end, start);
        flat.push_str(text);
        end = start + text.len();
    }
    aside(&mut flat, end, template.len());
    Some((flat, tags))
}
