//! Launching and enrolling in chunks: one row that everybody locks, a cursor, a mark, and crashes in between.
//!
//! Contacts are numbered; one that is absent may join at any time, whatever its number, as a transaction that took its number
//! early and commits late does. Transactions are three steps long (lock, statements, commit), so that the others come in
//! between wherever they can.

use stateright::{Model, Property};

/// One precaution left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// The status is read before the row is locked, and not again.
    ChecksUnlocked,
    /// The cursor is moved in a transaction of its own, before the chunk is enrolled.
    CursorFirst,
    /// The chunk is enrolled in a transaction of its own, before the cursor is moved, and minds nobody who is in already.
    CursorLast,
    /// Enrolling is over when as many are in as were counted, not when a chunk comes out short.
    TrustsTheCount,
    /// The last number at the launch is not kept.
    NoMark,
    /// Mail does not wait for everybody to be in.
    SendsWhileEnrolling,
    /// A chunk is enrolled whatever has become of the campaign.
    EnrollsTheCompleted,
}

/// So many contacts there may ever be.
pub const CONTACTS: usize = 6;
/// Callers that launch, and workers that enroll.
pub const ACTORS: usize = 4;
const CALLERS: usize = 2;
/// Audiences up to this size are enrolled by the launch itself.
const AT_ONCE: usize = 2;
/// Contacts in one chunk of a worker.
const CHUNK: usize = 2;

/// Where the campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not launched.
    Draft,
    /// Launched.
    Active,
    /// Ended early.
    Completed,
}

/// How enrolling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enrolling {
    /// Not begun.
    None,
    /// Under way.
    Running,
    /// Everybody is in.
    Done,
}

/// The campaign's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its status.
    pub status: Status,
    /// Whether its audience is in.
    pub enrolling: Enrolling,
    /// The last contact judged.
    pub cursor: usize,
    /// The last contact there was at the launch.
    pub mark: usize,
    /// How many were counted at the launch.
    pub counted: usize,
}

/// How far an actor's transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing open.
    Idle,
    /// The row is locked, and was read so.
    Locked(Row),
    /// The audience is counted; the row is to become this.
    Counted(Row),
    /// The statements are done: the row becomes this, and these are enrolled.
    Ready(Row, [bool; CONTACTS]),
    /// The cursor is moved; these are enrolled by another transaction.
    Behind([bool; CONTACTS]),
    /// The contacts are in; the row becomes this by another transaction.
    Ahead(Row),
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The campaign.
    pub row: Row,
    /// Who locks it.
    pub holder: Option<usize>,
    /// What each actor does.
    pub steps: [Step; ACTORS],
    /// Members of the list.
    pub members: [bool; CONTACTS],
    /// How often each was enrolled.
    pub enrolled: [u8; CONTACTS],
    /// There when the audience was counted, and ever since.
    pub stayed: [bool; CONTACTS],
    /// Launches that took effect.
    pub launches: u8,
    /// A mail began while somebody who was there at the launch was not in.
    pub early: bool,
    /// Somebody was enrolled after the campaign's end.
    pub belated: bool,
    /// Crashes, joins, departures and completions left.
    pub budget: [u8; 4],
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An actor locks the row and reads it.
    Lock(usize),
    /// A caller counts the audience.
    Count(usize),
    /// An actor enrolls what its statement sees.
    Enroll(usize),
    /// It commits.
    Commit(usize),
    /// It is killed.
    Crash(usize),
    /// A contact joins the list.
    Join(usize),
    /// A contact leaves the list.
    Part(usize),
    /// A mail begins.
    Send,
    /// The campaign is ended early.
    Complete,
}

/// The model.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// What is left out.
    pub twin: Option<Twin>,
    /// Who is on the list when the launch comes.
    pub members: [bool; CONTACTS],
    /// Crashes, joins, departures and completions.
    pub budget: [u8; 4],
}

