//! What is put below a mail so that opens are counted, and programs found out.

use muster_domain::ports::tracking::Marks;
use std::cell::Cell;
use std::rc::Rc;

/// The link that no person sees and the image that tells of opens, to be placed once: before the body ends, or else at the
/// very end.
#[derive(Clone)]
pub(super) struct Below(Rc<Cell<Option<String>>>);

impl Below {
    pub(super) fn of(marks: &Marks<'_>) -> Self {
        // Without text, and out of the way of eyes, readers and keys: nobody comes upon it, and a text made of the mail has nothing of it.
        let trap =
            |address| format!("<a href=\"{address}\" style=\"display:none\" aria-hidden=\"true\" tabindex=\"-1\"></a>");
        let image = |address| {
            format!(
                "<img src=\"{address}\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\">"
            )
        };
        let both: Vec<String> = marks.trap.map(trap).into_iter().chain(marks.pixel.map(image)).collect();
        Self(Rc::new(Cell::new((!both.is_empty()).then(|| both.concat()))))
    }

    pub(super) fn take(&self) -> Option<String> {
        self.0.take()
    }
}
