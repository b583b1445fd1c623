//! Test kit.

pub mod control;
pub mod database;
pub mod fake_mail;
pub mod fault_proxy;
pub mod mail_queue;
pub mod smtp_sink;
pub mod trace;
