//! What a template has of HTML: where its links are, and where its own tags stand.

use super::OPT_OUT;
use super::aside::{Aside, Stretch};
use super::target::is_web;
use htmlize::unescape_attribute;
use lol_html::html_content::{Attribute, Element, TextType};
use lol_html::{RewriteStrSettings, doc_comments, doc_text, element, end_tag, rewrite_str};
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::tracking::ATTRIBUTES;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

/// Within these other elements are read as HTML than elsewhere, up to one that cannot be within them.
const FOREIGN: [&str; 2] = ["svg", "math"];

/// A template, read as HTML. All places are octets of its flat text.
pub(super) struct Outline {
    /// Those that may lead somewhere, in their order.
    pub(super) links: Vec<Link>,
    /// No other link can come to lead anywhere, the author tells the tracker nothing, and all of it is HTML.
    plain: bool,
    spots: Vec<Spot>,
    /// Where bodies begin, and the tags that end them.
    bodies: (Vec<usize>, Vec<usize>),
}

/// A link.
pub(super) struct Link {
    /// Behind `<` and the name of the element: an attribute that stands there is the one that counts.
    pub(super) place: usize,
    pub(super) no: LinkNo,
    /// As its author wrote it.
    pub(super) address: String,
    /// Where the value of its `href` stands, without the quotes, and what they are.
    pub(super) value: Option<(Range<usize>, Option<u8>)>,
}

/// Where a tag of the template language can stand without changing which tags of HTML there are.
struct Spot {
    range: Range<usize>,
    kind: Kind,
    /// Behind this it may be over by what is left out.
    closes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Between tags.
    Text,
    /// In the text of an element that is not read as HTML, as of `style`; not of a script, where comments count.
    Raw,
    Comment,
    /// A value in quotes.
    Value,
}

impl Outline {
    pub(super) fn read(aside: &Aside<'_>) -> Option<Self> {
        let flat = aside.flat.as_str();
        let (links, spots, plain) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()), Cell::new(true));
        let bodies = Rc::new(RefCell::new((Vec::new(), Vec::new())));
        let settings = RewriteStrSettings::new()
            .with_strict(false)
            .append_element_content_handler(element!("*", |element| {
                let told = element.attributes().iter().any(|one| one.name().starts_with(ATTRIBUTES));
                plain.set(plain.get() && !told && !FOREIGN.contains(&element.tag_name().as_str()));
                spots.borrow_mut().extend(element.attributes().iter().filter_map(|one| value_spot(flat, one)));
                Ok(())
            }))
            .append_element_content_handler(element!("a[href], area[href]", |element| {
                match link(aside, element) {
                    Some(link) => links.borrow_mut().push(link),
                    None => plain.set(plain.get() && stays_put(aside, element)),
                }
                Ok(())
            }))
            .append_element_content_handler(element!("body", |element| {
                bodies.borrow_mut().0.push(element.source_location().bytes().start);
                let bodies = Rc::clone(&bodies);
                if let Some(handlers) = element.end_tag_handlers() {
                    handlers.push(end_tag!(move |tag| {
                        bodies.borrow_mut().1.push(tag.source_location().bytes().start);
                        Ok(())
                    }));
                }
                Ok(())
            }))
            .append_document_content_handler(doc_text!(|chunk| {
                match chunk.text_type() {
                    TextType::Data => note(&mut spots.borrow_mut(), Kind::Text, chunk.source_location().bytes()),
                    TextType::ScriptData => {}
                    _ => note(&mut spots.borrow_mut(), Kind::Raw, chunk.source_location().bytes()),
                }
                Ok(())
            }))
            .append_document_content_handler(doc_comments!(|comment| {
                let range = comment.source_location().bytes();
                spots.borrow_mut().push(Spot { range, kind: Kind::Comment, closes: None });
                Ok(())
            }));
        rewrite_str(flat, settings).ok()?;
        let mut spots = spots.into_inner();
        spots.sort_by_key(|spot| spot.range.start);
        for spot in spots.iter_mut().filter(|spot| spot.kind == Kind::Raw) {
            spot.closes = flat.get(spot.range.clone()).and_then(|text| text.find("</")).map(|at| spot.range.start + at);
        }
        Some(Self { links: links.into_inner(), plain: plain.get(), spots, bodies: bodies.take() })
    }

    /// Whether what the template renders to has the tags of HTML that it has itself, whatever it is rendered over, and
    /// nothing to be done to them but to its links.
    ///
    /// A value cannot end a text, a comment or a value in quotes, because what could is escaped. A statement can leave
    /// out or repeat what stands between its tags, which must therefore begin and end in the same of these. And a tag of
    /// HTML must not come about when a stretch becomes nothing, or a hyphen, so none has the half of one beside it.
    pub(super) fn stands_still(&self, aside: &Aside<'_>) -> bool {
        // Which spots the statements began in that are open, and where the first of them is.
        let (mut open, mut since) = (Vec::new(), 0);
        for stretch in &aside.stretches {
            let Some(spot) = self.spot_of(aside, stretch) else { return false };
            for statement in &stretch.statements {
                let kept = match *statement {
                    "if" | "for" | "with" => {
                        since = if open.is_empty() { stretch.at } else { since };
                        open.push(spot);
                        true
                    }
                    "elif" | "else" => open.last() == Some(&spot),
                    "endif" | "endfor" | "endwith" => {
                        open.pop() == Some(spot) && (!open.is_empty() || self.no_body_within(&(since..stretch.at)))
                    }
                    "set" => true,
                    _ => false,
                };
                if !kept {
                    return false;
                }
            }
        }
        self.plain && open.is_empty() && self.one_body_ends(&aside.flat)
    }

    /// Which spot a stretch stands in; all texts between tags are one.
    fn spot_of(&self, aside: &Aside<'_>, stretch: &Stretch<'_>) -> Option<usize> {
        let behind = self.spots.partition_point(|spot| spot.range.start <= stretch.at);
        let (place, spot) = behind.checked_sub(1).and_then(|place| Some((place, self.spots.get(place)?)))?;
        let (before, after) = (aside.flat.get(..stretch.at)?, aside.flat.get(stretch.end..)?);
        let half = match spot.kind {
            Kind::Value => false,
            Kind::Text => before.ends_with('<'),
            Kind::Raw => before.ends_with('<') || spot.closes.is_some_and(|closes| closes < stretch.at),
            Kind::Comment => {
                before.ends_with(['<', '!', '-']) || before.ends_with("</") || after.starts_with(['-', '!', '>'])
            }
        };
        let within = stretch.at < spot.range.end && !half;
        within.then_some(if spot.kind == Kind::Text { usize::MAX } else { place })
    }

    fn no_body_within(&self, range: &Range<usize>) -> bool {
        !self.bodies.0.iter().chain(&self.bodies.1).any(|place| range.contains(place))
    }

    /// The text `</body` ends a body once, or is not there.
    fn one_body_ends(&self, flat: &str) -> bool {
        let ends = flat.match_indices("</").map(|(at, _)| at);
        let ends = ends.filter(|at| flat.get(at + 2..at + 6).is_some_and(|name| name.eq_ignore_ascii_case("body")));
        self.bodies.0.len() <= 1 && ends.eq(self.bodies.1.iter().copied())
    }
}

