//! The delivery protocol.

use crate::{breaks, holds};
use muster_domain::model::delivery::DeliveryState;
use muster_domain::model::transitions::DELIVERY;
use muster_models::delivery::promises::{BARE, CLOSED, DOUBT, FENCE, LOST, PAUSE, SENT, STEPS, TWICE, UNKNOWN};
use muster_models::delivery::{Budget, Delivery, Twin, World};
use stateright::Model;
use std::collections::HashSet;

const NONE: Budget = Budget {
    crashes: 0,
    drops: 0,
    refusals: 0,
    stalls: 0,
    cuts: 0,
    kills: 0,
    marks: 0,
    pauses: 0,
    unsubscribes: 0,
    erasures: 0,
    exits: 0,
    completions: 0,
};

#[test]
fn it_holds_while_people_interfere() {
    let budget = Budget { pauses: 1, unsubscribes: 1, completions: 1, refusals: 1, ..NONE };
    let explored = holds("people", Delivery::<2, 3>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_when_processes_are_killed_and_leases_run_out() {
    let budget = Budget { crashes: 1, stalls: 1, drops: 1, pauses: 1, ..NONE };
    let explored = holds("processes", Delivery::<2, 2>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_when_connections_are_lost_and_sessions_killed() {
    let budget = Budget { drops: 1, cuts: 1, kills: 1, pauses: 1, unsubscribes: 1, ..NONE };
    let explored = holds("connections", Delivery::<2, 2>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_one_by_one_when_a_lease_runs_out_under_two_workers() {
    let budget = Budget { stalls: 2, refusals: 1, exits: 1, ..NONE };
    let model = Delivery::<2, 2> { batch: 1, goes_on: true, ..Delivery::new(budget) };
    let explored = holds("one by one", model);
    assert!(explored.states > 20_000, "{explored:?}");
}

#[test]
fn it_holds_when_doubts_are_resent() {
    let budget =
        Budget { crashes: 1, drops: 2, stalls: 1, refusals: 1, exits: 1, completions: 1, unsubscribes: 1, ..NONE };
    let explored = holds("resending", Delivery::<2, 1>::new(budget).resending());
    assert!(explored.states > 20_000, "{explored:?}");
}

#[test]
fn it_holds_in_rounds_while_people_interfere() {
    let budget = Budget { pauses: 1, unsubscribes: 1, exits: 1, completions: 1, refusals: 1, marks: 2, ..NONE };
    let explored = holds("rounds, people", Delivery::<2, 2>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_in_rounds_when_processes_are_killed_and_leases_run_out() {
    let budget = Budget { crashes: 1, stalls: 1, drops: 1, pauses: 1, marks: 1, ..NONE };
    let explored = holds("rounds, processes", Delivery::<2, 2>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_in_rounds_when_connections_are_lost_and_sessions_killed() {
    let budget = Budget { drops: 1, cuts: 1, kills: 1, pauses: 1, erasures: 1, marks: 1, ..NONE };
    let explored = holds("rounds, connections", Delivery::<2, 2>::new(budget));
    assert!(explored.states > 50_000, "{explored:?}");
}

#[test]
fn it_holds_in_rounds_when_doubts_are_resent() {
    let budget = Budget { crashes: 1, drops: 2, stalls: 1, refusals: 1, exits: 1, completions: 1, marks: 2, ..NONE };
    let explored = holds("rounds, resending", Delivery::<2, 1>::new(budget).resending());
    assert!(explored.states > 20_000, "{explored:?}");
}

#[test]
fn a_round_that_does_not_look_under_the_locks_passes_pauses_and_writes_to_who_has_left() {
    let breaks_in_rounds = |budget, promise| {
        let model = Delivery::<2, 1>::new(budget).without(Twin::LooksBeforeTheLocks);
        breaks("LooksBeforeTheLocks", model, promise);
    };
    breaks_in_rounds(Budget { pauses: 1, marks: 1, ..NONE }, PAUSE);
    breaks_in_rounds(Budget { unsubscribes: 1, marks: 1, ..NONE }, CLOSED);
    breaks_in_rounds(Budget { exits: 1, marks: 1, ..NONE }, CLOSED);
}

#[test]
fn a_round_that_goes_before_the_locks_are_known_to_be_held_passes_a_pause() {
    let model = Delivery::<2, 1>::new(Budget { kills: 1, pauses: 1, marks: 1, ..NONE });
    breaks("GoesUnconfirmed", model.without(Twin::GoesUnconfirmed), PAUSE);
}

/// One worker with one mail is enough to go wrong, but for what takes two.
fn twin_breaks(twin: Twin, budget: Budget, promise: &'static str) {
    breaks(&format!("{twin:?}"), Delivery::<2, 1>::new(budget).without(twin), promise);
}

#[test]
fn a_checkpoint_at_the_claim_loses_mail() {
    twin_breaks(Twin::CheckpointAtFetch, Budget { crashes: 1, ..NONE }, LOST);
    twin_breaks(Twin::CheckpointAtFetch, NONE, SENT);
}

#[test]
fn marking_after_sending_sends_twice_without_any_crash_and_passes_a_pause() {
    twin_breaks(Twin::SendThenMark, Budget { stalls: 1, ..NONE }, TWICE);
    twin_breaks(Twin::SendThenMark, Budget { pauses: 1, ..NONE }, PAUSE);
}

#[test]
fn without_epochs_old_claims_write() {
    twin_breaks(Twin::NoEpoch, Budget { stalls: 1, ..NONE }, FENCE);
    twin_breaks(Twin::NoEpoch, Budget { stalls: 2, ..NONE }, TWICE);
}

#[test]
fn a_reaper_without_a_guard_sends_twice() {
    twin_breaks(Twin::ReaperWithoutGuard, Budget { stalls: 1, ..NONE }, TWICE);
    twin_breaks(Twin::ReaperWithoutGuard, Budget { stalls: 1, ..NONE }, STEPS);
}

#[test]
fn a_pause_that_is_only_a_flag_is_passed() {
    twin_breaks(Twin::PauseAsAFlag, Budget { pauses: 1, ..NONE }, PAUSE);
    twin_breaks(Twin::PauseAsAFlag, Budget { pauses: 1, ..NONE }, BARE);
}

#[test]
fn reaping_what_somebody_has_in_hand_makes_doubts_without_a_fault() {
    twin_breaks(Twin::ReapsTheRunning, NONE, DOUBT);
}

#[test]
fn retrying_after_the_dot_sends_twice() {
    twin_breaks(Twin::RetryAfterDot, Budget { drops: 1, ..NONE }, TWICE);
}

#[test]
fn asking_for_suppressions_at_the_claim_alone_writes_to_who_has_unsubscribed() {
    twin_breaks(Twin::UnsubscribeCheckedAtClaim, Budget { unsubscribes: 1, ..NONE }, CLOSED);
    twin_breaks(Twin::UnsubscribeCheckedAtClaim, Budget { erasures: 1, ..NONE }, CLOSED);
}

#[test]
fn telling_the_journal_after_the_dot_sends_twice() {
    twin_breaks(Twin::JournalAfterDot, Budget { crashes: 1, ..NONE }, TWICE);
}

#[test]
fn adopting_the_journal_of_the_living_sends_twice() {
    twin_breaks(Twin::AdoptsTheLiving, NONE, TWICE);
}

#[test]
fn sending_without_a_commit_sends_twice_and_passes_a_pause() {
    twin_breaks(Twin::SendsWithoutCommit, Budget { cuts: 1, ..NONE }, TWICE);
    twin_breaks(Twin::SendsWithoutCommit, Budget { kills: 1, pauses: 1, ..NONE }, PAUSE);
}

#[test]
fn queueing_again_without_locks_strands_mail_and_writes_to_who_has_left() {
    let budget = Budget { stalls: 1, refusals: 1, exits: 1, ..NONE };
    twin_breaks(Twin::RequeuesUnlocked, budget, LOST);
    let goes_on = Delivery::<2, 1> { goes_on: true, ..Delivery::new(budget) };
    breaks("RequeuesUnlocked, with another step", goes_on.without(Twin::RequeuesUnlocked), CLOSED);
}

#[test]
fn retrying_in_a_campaign_that_is_over_strands_mail() {
    twin_breaks(Twin::RetriesWhenOver, Budget { stalls: 1, refusals: 2, completions: 1, ..NONE }, LOST);
}

#[test]
fn forgetting_an_earlier_doubt_denies_what_was_accepted() {
    for budget in [
        Budget { drops: 1, exits: 1, ..NONE },
        Budget { drops: 1, refusals: 1, ..NONE },
        Budget { drops: 1, unsubscribes: 1, ..NONE },
    ] {
        breaks("ForgetsDoubts", Delivery::<2, 1>::new(budget).resending().without(Twin::ForgetsDoubts), UNKNOWN);
    }
}

#[test]
fn forgetting_a_resend_sends_a_third_time() {
    let budget = Budget { drops: 2, stalls: 1, refusals: 1, ..NONE };
    breaks("ForgetsResends", Delivery::<2, 1>::new(budget).resending().without(Twin::ForgetsResends), TWICE);
}

/// Every pair of states that some step of the model joins.
fn steps_taken<const WORKERS: usize, const MAILS: usize>(
    model: &Delivery<WORKERS, MAILS>,
    steps: &mut HashSet<(DeliveryState, DeliveryState)>,
) {
    let mut seen: HashSet<World<WORKERS, MAILS>> = model.init_states().into_iter().collect();
    let mut left: Vec<_> = seen.iter().cloned().collect();
    let mut actions = Vec::new();
    while let Some(world) = left.pop() {
        model.actions(&world, &mut actions);
        for next in actions.drain(..).filter_map(|action| model.next_state(&world, action)) {
            let pairs = world.mails.iter().zip(&next.mails).map(|(a, b)| (a.mark.state, b.mark.state));
            steps.extend(pairs.filter(|(from, to)| from != to));
            if seen.insert(next.clone()) {
                left.push(next);
            }
        }
    }
}

#[test]
fn the_model_takes_every_step_of_the_table_and_no_other() {
    let budget = Budget { crashes: 1, drops: 1, stalls: 1, refusals: 1, exits: 1, unsubscribes: 1, ..NONE };
    let mut taken = HashSet::new();
    let rounds = Budget { stalls: 1, refusals: 1, unsubscribes: 1, marks: 1, ..NONE };
    for model in [Delivery::<2, 1>::new(budget), Delivery::new(budget).resending(), Delivery::new(rounds)] {
        steps_taken(&Delivery { unwritable: true, ..model.clone() }, &mut taken);
        steps_taken(&model, &mut taken);
    }
    let table: HashSet<_> = DELIVERY.iter().filter_map(|step| Some((step.from?, step.to))).collect();
    let missing: Vec<_> = table.difference(&taken).collect();
    let extra: Vec<_> = taken.difference(&table).collect();
    assert!(missing.is_empty() && extra.is_empty(), "never taken: {missing:?}; not in the table: {extra:?}");
}
