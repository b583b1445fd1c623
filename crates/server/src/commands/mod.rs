//! One file a command: its flags, what they resolve to, and what it does.

pub mod demo;
pub mod doctor;
pub mod keys;
pub mod migrate;
pub mod openapi;
pub mod serve;
pub mod up;
pub mod work;