/// A piece of text; they may be parts of one.
fn note(spots: &mut Vec<Spot>, kind: Kind, range: Range<usize>) {
    match spots.last_mut() {
        Some(last) if last.kind == kind && last.range.end == range.start => last.range.end = range.end,
        _ => spots.push(Spot { range, kind, closes: None }),
    }
}

fn value_spot(flat: &str, attribute: &Attribute<'_>) -> Option<Spot> {
    let (range, quote) = value_of(flat, attribute)?;
    quote.map(|_| Spot { range, kind: Kind::Value, closes: None })
}

/// Where the value of an attribute stands, and its quotes.
fn value_of(flat: &str, attribute: &Attribute<'_>) -> Option<(Range<usize>, Option<u8>)> {
    let range = attribute.value_source_location()?.bytes();
    let quote = range.start.checked_sub(1).and_then(|before| flat.as_bytes().get(before).copied());
    Some((range, quote.filter(|quote| matches!(quote, b'"' | b'\''))))
}

fn href_of<'e, 't>(element: &'e Element<'_, 't>) -> Option<&'e Attribute<'t>> {
    element.attributes().iter().find(|attribute| attribute.name() == "href")
}

/// `None` when it cannot lead anywhere that is counted, or its author wants it left alone.
fn link(aside: &Aside<'_>, element: &Element<'_, '_>) -> Option<Link> {
    let href = href_of(element)?;
    let written = href.value();
    let address = aside.put_back(unescape_attribute(written.as_str()).trim()).unwrap_or_default();
    let first = aside.before_stretches(written.trim()).is_empty() && !written.trim().is_empty();
    let may_lead = first || address.split_once("://").is_some_and(|(scheme, _)| is_web(scheme));
    (may_lead && !element.has_attribute(OPT_OUT)).then(|| Link {
        place: element.source_location().bytes().start + 1 + element.tag_name().len(),
        no: LinkNo::of(&address),
        value: value_of(&aside.flat, href),
        address,
    })
}

/// Whether the address of a link that leads nowhere leads nowhere for anybody.
fn stays_put(aside: &Aside<'_>, element: &Element<'_, '_>) -> bool {
    href_of(element).is_none_or(|href| {
        let value = href.value();
        let (value, start) = (value.trim_start(), aside.before_stretches(value.trim_start()));
        let may_become = |scheme: &str| scheme.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
        start == value || !(start.contains('&') || ["http://", "https://"].into_iter().any(may_become))
    })
}