impl Launch {
    fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    /// The next members after the cursor, as one statement sees them, and whether there were fewer than asked for.
    fn chunk(&self, world: &World, row: Row, limit: usize) -> (Row, [bool; CONTACTS]) {
        let mark = if self.is(Twin::NoMark) { CONTACTS } else { row.mark };
        let mut chosen = [false; CONTACTS];
        let mut next = row;
        let mut judged = 0;
        for no in (row.cursor + 1..=mark).filter(|no| world.members[no - 1]).take(limit) {
            chosen[no - 1] = true;
            next.cursor = no;
            judged += 1;
        }
        let in_all = world.enrolled.iter().filter(|times| **times > 0).count() + judged;
        let over = if self.is(Twin::TrustsTheCount) { in_all >= row.counted } else { judged < limit };
        if over {
            next.enrolling = Enrolling::Done;
        }
        (next, chosen)
    }

    fn enroll(&self, world: &mut World, chosen: [bool; CONTACTS]) {
        for (times, chosen) in world.enrolled.iter_mut().zip(chosen) {
            if chosen && (*times == 0 || self.is(Twin::CursorLast)) {
                *times += 1;
                world.belated |= world.row.status == Status::Completed;
            }
        }
    }

    fn commit(&self, world: &mut World, actor: usize) {
        let step = std::mem::replace(&mut world.steps[actor], Step::Idle);
        match step {
            Step::Ready(row, chosen) => {
                if actor < CALLERS {
                    world.launches += 1;
                }
                // A caller launches; nothing of its own is to be undone by the other two orders of writing.
                if actor >= CALLERS && self.is(Twin::CursorFirst) {
                    world.row = row;
                    world.steps[actor] = Step::Behind(chosen);
                } else if actor >= CALLERS && self.is(Twin::CursorLast) {
                    self.enroll(world, chosen);
                    world.steps[actor] = Step::Ahead(row);
                } else {
                    self.enroll(world, chosen);
                    world.row = row;
                }
            }
            Step::Behind(chosen) => self.enroll(world, chosen),
            Step::Ahead(row) => world.row = row,
            Step::Idle | Step::Locked(_) | Step::Counted(_) => {}
        }
        if world.holder == Some(actor) {
            world.holder = None;
        }
    }
}

