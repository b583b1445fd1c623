//! Sending limits.

use crate::{breaks, holds};
use muster_models::limits::{EXACT, Limits, Twin, USED, WITHIN};

#[test]
fn no_more_begin_than_the_limit_and_none_is_wasted() {
    let explored = holds("limits", Limits { limit: 2, budget: [1, 1, 1], twin: None });
    assert!(explored.states > 10_000, "{explored:?}");
}

fn twin_breaks(twin: Twin, budget: [u8; 3], promise: &'static str) {
    breaks(&format!("{twin:?}"), Limits { limit: 2, budget, twin: Some(twin) }, promise);
}

#[test]
fn a_glance_lets_too_many_begin() {
    twin_breaks(Twin::Glances, [0; 3], WITHIN);
}

#[test]
fn counting_afterwards_forgets_what_died_in_between() {
    twin_breaks(Twin::CountsAfterwards, [1, 0, 0], EXACT);
    twin_breaks(Twin::CountsAfterwards, [0; 3], WITHIN);
}

#[test]
fn counting_retries_wastes_the_limit() {
    twin_breaks(Twin::CountsRetries, [0, 0, 1], EXACT);
    twin_breaks(Twin::CountsRetries, [0, 0, 1], USED);
}

#[test]
fn counting_a_begin_in_doubt_again_wastes_the_limit() {
    twin_breaks(Twin::ForgetsBegins, [0, 1, 0], EXACT);
}
