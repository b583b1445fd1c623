//! Numbering the links of a template.

use super::NUMBER;
use super::aside::Aside;
use super::outline::{Link, Outline};
use super::seam::Seam;
use super::target::target;
use htmlize::unescape_attribute;
use muster_domain::ports::tracking::NumberedTemplate;
use std::fmt::Write;

/// The template with its links numbered, by the marks of `seam` where it can do with them; as it is when it cannot be
/// read.
pub(super) fn number(template: &str, seam: Option<&Seam>) -> NumberedTemplate {
    numbered(template, seam).unwrap_or_else(|| NumberedTemplate {
        source: template.to_owned(),
        marked: false,
        links: Vec::new(),
    })
}

fn numbered(template: &str, seam: Option<&Seam>) -> Option<NumberedTemplate> {
    let aside = Aside::of(template)?;
    let outline = Outline::read(&aside)?;
    let sewn = seam.and_then(|seam| sewn(&aside, &outline, seam));
    let marked = sewn.is_some();
    let source = match sewn {
        Some(source) => source,
        None => with_attributes(&aside, &outline.links)?,
    };
    let links = outline.links.into_iter().map(|link| (link.no, link.address)).collect();
    Some(NumberedTemplate { source: aside.put_back(&source)?, marked, links })
}

/// Each link tells its number in an attribute, for whoever reads the rendered mail as HTML.
fn with_attributes(aside: &Aside<'_>, links: &[Link]) -> Option<String> {
    let flat = aside.flat.as_str();
    let (mut source, mut done) = (String::with_capacity(flat.len() + 50 * links.len()), 0);
    for link in links {
        source.push_str(flat.get(done..link.place)?);
        // Writing to a String cannot fail.
        let _ = write!(source, " {NUMBER}=\"{}\"", link.no.0);
        done = link.place;
    }
    source.push_str(flat.get(done..)?);
    Some(source)
}

/// Each link that may lead somewhere has a mark before its address; `None` when the rendered mail must be read as HTML,
/// because its tags are not the template's.
fn sewn(aside: &Aside<'_>, outline: &Outline, seam: &Seam) -> Option<String> {
    let flat = aside.flat.as_str();
    if !outline.stands_still(aside) {
        return None;
    }
    let (mut source, mut done) = (String::with_capacity(flat.len() + 50 * outline.links.len()), 0);
    seam.begin(&mut source);
    for link in &outline.links {
        let Some((range, quote)) = &link.value else { continue };
        let value = flat.get(range.clone())?;
        let varies = aside.has_stretch(range);
        let leads = target(&unescape_attribute(value)).filter(|_| !varies);
        if !varies && leads.is_none() {
            continue;
        }
        let as_written = leads.is_some_and(|target| target == value);
        source.push_str(flat.get(done..range.start - usize::from(quote.is_some()))?);
        seam.sew(&mut source, link.no, as_written);
        done = match quote {
            Some(_) => range.start - 1,
            None if varies || value.contains('"') => return None,
            None => {
                source.extend(["\"", value, "\""]);
                range.end
            }
        };
    }
    source.push_str(flat.get(done..)?);
    Some(source)
}
