//! Sending limits: how many deliveries begin in a period, counted in a row that the beginning transaction holds.

use stateright::{Model, Property};

/// One precaution left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// What is left is read at a glance: the row is not held until the commit.
    Glances,
    /// What began is counted in a transaction of its own, after the begin.
    CountsAfterwards,
    /// Every attempt counts, not only the first of its delivery.
    CountsRetries,
    /// A begin whose commit was in doubt, and which is given back, counts as first again.
    ForgetsBegins,
}

/// Mails in all.
pub const MAILS: usize = 4;
/// Processes that begin them.
pub const WORKERS: usize = 2;
/// Periods, one after the other.
pub const PERIODS: usize = 2;
/// Mails in one begin.
const BATCH: usize = 2;

/// Where a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Queued; whether it began before.
    Pending(bool),
    /// In the hands of a worker; whether it began before.
    Claimed(usize, bool),
    /// Begun by a worker.
    Begun(usize),
    /// Over.
    Ended,
}

/// A worker's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Begin {
    /// In which period it read the time.
    pub period: usize,
    /// What begins.
    pub going: [bool; MAILS],
    /// How many of them for the first time.
    pub firsts: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The mails.
    pub mails: [Place; MAILS],
    /// The begins.
    pub begins: [Option<Begin>; WORKERS],
    /// Begun and not counted yet: in which period, and how many.
    pub uncounted: [Option<(usize, u8)>; WORKERS],
    /// The present period.
    pub period: usize,
    /// The rows that count.
    pub counted: [u8; PERIODS],
    /// How many deliveries began in truth.
    pub began: [u8; PERIODS],
    /// Deliveries that have begun at least once.
    pub ever: [bool; MAILS],
    /// Crashes, lost answers, and refusals left.
    pub budget: [u8; 3],
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A worker claims a batch.
    Claim(usize),
    /// It opens its begin and holds the row of the period.
    Open(usize),
    /// It commits and is told so; or the answer is lost, and whether it was committed.
    Commit(usize, bool, bool),
    /// What began is counted, where that is done apart.
    Count(usize),
    /// A mail is sent, or refused for now.
    End(usize, bool),
    /// A process is killed; its claims and sends are pending again.
    Crash(usize),
    /// The next period begins.
    Tick,
}

/// The model: a limit for each period.
#[derive(Debug, Clone)]
pub struct Limits {
    /// No more than so many begin in a period.
    pub limit: u8,
    /// Crashes, lost answers, and refusals.
    pub budget: [u8; 3],
    /// What is left out.
    pub twin: Option<Twin>,
}

impl Limits {
    fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    /// What a claim would take, the retries first: those are not limited.
    fn claimable(&self, world: &World) -> Vec<usize> {
        let left = usize::from(self.limit.saturating_sub(world.counted[world.period]));
        let pending = |again: bool| (0..MAILS).filter(move |mail| world.mails[*mail] == Place::Pending(again));
        pending(true).chain(pending(false).take(left)).take(BATCH).collect()
    }

    fn open(&self, world: &mut World, worker: usize) {
        let mut room = self.limit.saturating_sub(world.counted[world.period]);
        let mut begin = Begin { period: world.period, going: [false; MAILS], firsts: 0 };
        for mail in 0..MAILS {
            let Place::Claimed(holder, again) = world.mails[mail] else { continue };
            if holder != worker {
                continue;
            }
            let counts = !again || self.is(Twin::CountsRetries);
            if counts && room == 0 {
                world.mails[mail] = Place::Pending(again);
                continue;
            }
            begin.going[mail] = true;
            room -= u8::from(counts);
            begin.firsts += u8::from(counts);
        }
        world.begins[worker] = Some(begin);
    }

    fn commit(&self, world: &mut World, worker: usize, done: bool, told: bool) {
        let Some(begin) = world.begins[worker].take() else { return };
        for mail in (0..MAILS).filter(|mail| begin.going[*mail]) {
            let began_before = matches!(world.mails[mail], Place::Claimed(_, true));
            if done && !world.ever[mail] {
                world.ever[mail] = true;
                world.began[begin.period] += 1;
            }
            world.mails[mail] = match (done, told) {
                (true, true) => Place::Begun(worker),
                (true, false) => Place::Pending(!self.is(Twin::ForgetsBegins)),
                (false, _) => Place::Pending(began_before),
            };
        }
        if !done {
            return;
        }
        if self.is(Twin::CountsAfterwards) {
            world.uncounted[worker] = Some((begin.period, begin.firsts));
        } else {
            world.counted[begin.period] += begin.firsts;
        }
    }
}

