//! Explores the models at their full size: minutes, gigabytes and tens of millions of states. `just models` runs it.
//!
//! With an argument, only the models whose names begin so.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use muster_models::commands::Commands;
use muster_models::delivery::{Budget, Delivery};
use muster_models::exploring::{Explored, explore};
use muster_models::launch::Launch;
use muster_models::limits::Limits;
use stateright::Model;
use std::fmt::Debug;
use std::hash::Hash;
use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let faults = Budget { crashes: 1, drops: 1, stalls: 1, cuts: 1, kills: 1, pauses: 1, ..Budget::default() };
    let people = Budget { pauses: 1, unsubscribes: 1, erasures: 1, exits: 1, completions: 1, ..Budget::default() };
    let resent = Budget { crashes: 1, drops: 2, stalls: 2, refusals: 1, exits: 1, completions: 1, ..Budget::default() };
    let mut explorer = Explorer { wanted, sound: true, states: 0 };
    explorer.run("delivery: two workers, two mails, every fault", Delivery::<2, 2>::new(faults));
    explorer.run("delivery: two workers, three mails, people", Delivery::<2, 3>::new(Budget { refusals: 1, ..people }));
    explorer.run(
        "delivery: three workers, two mails, one by one",
        Delivery::<3, 2> {
            batch: 1,
            ..Delivery::new(Budget { crashes: 1, drops: 1, stalls: 1, pauses: 1, ..Budget::default() })
        },
    );
    let doubted = Budget { crashes: 1, drops: 1, stalls: 1, ..Budget::default() };
    explorer.run("delivery: two workers, two mails, doubts resent", Delivery::<2, 2>::new(doubted).resending());
    explorer.run("delivery: two workers, one mail, doubts resent", Delivery::<2, 1>::new(resent).resending());
    explorer.run("launch", Launch { twin: None, members: [true, true, false, true, true, true], budget: [3, 1, 2, 1] });
    explorer.run("commands", Commands { crashes: 2, twin: None });
    explorer.run("limits", Limits { limit: 2, budget: [2, 2, 2], twin: None });
    println!("{} states in all; {}", explorer.states, if explorer.sound { "every promise holds" } else { "BROKEN" });
    if explorer.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Explorer {
    wanted: String,
    sound: bool,
    states: usize,
}

impl Explorer {
    fn run<M>(&mut self, name: &str, model: M)
    where
        M: Model + Send + Sync + 'static,
        M::State: Debug + Hash + Send + Sync + Clone + PartialEq,
        M::Action: Debug + Send + Sync + Clone + PartialEq,
    {
        if !name.starts_with(&self.wanted) {
            return;
        }
        println!("{name}");
        let Explored { states, depth, took, broken, missed } = explore(model, None, |states, depth, took| {
            println!("  {states} states so far, depth {depth}, {} s", took.as_secs());
        });
        println!("  {states} states, depth {depth}, {:.1} s", took.as_secs_f64());
        for (promise, way) in &broken {
            println!("  BROKEN: {promise}\n    {}", way.join("\n    "));
        }
        for unreached in &missed {
            println!("  NEVER REACHED: {unreached}");
        }
        self.states += states;
        self.sound &= broken.is_empty() && missed.is_empty();
    }
}
