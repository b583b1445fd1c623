//! The shell of the `muster` program: the command line, configuration, telemetry, what the commands run, the mail catcher
//! and the doctor.

pub mod catcher;
pub mod cli;
pub mod commands;
pub mod config;
pub mod crypto;
pub mod demo;
pub mod doctor;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod listening;
pub mod output;
pub mod progress;
pub mod running;
pub mod telemetry;
pub mod wiring;
