//! Putting what counts opens and clicks into a mail whose template had marks where it goes.

use super::below::Below;
use super::different;
use super::seam::Seam;
use muster_domain::model::events::ClickedLink;
use muster_domain::model::footer::last_tag;
use muster_domain::ports::tracking::Marks;

/// `None` when the mail was rendered from a template without marks.
pub(super) fn stitch(html: &str, seam: &Seam, marks: &Marks<'_>) -> Option<String> {
    let (links, rest) = seam.unpick(html)?;
    let leads: Vec<_> =
        links.iter().map(|link| marks.links.and_then(|address| Some((address, link.leads(marks.spared)?)))).collect();
    let of = different(leads.iter().flatten().map(|(_, (no, _))| *no));
    let mut stitched = String::with_capacity(html.len() + 256 * (1 + links.len()));
    for (link, leads) in links.iter().zip(leads) {
        stitched.push_str(link.before);
        match leads {
            Some((address, (no, target))) => {
                stitched.extend(["\"", &address(ClickedLink { no, of }, &target), "\""]);
            }
            None => stitched.push_str(link.quoted),
        }
    }
    stitched.push_str(rest);
    if let Some(ours) = Below::of(marks).take() {
        // Such a template has one at most, and in no loop.
        stitched.insert_str(last_tag(&stitched, "</body").unwrap_or(stitched.len()), &ours);
    }
    Some(stitched)
}
