//! Requests that are repeated.

use crate::{breaks, holds};
use muster_models::commands::{Commands, HELD, NO_LOST_UPDATE, ONCE, SAME, TRUE, Twin};

#[test]
fn requests_take_effect_once_and_pauses_hold() {
    let explored = holds("commands", Commands { crashes: 1, twin: None });
    assert!(explored.states > 50_000, "{explored:?}");
}

fn twin_breaks(twin: Twin, crashes: u8, promise: &'static str) {
    breaks(&format!("{twin:?}"), Commands { crashes, twin: Some(twin) }, promise);
}

#[test]
fn without_keys_a_repeated_pause_pauses_again() {
    twin_breaks(Twin::IgnoresKeys, 0, ONCE);
    twin_breaks(Twin::IgnoresKeys, 0, SAME);
}

#[test]
fn an_answer_stored_apart_is_lost_with_its_process() {
    twin_breaks(Twin::StoresApart, 1, ONCE);
}

#[test]
fn a_pause_that_is_only_a_flag_is_passed() {
    twin_breaks(Twin::PauseAsAFlag, 0, HELD);
}

#[test]
fn a_pause_answered_again_without_waiting_is_passed() {
    twin_breaks(Twin::ReplaysAtOnce, 0, HELD);
    twin_breaks(Twin::ReplaysAtOnce, 1, HELD);
}

#[test]
fn a_version_compared_before_the_lock_loses_an_update() {
    twin_breaks(Twin::ComparesUnlocked, 0, NO_LOST_UPDATE);
}

#[test]
fn an_answer_stored_first_is_not_true_when_its_process_dies() {
    twin_breaks(Twin::StoresFirst, 1, TRUE);
}
