//! What the unsubscribe link of a mail leads to. Public: the token in the address is all that is needed.

pub(crate) mod page;
pub(crate) mod show_unsubscribe;
pub(crate) mod unsubscribe;
