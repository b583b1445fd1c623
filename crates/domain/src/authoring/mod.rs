//! From what an author writes to a valid sequence: each step's fields, then the graph as a whole.
//!
//! It stands outside `model` because it asks the template engine, through its port, whether a template parses.

pub mod graph;
pub mod mails;
pub mod step_input;
