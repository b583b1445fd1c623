//! Test kit.

pub mod database;
pub mod fake_mail;
pub mod mail_queue;
pub mod smtp_sink;