impl Model for Limits {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            mails: [Place::Pending(false); MAILS],
            begins: [None; WORKERS],
            uncounted: [None; WORKERS],
            period: 0,
            counted: [0; PERIODS],
            began: [0; PERIODS],
            ever: [false; MAILS],
            budget: self.budget,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let [crashes, cuts, refusals] = world.budget;
        for worker in 0..WORKERS {
            let claims = world.mails.iter().any(|mail| matches!(mail, Place::Claimed(holder, _) if *holder == worker));
            let begun = world.mails.contains(&Place::Begun(worker));
            // The row of a period is held by one begin at a time.
            let held = world.begins.iter().flatten().any(|begin| begin.period == world.period);
            if world.begins[worker].is_some() {
                actions.push(Action::Commit(worker, true, true));
                if cuts > 0 {
                    actions.extend([true, false].map(|done| Action::Commit(worker, done, false)));
                }
            } else if claims {
                if !held || self.is(Twin::Glances) {
                    actions.push(Action::Open(worker));
                }
            } else if !self.claimable(world).is_empty() {
                actions.push(Action::Claim(worker));
            }
            if world.uncounted[worker].is_some() {
                actions.push(Action::Count(worker));
            }
            if crashes > 0 && (claims || begun || world.uncounted[worker].is_some()) {
                actions.push(Action::Crash(worker));
            }
        }
        for mail in 0..MAILS {
            if let Place::Begun(_) = world.mails[mail] {
                actions.push(Action::End(mail, true));
                if refusals > 0 {
                    actions.push(Action::End(mail, false));
                }
            }
        }
        if world.period + 1 < PERIODS {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Claim(worker) => {
                for mail in self.claimable(world) {
                    if let Place::Pending(again) = world.mails[mail] {
                        next.mails[mail] = Place::Claimed(worker, again);
                    }
                }
            }
            Action::Open(worker) => self.open(&mut next, worker),
            Action::Commit(worker, done, told) => {
                next.budget[1] -= u8::from(!told);
                self.commit(&mut next, worker, done, told);
            }
            Action::Count(worker) => {
                if let Some((period, firsts)) = next.uncounted[worker].take() {
                    next.counted[period] += firsts;
                }
            }
            Action::End(mail, true) => next.mails[mail] = Place::Ended,
            Action::End(mail, false) => {
                next.budget[2] -= 1;
                next.mails[mail] = Place::Pending(true);
            }
            Action::Crash(worker) => {
                next.budget[0] -= 1;
                next.begins[worker] = None;
                next.uncounted[worker] = None;
                for mail in &mut next.mails {
                    match *mail {
                        Place::Claimed(holder, again) if holder == worker => *mail = Place::Pending(again),
                        Place::Begun(holder) if holder == worker => *mail = Place::Pending(true),
                        _ => {}
                    }
                }
            }
            Action::Tick => next.period += 1,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(WITHIN, |model: &Limits, at: &World| at.began.iter().all(|began| *began <= model.limit)),
            Property::always(EXACT, |_, at: &World| at.uncounted.iter().any(Option::is_some) || at.counted == at.began),
            Property::always(USED, |model: &Limits, at: &World| {
                let mut actions = Vec::new();
                model.actions(at, &mut actions);
                let all_ended = at.mails.iter().all(|mail| *mail == Place::Ended);
                !actions.is_empty() || all_ended || at.began[PERIODS - 1] == model.limit
            }),
            Property::sometimes(FULL, |model: &Limits, at: &World| at.began == [model.limit; PERIODS]),
        ]
    }
}

/// The limit holds.
pub const WITHIN: &str = "no more deliveries begin in a period than its limit";
/// The counter is right.
pub const EXACT: &str = "the counter says how many deliveries began";
/// The limit is used.
pub const USED: &str = "nothing is left over while there is room";
/// The model gets there.
pub const FULL: &str = "every period is used up";
