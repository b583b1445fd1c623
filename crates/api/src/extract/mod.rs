//! What handlers take: each part of a request as a type that cannot be had from a bad one.
//!
//! Name [`Can`] first in a handler's signature: extractors run in order, and a missing scope is told before bad fields.

mod accept;
mod body;
mod caller;
mod fields;
mod if_match;
mod item;
mod json;
mod page;
mod params;
mod path;
mod repeat;
mod single;

pub(crate) use accept::{NDJSON, Wanted};
pub use body::Body;
pub(crate) use body::{read_body, require_media_type};
pub use caller::{
    AdminScope, AudienceRead, AudienceWrite, CampaignsLaunch, CampaignsRead, CampaignsWrite, Can, EventsWrite,
    Permission,
};
pub use fields::{Change, Fields, FromFields, Nothing};
pub use if_match::IfMatch;
pub use item::Item;
pub use page::{Listing, Page, PageParams, Pagination};
pub use params::Params;
pub use path::InPath;
#[cfg(test)]
pub(crate) use repeat::Keyed;
pub use repeat::Repeat;
