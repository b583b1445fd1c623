//! The models hold, and each of their twins does not.

#![expect(clippy::print_stdout, reason = "how far an exploration came is shown with `--nocapture`")]

mod commands;
mod delivery;
mod launch;
mod limits;

use muster_models::exploring::{Explored, explore};
use stateright::Model;
use std::fmt::Debug;
use std::hash::Hash;

/// Explores a model to its end: every promise holds, everything that has to be reachable is reached.
fn holds<M>(name: &str, model: M) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Debug + Send + Sync + Clone + PartialEq,
{
    let explored =
        explore(model, None, |states, depth, took| println!("{name}: {states} states, depth {depth}, {took:?}"));
    println!("{name}: {} states, depth {}, {:?}", explored.states, explored.depth, explored.took);
    assert!(explored.broken.is_empty(), "{name}: {:#?}", explored.broken);
    assert!(explored.missed.is_empty(), "{name} never reaches: {:?}", explored.missed);
    explored
}

/// Explores a twin until that promise is broken.
fn breaks<M>(name: &str, model: M, promise: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Debug + Send + Sync + Clone + PartialEq,
{
    let explored = explore(model, Some(promise), |_, _, _| ());
    let way = explored.broken.get(promise);
    println!("{name}, after {} states: {way:?}", explored.states);
    assert!(way.is_some(), "{name} breaks nothing in {} states: {promise}", explored.states);
}
