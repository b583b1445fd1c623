//! What is put into a mail so that opens and clicks can be counted.

use crate::model::events::ClickedLink;
use crate::model::ids::LinkNo;
use std::sync::Arc;

/// Begins the name of every attribute by which an author or a template tells the tracker something. None is ever sent.
pub const ATTRIBUTES: &str = "data-muster-";

/// A template whose links carry their numbers through rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedTemplate {
    /// The template to render instead.
    pub source: String,
    /// A mail that is rendered from it shows by itself where everything goes, so that [`Tracker::track`] need not read it.
    pub marked: bool,
    /// Its links in their order, as their author wrote them, placeholders included.
    pub links: Vec<(LinkNo, String)>,
}

/// The address that a link gets instead of its own.
pub type Readdress<'a> = dyn Fn(ClickedLink, &str) -> String + 'a;

/// What to put into a mail.
#[derive(Clone, Copy, Default)]
pub struct Marks<'a> {
    /// The address of the image that tells of opens.
    pub pixel: Option<&'a str>,
    /// The address of a link that no person sees: who follows it is a program.
    pub trap: Option<&'a str>,
    /// What leads to an address by way of us; `None` leaves links alone.
    pub links: Option<&'a Readdress<'a>>,
    /// Links that begin so are left alone: unsubscribing is no interest in the mail.
    pub spared: Option<&'a str>,
}

/// Rewrites HTML so that opens and clicks can be counted. Total: whatever comes in, it comes out as good as it was.
pub trait Tracker: Send + Sync {
    /// Numbers the links of a template, so that one with placeholders is one link for everybody who gets it. What is
    /// rendered from the numbered source goes through [`Tracker::track`] before anybody sees it.
    fn number(&self, template: &str) -> Arc<NumberedTemplate>;

    /// Puts `marks` into a rendered mail and takes out everything else of ours: without any it is what a campaign without
    /// tracking sends, to whoever reads it.
    ///
    /// A link is replaced when following it can be counted and repeated exactly: an address of http or https in full,
    /// without user information, backslashes, white space or control characters, and not overlong. It is left alone
    /// when it has the attribute `data-muster-no-track`. All others stay as they are.
    fn track(&self, html: &str, marks: &Marks<'_>) -> String;
}
