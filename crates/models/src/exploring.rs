//! Trying every order of events, and saying what came of it.

use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What came of exploring a model.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Properties that do not hold, each with a way there.
    pub broken: BTreeMap<&'static str, Vec<String>>,
    /// Properties that were to be reached and were not.
    pub missed: Vec<&'static str>,
}

/// How often a long exploration is told of.
const TELL_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Explores a model to its end; or, when `until` names a property, until that is broken. `tell` hears how many states there
/// are so far, every ten seconds.
pub fn explore<M>(model: M, until: Option<&'static str>, tell: impl Fn(usize, usize, Duration)) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
    M::Action: Debug + Send + Sync + Clone + PartialEq,
{
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = model.checker().threads(threads);
    let checker = match until {
        Some(name) => builder.finish_when(HasDiscoveries::AnyOf([name].into())),
        None => builder,
    }
    .spawn_bfs();
    let mut told = begun;
    while !checker.is_done() {
        sleep(LOOK_EVERY);
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(checker.unique_state_count(), checker.max_depth(), begun.elapsed());
        }
    }
    let mut explored = Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: begun.elapsed(),
        broken: BTreeMap::new(),
        missed: Vec::new(),
    };
    let discoveries = checker.discoveries();
    for property in checker.model().properties() {
        let failure = property.expectation.discovery_is_failure();
        match discoveries.get(property.name) {
            Some(path) if failure => {
                let holds = |state: &M::State| (property.condition)(checker.model(), state);
                // The way goes on for a while after it has gone wrong.
                let steps = path.clone().into_vec();
                let until_then = steps.into_iter().take_while(|(state, _)| holds(state));
                let way = until_then.filter_map(|(_, action)| Some(format!("{:?}", action?)));
                explored.broken.insert(property.name, way.collect());
            }
            None if !failure => explored.missed.push(property.name),
            _ => {}
        }
    }
    explored
}
