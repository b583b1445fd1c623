//! The rules: values, aggregates and pure functions.

pub mod address;
pub mod advance;
pub mod books;
pub mod calendar;
pub mod campaign;
pub mod contact;
pub mod content;
pub mod decision;
pub mod delivery;
pub mod effects;
pub mod enrollment;
pub mod fairness;
pub mod field;
pub mod figures;
pub mod ids;
pub mod import;
pub mod lifecycle;
pub mod merge;
pub mod principal;
pub mod problem;
pub mod rules;
pub mod schedule;
pub mod segment;
pub mod sequence;
pub mod suppression;
pub mod text;