impl Model for Launch {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let row = Row { status: Status::Draft, enrolling: Enrolling::None, cursor: 0, mark: 0, counted: 0 };
        vec![World {
            row,
            holder: None,
            steps: [Step::Idle; ACTORS],
            members: self.members,
            enrolled: [0; CONTACTS],
            stayed: [false; CONTACTS],
            launches: 0,
            early: false,
            belated: false,
            budget: self.budget,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let [crashes, joins, departures, completions] = world.budget;
        for actor in 0..ACTORS {
            let caller = actor < CALLERS;
            match world.steps[actor] {
                Step::Idle => {
                    let free = world.holder.is_none() || (caller && self.is(Twin::ChecksUnlocked));
                    let asks = if caller {
                        world.row.status == Status::Draft
                    } else {
                        world.row.enrolling == Enrolling::Running
                    };
                    if free && asks {
                        actions.push(Action::Lock(actor));
                    }
                }
                Step::Locked(_) if caller => {
                    // Without a check under the lock, the lock is only taken now.
                    if world.holder == Some(actor) || world.holder.is_none() {
                        actions.push(Action::Count(actor));
                    }
                }
                Step::Locked(_) | Step::Counted(_) => actions.push(Action::Enroll(actor)),
                Step::Ready(..) | Step::Behind(_) | Step::Ahead(_) => actions.push(Action::Commit(actor)),
            }
            if crashes > 0 && world.steps[actor] != Step::Idle {
                actions.push(Action::Crash(actor));
            }
        }
        for contact in 0..CONTACTS {
            if joins > 0 && !world.members[contact] {
                actions.push(Action::Join(contact));
            }
            if departures > 0 && world.members[contact] {
                actions.push(Action::Part(contact));
            }
        }
        let open = world.row.enrolling == Enrolling::Done || self.is(Twin::SendsWhileEnrolling);
        if world.row.status == Status::Active && open && !world.early && world.enrolled.iter().any(|times| *times > 0) {
            actions.push(Action::Send);
        }
        if completions > 0 && world.row.status == Status::Active && world.holder.is_none() {
            actions.push(Action::Complete);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Lock(actor) => {
                let unlocked = actor < CALLERS && self.is(Twin::ChecksUnlocked);
                next.steps[actor] = Step::Locked(world.row);
                if !unlocked {
                    next.holder = Some(actor);
                }
            }
            Action::Count(actor) => {
                next.holder = Some(actor);
                let present = |no: &usize| world.members[no - 1];
                let mark = (1..=CONTACTS).filter(present).max().unwrap_or(0);
                let counted = (1..=mark).filter(present).count();
                let row = Row { status: Status::Active, enrolling: Enrolling::Running, cursor: 0, mark, counted };
                next.stayed = world.members;
                next.steps[actor] = if counted == 0 { Step::Idle } else { Step::Counted(row) };
                if counted == 0 {
                    next.holder = None;
                }
            }
            Action::Enroll(actor) => {
                let (row, chosen) = match world.steps[actor] {
                    Step::Counted(row) if row.counted > AT_ONCE => (row, [false; CONTACTS]),
                    Step::Counted(row) => self.chunk(world, row, AT_ONCE + 1),
                    Step::Locked(row) => self.chunk(world, row, CHUNK),
                    _ => return None,
                };
                next.steps[actor] = Step::Ready(row, chosen);
                // With two transactions the lock is not held from one to the other.
                if actor >= CALLERS && (self.is(Twin::CursorFirst) || self.is(Twin::EnrollsTheCompleted)) {
                    next.holder = None;
                }
            }
            Action::Commit(actor) => {
                if self.is(Twin::EnrollsTheCompleted)
                    && actor >= CALLERS
                    && world.row.status == Status::Completed
                    && let Step::Ready(mut row, chosen) = world.steps[actor]
                {
                    (row.status, row.enrolling) = (Status::Completed, Enrolling::Done);
                    next.steps[actor] = Step::Ready(row, chosen);
                }
                self.commit(&mut next, actor);
            }
            Action::Crash(actor) => {
                next.budget[0] -= 1;
                next.steps[actor] = Step::Idle;
                if next.holder == Some(actor) {
                    next.holder = None;
                }
            }
            Action::Join(contact) => {
                next.budget[1] -= 1;
                next.members[contact] = true;
            }
            Action::Part(contact) => {
                next.budget[2] -= 1;
                next.members[contact] = false;
                next.stayed[contact] = false;
            }
            Action::Send => {
                let missing = (0..CONTACTS).any(|contact| world.stayed[contact] && world.enrolled[contact] == 0);
                if !missing {
                    return None;
                }
                next.early = true;
            }
            Action::Complete => {
                next.budget[3] -= 1;
                (next.row.status, next.row.enrolling) = (Status::Completed, Enrolling::Done);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALL_IN, |_, at: &World| {
                let done = at.row.enrolling == Enrolling::Done && at.row.status == Status::Active;
                !done || (0..CONTACTS).all(|contact| !at.stayed[contact] || at.enrolled[contact] > 0)
            }),
            Property::always(ONCE, |_, at: &World| at.enrolled.iter().all(|times| *times <= 1)),
            Property::always(MARK, |_, at: &World| (at.row.mark..CONTACTS).all(|contact| at.enrolled[contact] == 0)),
            Property::always(LAUNCHED_ONCE, |_, at: &World| at.launches <= 1),
            Property::always(NOT_EARLY, |_, at: &World| !at.early),
            Property::always(NOT_BELATED, |_, at: &World| !at.belated),
            Property::sometimes(DONE, |_, at: &World| at.row.enrolling == Enrolling::Done && at.budget[0] == 0),
        ]
    }
}

/// The snapshot is complete.
pub const ALL_IN: &str = "when enrolling is done, everybody who was there at the launch and stayed is in";
/// Nobody twice.
pub const ONCE: &str = "nobody is enrolled twice";
/// Late comers stay out.
pub const MARK: &str = "nobody is in whose number is above the last at the launch";
/// One launch.
pub const LAUNCHED_ONCE: &str = "a campaign is launched once";
/// No mail before.
pub const NOT_EARLY: &str = "no mail begins before everybody is in";
/// Over is over.
pub const NOT_BELATED: &str = "nobody is enrolled after the end";
/// The model gets there.
pub const DONE: &str = "enrolling is done after a crash";
