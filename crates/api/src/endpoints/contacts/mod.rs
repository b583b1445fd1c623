//! Contacts: one by one, and by the list.

pub(crate) mod change_contact;
mod contact;
pub(crate) mod create_contact;
pub(crate) mod erase_contact;
pub(crate) mod export_contact;
pub(crate) mod fields;
pub(crate) mod get_contact;
pub(crate) mod import_contacts;
pub(crate) mod list_contacts;

pub(crate) use contact::ContactResponse;
