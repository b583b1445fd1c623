//! Launching in chunks.

use crate::{breaks, holds};
use muster_models::launch::{ALL_IN, LAUNCHED_ONCE, Launch, MARK, NOT_BELATED, NOT_EARLY, ONCE, Twin};

const FIVE: [bool; 6] = [true, true, true, false, true, true];
const FOUR: [bool; 6] = [true, true, true, false, true, false];
const TWO: [bool; 6] = [true, false, true, false, false, false];

#[test]
fn a_large_audience_is_enrolled_whatever_dies_and_whoever_comes_and_goes() {
    let explored = holds("large", Launch { twin: None, members: FIVE, budget: [2, 2, 1, 1] });
    assert!(explored.states > 5_000, "{explored:?}");
}

#[test]
fn a_small_audience_is_enrolled_whatever_dies_and_whoever_comes_and_goes() {
    let explored = holds("small", Launch { twin: None, members: TWO, budget: [2, 2, 1, 1] });
    assert!(explored.states > 5_000, "{explored:?}");
}

fn twin_breaks(twin: Twin, members: [bool; 6], budget: [u8; 4], promise: &'static str) {
    breaks(&format!("{twin:?}"), Launch { twin: Some(twin), members, budget }, promise);
}

#[test]
fn a_status_checked_before_the_lock_launches_twice() {
    twin_breaks(Twin::ChecksUnlocked, FIVE, [0; 4], LAUNCHED_ONCE);
}

#[test]
fn a_cursor_moved_first_leaves_a_chunk_out() {
    twin_breaks(Twin::CursorFirst, FIVE, [1, 0, 0, 0], ALL_IN);
}

#[test]
fn a_cursor_moved_last_enrolls_a_chunk_twice() {
    twin_breaks(Twin::CursorLast, FIVE, [1, 0, 0, 0], ONCE);
}

#[test]
fn trusting_the_count_leaves_somebody_out_when_another_has_come() {
    twin_breaks(Twin::TrustsTheCount, FOUR, [0, 1, 0, 0], ALL_IN);
}

#[test]
fn without_a_mark_late_comers_are_enrolled() {
    twin_breaks(Twin::NoMark, [true, true, true, false, false, false], [0, 1, 0, 0], MARK);
}

#[test]
fn sending_while_enrolling_is_too_early() {
    twin_breaks(Twin::SendsWhileEnrolling, FIVE, [0; 4], NOT_EARLY);
}

#[test]
fn a_chunk_without_the_lock_enrolls_after_the_end() {
    twin_breaks(Twin::EnrollsTheCompleted, FIVE, [0, 0, 0, 1], NOT_BELATED);
}
