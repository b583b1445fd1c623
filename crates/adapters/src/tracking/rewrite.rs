//! Putting what counts opens and clicks into a rendered mail.

use super::below::Below;
use super::target::target;
use super::{NUMBER, OPT_OUT, different, fill, unused_letter};
use htmlize::unescape_attribute;
use lol_html::html_content::{ContentType, Element};
use lol_html::{ElementContentHandlers, HandlerResult, RewriteStrSettings, Selector, end, end_tag, rewrite_str};
use muster_domain::model::events::ClickedLink;
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::tracking::Marks;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::LazyLock;

/// Read once, and not for every mail.
static LINKS: LazyLock<Selector> = LazyLock::new(|| selector("a, area"));
static BODY: LazyLock<Selector> = LazyLock::new(|| selector("body"));

fn selector(of: &str) -> Selector {
    of.parse().unwrap_or_else(|error| unreachable!("{of}: {error}"))
}

/// What is done to the elements that `selector` finds.
fn on<'h>(
    selector: &'static Selector,
    handler: impl FnMut(&mut Element<'_, '_>) -> HandlerResult + 'h,
) -> (Cow<'static, Selector>, ElementContentHandlers<'h>) {
    (Cow::Borrowed(selector), ElementContentHandlers::default().element(handler))
}

/// `None` when the HTML cannot be read at all.
pub(super) fn rewrite(html: &str, marks: &Marks<'_>) -> Option<String> {
    let mark = unused_letter(html)?;
    let links = Links { marks, mark, found: RefCell::default() };
    let below = Below::of(marks);
    let settings = RewriteStrSettings::new()
        .with_strict(false)
        .append_element_content_handler(on(&LINKS, |element| links.visit(element)))
        .append_element_content_handler(on(&BODY, |element| {
            let below = below.clone();
            if let Some(handlers) = element.end_tag_handlers() {
                handlers.push(end_tag!(move |tag| {
                    if let Some(ours) = below.take() {
                        tag.before(&ours, ContentType::Html);
                    }
                    Ok(())
                }));
            }
            Ok(())
        }))
        .append_document_content_handler(end!(|end| {
            if let Some(ours) = below.take() {
                end.append(&ours, ContentType::Html);
            }
            Ok(())
        }));
    let rewritten = rewrite_str(html, settings).ok()?;
    links.fill(&rewritten)
}

/// The links that are replaced. How many different ones there are goes into each, so they are noted first.
struct Links<'a> {
    marks: &'a Marks<'a>,
    mark: char,
    found: RefCell<Vec<(LinkNo, String)>>,
}

impl Links<'_> {
    fn visit(&self, element: &mut Element<'_, '_>) -> HandlerResult {
        let number = element.get_attribute(NUMBER);
        let opted_out = element.has_attribute(OPT_OUT);
        for ours in [NUMBER, OPT_OUT] {
            while element.has_attribute(ours) {
                element.remove_attribute(ours);
            }
        }
        if opted_out || self.marks.links.is_none() {
            return Ok(());
        }
        let Some(href) = element.get_attribute("href") else { return Ok(()) };
        let href = unescape_attribute(href.as_str());
        if self.marks.spared.is_some_and(|spared| href.trim().starts_with(spared)) {
            return Ok(());
        }
        let Some(target) = target(&href) else { return Ok(()) };
        let known = number.and_then(|number| number.parse().ok()).filter(|number| *number != 0).map(LinkNo);
        let mut found = self.found.borrow_mut();
        element.set_attribute("href", &format!("{mark}{}{mark}", found.len(), mark = self.mark))?;
        found.push((known.unwrap_or_else(|| LinkNo::of(href.trim())), target));
        Ok(())
    }

    fn fill(&self, rewritten: &str) -> Option<String> {
        let found = self.found.borrow();
        let Some(address) = self.marks.links.filter(|_| !found.is_empty()) else { return Some(rewritten.to_owned()) };
        let of = different(found.iter().map(|(no, _)| *no));
        fill(rewritten, self.mark, |place| {
            found.get(place).map(|(no, target)| address(ClickedLink { no: *no, of }, target)).unwrap_or_default()
        })
    }
}
