//! Pausing, resuming and editing over HTTP: requests that are repeated under their `Idempotency-Key`, the row's version, and
//! the barrier behind a pause, beside a worker that begins mail.

use stateright::{Model, Property};

/// One precaution left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// Keys are ignored.
    IgnoresKeys,
    /// The answer is stored in a transaction of its own, after the effect.
    StoresApart,
    /// The answer is stored in a transaction of its own, before the effect.
    StoresFirst,
    /// The pause answers as soon as the status is changed.
    PauseAsAFlag,
    /// A stored answer of a pause is repeated without waiting for the begins.
    ReplaysAtOnce,
    /// The version is compared before the row is locked, and not again.
    ComparesUnlocked,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Change something, if the version is still the first.
    Edit,
}

/// The requests, each under a key of its own.
pub const REQUESTS: [Command; 4] = [Command::Pause, Command::Resume, Command::Edit, Command::Edit];
/// Each may be sent so often.
pub const COPIES: usize = 2;
const COUNT: usize = REQUESTS.len();

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Done,
    /// The status or the version forbids it.
    Refused,
    /// The same request is running: ask again.
    Running,
}

/// How far one copy of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Not sent.
    Unsent,
    /// It holds its key; whether the version was right when it looked before locking.
    Claimed(bool),
    /// It holds the row as well.
    Locked(bool),
    /// Committed, with this answer to come; a pause has to wait first.
    Committed(Answer),
    /// Committed, and the answer is not stored yet.
    Unstored(Answer),
    /// Answered.
    Answered(Answer),
    /// The process died, or the answer was lost.
    Gone,
}

/// A begin of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Begin {
    /// None.
    Idle,
    /// It shares the campaign's lock, and has read that it is active.
    Open,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The campaign is paused.
    pub paused: bool,
    /// Its version.
    pub version: u8,
    /// Who locks its row: request and copy.
    pub holder: Option<(usize, usize)>,
    /// Stored answers.
    pub stored: [Option<Answer>; COUNT],
    /// What the copies do.
    pub steps: [[Step; COPIES]; COUNT],
    /// How often each request took effect.
    pub effects: [u8; COUNT],
    /// The worker's begin.
    pub begin: Begin,
    /// A pause was answered, and no resume has been sent since.
    pub held: bool,
    /// A mail began while that was so.
    pub late: bool,
    /// Two answers to one request differed.
    pub differed: bool,
    /// Crashes left.
    pub crashes: u8,
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A copy is sent and claims its key, or finds it claimed or answered.
    Send(usize, usize),
    /// It locks the row.
    Lock(usize, usize),
    /// It takes effect or is refused, stores the answer and commits.
    Commit(usize, usize),
    /// It stores the answer, where that is done apart.
    Store(usize, usize),
    /// A pause has waited for the begins; the answer goes out.
    Reply(usize, usize),
    /// Its process is killed.
    Crash(usize, usize),
    /// The worker opens a begin.
    Open,
    /// It writes `MAIL FROM`.
    Begin,
    /// It commits.
    Close,
}

/// The model.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// Processes that may be killed.
    pub crashes: u8,
    /// What is left out.
    pub twin: Option<Twin>,
}

const FIRST_VERSION: u8 = 1;

impl Commands {
    fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    fn send(&self, world: &mut World, request: usize, copy: usize) {
        if REQUESTS[request] == Command::Resume {
            world.held = false;
        }
        let right = world.version == FIRST_VERSION;
        let claimed = |step: &Step| matches!(step, Step::Claimed(_) | Step::Locked(_));
        let keyed = !self.is(Twin::IgnoresKeys);
        world.steps[request][copy] = if keyed && world.steps[request].iter().any(claimed) {
            Step::Answered(Answer::Running)
        } else if let Some(answer) = world.stored[request].filter(|_| keyed) {
            Step::Committed(answer)
        } else {
            Step::Claimed(right)
        };
        if self.is(Twin::ReplaysAtOnce) && matches!(world.steps[request][copy], Step::Committed(_)) {
            Self::reply(world, request, copy);
        }
    }

    fn commit(&self, world: &mut World, request: usize, copy: usize, looked: bool) {
        let right = if self.is(Twin::ComparesUnlocked) { looked } else { world.version == FIRST_VERSION };
        let allowed = match REQUESTS[request] {
            Command::Pause => !world.paused,
            Command::Resume => world.paused,
            Command::Edit => right,
        };
        let answer = if allowed { Answer::Done } else { Answer::Refused };
        if allowed {
            world.effects[request] += 1;
            world.version += 1;
            match REQUESTS[request] {
                Command::Pause => world.paused = true,
                Command::Resume => world.paused = false,
                Command::Edit => {}
            }
        }
        world.holder = None;
        if self.is(Twin::StoresApart) {
            world.steps[request][copy] = Step::Unstored(answer);
        } else {
            world.stored[request] = Some(answer);
            world.steps[request][copy] = Step::Committed(answer);
        }
    }

