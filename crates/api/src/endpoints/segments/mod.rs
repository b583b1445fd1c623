//! Segments and their members.

pub(crate) mod add_segment_contacts;
pub(crate) mod change_segment;
pub(crate) mod create_segment;
pub(crate) mod delete_segment;
pub(crate) mod get_segment;
pub(crate) mod list_segment_contacts;
pub(crate) mod list_segments;
mod member_ids;
pub(crate) mod preview_segment;
pub(crate) mod remove_segment_contacts;
pub(crate) mod rule_schema;
mod segment;
