//! Reports about mails, read: one file for each form in which they come.
//!
//! To take the reports of another provider in, write a [`FeedbackFormat`] in a file of its own and name it in [`formats`].

mod complaint;
mod fields;
mod json;
mod mail;
mod names;
mod reply;
mod status;

pub use json::JsonEvents;
pub use mail::MailReports;

use muster_domain::ports::feedback::FeedbackFormat;
use std::sync::Arc;

/// Every form that is known.
pub fn formats() -> Vec<Arc<dyn FeedbackFormat>> {
    vec![Arc::new(MailReports), Arc::new(JsonEvents)]
}

#[cfg(test)]
mod tests;