    fn reply(world: &mut World, request: usize, copy: usize) {
        let Step::Committed(answer) = world.steps[request][copy] else { return };
        let other =
            |step: &Step| matches!(step, Step::Answered(other) if *other != answer && *other != Answer::Running);
        world.differed |= world.steps[request].iter().any(other);
        world.steps[request][copy] = Step::Answered(answer);
        let resume_sent = REQUESTS
            .iter()
            .zip(&world.steps)
            .any(|(command, steps)| *command == Command::Resume && steps.iter().any(|step| *step != Step::Unsent));
        if REQUESTS[request] == Command::Pause && answer == Answer::Done && world.paused && !resume_sent {
            world.held = true;
        }
    }
}

impl Model for Commands {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            paused: false,
            version: FIRST_VERSION,
            holder: None,
            stored: [None; COUNT],
            steps: [[Step::Unsent; COPIES]; COUNT],
            effects: [0; COUNT],
            begin: Begin::Idle,
            held: false,
            late: false,
            differed: false,
            crashes: self.crashes,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (request, command) in REQUESTS.iter().enumerate() {
            for copy in 0..COPIES {
                match world.steps[request][copy] {
                    // A caller repeats what it has sent before; it does not know what became of it.
                    Step::Unsent if copy == 0 || world.steps[request][copy - 1] != Step::Unsent => {
                        actions.push(Action::Send(request, copy));
                    }
                    Step::Claimed(_) if world.holder.is_none() => actions.push(Action::Lock(request, copy)),
                    Step::Locked(_) => actions.push(Action::Commit(request, copy)),
                    Step::Unstored(_) => actions.push(Action::Store(request, copy)),
                    Step::Committed(_) => {
                        let waits = *command == Command::Pause && !self.is(Twin::PauseAsAFlag);
                        if !waits || world.begin == Begin::Idle {
                            actions.push(Action::Reply(request, copy));
                        }
                    }
                    _ => {}
                }
                let running = !matches!(world.steps[request][copy], Step::Unsent | Step::Answered(_) | Step::Gone);
                if world.crashes > 0 && running {
                    actions.push(Action::Crash(request, copy));
                }
            }
        }
        match world.begin {
            Begin::Idle if !world.paused && !world.late => actions.push(Action::Open),
            Begin::Idle => {}
            Begin::Open => actions.extend([Action::Begin, Action::Close]),
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Send(request, copy) => self.send(&mut next, request, copy),
            Action::Lock(request, copy) => {
                let Step::Claimed(right) = world.steps[request][copy] else { return None };
                next.steps[request][copy] = Step::Locked(right);
                next.holder = Some((request, copy));
                if self.is(Twin::StoresFirst) {
                    next.stored[request] = Some(Answer::Done);
                }
            }
            Action::Commit(request, copy) => {
                let Step::Locked(right) = world.steps[request][copy] else { return None };
                self.commit(&mut next, request, copy, right);
            }
            Action::Store(request, copy) => {
                let Step::Unstored(answer) = world.steps[request][copy] else { return None };
                next.stored[request] = Some(answer);
                next.steps[request][copy] = Step::Committed(answer);
            }
            Action::Reply(request, copy) => Self::reply(&mut next, request, copy),
            Action::Crash(request, copy) => {
                next.crashes -= 1;
                next.steps[request][copy] = Step::Gone;
                if next.holder == Some((request, copy)) {
                    next.holder = None;
                }
            }
            Action::Open => next.begin = Begin::Open,
            Action::Begin => {
                next.late |= world.held;
                next.begin = Begin::Idle;
            }
            Action::Close => next.begin = Begin::Idle,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, at: &World| at.effects.iter().all(|times| *times <= 1)),
            Property::always(TRUE, |_, at: &World| {
                at.steps.iter().zip(at.effects).all(|(steps, effects)| {
                    effects > 0 || steps.iter().all(|step| *step != Step::Answered(Answer::Done))
                })
            }),
            Property::always(SAME, |_, at: &World| !at.differed),
            Property::always(NO_LOST_UPDATE, |_, at: &World| {
                let edits = REQUESTS.iter().zip(at.effects).filter(|(command, _)| **command == Command::Edit);
                edits.map(|(_, effects)| effects).sum::<u8>() <= 1
            }),
            Property::always(HELD, |_, at: &World| !at.late),
            Property::sometimes(REPLAYED, |_, at: &World| {
                at.crashes == 0 && at.steps[0] == [Step::Gone, Step::Answered(Answer::Done)] && at.effects[1] == 1
            }),
        ]
    }
}

/// Effects are single.
pub const ONCE: &str = "a request takes effect once, however often it is repeated";
/// Answers are true.
pub const TRUE: &str = "what is answered as done was done";
/// Answers are the same.
pub const SAME: &str = "a request has one answer";
/// No lost update.
pub const NO_LOST_UPDATE: &str = "of two edits of one version one takes effect";
/// Pauses hold.
pub const HELD: &str = "no mail begins after a pause was answered, before a resume is sent";
/// The model gets there.
pub const REPLAYED: &str = "a pause whose process died is answered to its repetition";
