//! One folder for each area, one file for each endpoint: its request, its answer, its errors, its documentation.

pub(crate) mod campaigns;
pub(crate) mod contacts;
pub(crate) mod deliveries;
pub(crate) mod enrollments;
pub(crate) mod hooks;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod reports;
pub(crate) mod segments;
pub(crate) mod steps;
pub(crate) mod suppressions;
pub(crate) mod tracking;
pub(crate) mod unsubscribing;
