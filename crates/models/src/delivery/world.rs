//! What the model knows of the world at one moment.

use muster_domain::model::delivery::{DeliveryState, Epoch};
use muster_domain::model::enrollment::Standing;
use muster_domain::model::lifecycle::Status;
use muster_domain::model::transitions::DeliveryMark;

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World<const WORKERS: usize, const MAILS: usize> {
    /// The campaign.
    pub campaign: Campaign,
    /// Its mails, one to each contact.
    pub mails: [Mail; MAILS],
    /// The processes that deliver.
    pub workers: [Worker<MAILS>; WORKERS],
    /// Journals of processes that are gone.
    pub journals: Vec<[Option<Journaled>; MAILS]>,
    /// What may still happen.
    pub budget: Budget,
    /// Promises broken by a step, each a bit of [`Wrong`].
    pub wrongs: u8,
}

/// The campaign's row, and what its owner was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Campaign {
    /// Active, paused or completed.
    pub status: Status,
    /// A pause has returned: nothing may begin.
    pub held: bool,
}

/// One mail, its enrollment and its contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mail {
    /// Its row in the outbox or the messages.
    pub mark: DeliveryMark,
    /// Of the contact in the campaign; this mail is its only step.
    pub enrollment: Standing,
    /// The address is suppressed.
    pub suppressed: bool,
    /// The contact is erased.
    pub erased: bool,
    /// An unsubscription, erasure or exit has returned: nothing may begin.
    pub closed: bool,
    /// How often a server took responsibility, whoever knows.
    pub accepted: u8,
    /// A fault met it that may leave a doubt.
    pub faulted: bool,
    /// A late answer has seen that it may be queued again and has not done it yet.
    pub requeuing: bool,
}

/// A process that delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker<const MAILS: usize> {
    /// What it has in hand of each mail.
    pub jobs: [Job; MAILS],
    /// Its begin, while that is open.
    pub begin: Option<Begin<MAILS>>,
}

/// An open begin transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Begin<const MAILS: usize> {
    /// What is to become of each mail of the batch.
    pub parts: [Option<Part>; MAILS],
    /// `MAIL FROM` was written.
    pub asked: bool,
    /// Its mails were marked beforehand and begin one after the other.
    pub rounds: bool,
    /// The database session lives, and with it the locks.
    pub lives: bool,
}

/// What a begin makes of one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// It begins.
    Take,
    /// It was named in this round.
    Named,
    /// It was to begin, and the server gave no answer.
    Unanswered,
    /// It ends: the address is suppressed.
    Suppress,
    /// It is pending again.
    Return,
}

/// One attempt in the hands of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// How far it is.
    pub stage: Stage,
    /// Under which claim.
    pub epoch: Epoch,
    /// What the journal says of it.
    pub journal: Option<Phase>,
    /// Its `MAIL FROM` was written when nothing might begin any more.
    pub late: bool,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing in hand.
    Idle,
    /// Claimed, written, waiting for its begin.
    Claimed,
    /// Written down and marked; waits for the locks.
    Marked,
    /// Begun.
    Begun,
    /// The final dot is written, or is about to be.
    Dotted,
    /// The server has decided, the reply is not read yet.
    Answering(Outcome),
    /// Ended; to be recorded.
    ToRecord(Outcome),
    /// Came to nothing; to be given back.
    ToGiveBack,
    /// It was given up as in doubt, and is known not to have been handed over; to be queued again.
    ToRequeue,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// 250 after the dot.
    Sent,
    /// Refused for now, or lost before the dot.
    Retry,
    /// Refused for good.
    Failed,
    /// Lost after the dot.
    InDoubt,
}

/// What a journal says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing but `MAIL FROM` was written.
    Begun,
    /// The final dot may be written.
    Dot,
    /// The reply was read.
    Replied(Outcome),
}

/// An attempt in the journal of a process that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Journaled {
    /// Under which claim.
    pub epoch: Epoch,
    /// How far it came.
    pub phase: Phase,
}

/// How a transaction ends for the one who waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Committed, and told so.
    Told,
    /// Committed, and the answer was lost.
    Untold,
    /// Rolled back, and the answer was lost.
    Undone,
}

/// So often each may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Processes killed.
    pub crashes: u8,
    /// Connections to the mail server lost, at whatever moment.
    pub drops: u8,
    /// Mails refused by the server.
    pub refusals: u8,
    /// Leases that run out under a process that lives.
    pub stalls: u8,
    /// Answers of the database lost on the way.
    pub cuts: u8,
    /// Database sessions killed while a begin is open.
    pub kills: u8,
    /// Begins in rounds. What they take back is claimed again, which would go on for ever.
    pub marks: u8,
    /// Pauses.
    pub pauses: u8,
    /// Contacts that unsubscribe.
    pub unsubscribes: u8,
    /// Contacts erased.
    pub erasures: u8,
    /// Contacts taken out of the campaign.
    pub exits: u8,
    /// Campaigns ended early.
    pub completions: u8,
}

/// A promise that a single step can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Wrong {
    /// A step that is in no table.
    Step = 1,
    /// A row was changed under another claim's epoch.
    Fence = 2,
    /// A mail was accepted whose begin came after a pause had returned.
    Pause = 4,
    /// A mail was accepted whose begin came after its contact had unsubscribed, was erased or taken out.
    Closed = 8,
    /// `MAIL FROM` was written after one of these, and no database session had been killed.
    Bare = 16,
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A worker claims a batch.
    Claim(usize),
    /// A worker finds no session with the mail server, or is told to end.
    HandBack(usize),
    /// A worker opens its begin: locks, gate, contacts, rows.
    Open(usize),
    /// A worker whose begin is to be in rounds writes a batch down and marks it.
    Mark(usize, Fate),
    /// It opens that begin: locks, gate, contacts.
    OpenRounds(usize),
    /// It writes `MAIL FROM` for one mail; whether the server gives an answer.
    Name(usize, usize, bool),
    /// The database gives it a word in between two rounds.
    Confirm(usize),
    /// It writes `MAIL FROM` for the batch; the server gives no answer for one mail.
    Reserve(usize, Option<usize>),
    /// It commits.
    Commit(usize, Fate),
    /// It comes to the final dot.
    Dot(usize, usize),
    /// The server refuses before the dot, or the connection is lost there.
    Refuse(usize, usize, Outcome),
    /// The server decides after the dot.
    Answer(usize, usize, Outcome),
    /// The connection is lost after the dot; whether the server had accepted.
    Lose(usize, usize, bool),
    /// The worker reads the reply.
    Read(usize, usize),
    /// A worker records all that ended.
    Record(usize, Fate),
    /// A worker gives back all that came to nothing.
    GiveBack(usize),
    /// A worker queues a mail again that was given up as in doubt.
    Requeue(usize, usize),
    /// A process is killed; another takes its place.
    Crash(usize),
    /// The session of an open begin is killed.
    KillSession(usize),
    /// The journal of a process that is gone is adopted, wholly or until the adopter is killed.
    Adopt(usize, bool),
    /// The journal of a process that lives is adopted.
    AdoptLiving(usize),
    /// A lease runs out and the reaper comes.
    Reap(usize),
    /// The reaper comes with what it saw before the mail ended.
    ReapBlindly(usize),
    /// The status becomes paused.
    Pause,
    /// The pause has waited for the begins, and returns.
    Barrier,
    /// The campaign is resumed.
    Resume,
    /// A contact unsubscribes.
    Unsubscribe(usize),
    /// A contact is erased.
    Erase(usize),
    /// A contact is taken out of the campaign.
    Exit(usize),
    /// The campaign is ended early.
    Complete,
    /// The campaign is over by itself.
    Finish,
}

impl Job {
    /// Nothing in hand.
    pub const IDLE: Job = Job { stage: Stage::Idle, epoch: Epoch(0), journal: None, late: false };
}

impl Mail {
    const QUEUED: Mail = Mail {
        mark: DeliveryMark::QUEUED,
        enrollment: Standing::Delivering,
        suppressed: false,
        erased: false,
        closed: false,
        accepted: 0,
        faulted: false,
        requeuing: false,
    };

    /// Whether it is in the outbox.
    pub fn is_open(&self) -> bool {
        matches!(self.mark.state, DeliveryState::Pending | DeliveryState::Claimed | DeliveryState::Sending)
    }

    /// Whether its contact has left the campaign.
    pub fn has_left(&self) -> bool {
        matches!(self.enrollment, Standing::Exited(_))
    }
}

impl<const WORKERS: usize, const MAILS: usize> World<WORKERS, MAILS> {
    /// An active campaign whose mails are queued.
    pub fn new(budget: Budget) -> Self {
        Self {
            campaign: Campaign { status: Status::Active, held: false },
            mails: [Mail::QUEUED; MAILS],
            workers: [Worker { jobs: [Job::IDLE; MAILS], begin: None }; WORKERS],
            journals: Vec::new(),
            budget,
            wrongs: 0,
        }
    }

    /// Whether a begin holds its campaign's lock.
    pub fn a_begin_is_open(&self) -> bool {
        self.workers.iter().any(|worker| worker.begin.is_some_and(|begin| begin.lives))
    }

    /// Whether a begin holds this mail's contact.
    pub fn is_held(&self, mail: usize) -> bool {
        self.workers.iter().any(|worker| worker.begin.is_some_and(|begin| begin.lives && begin.parts[mail].is_some()))
    }

    /// Whether it holds its row, too.
    pub fn is_locked(&self, mail: usize) -> bool {
        let locks = |begin: Begin<MAILS>| begin.lives && !begin.rounds && begin.parts[mail].is_some();
        self.workers.iter().any(|worker| worker.begin.is_some_and(locks))
    }

    /// Whether a living process still works on this mail under its present epoch.
    pub fn is_in_hand(&self, mail: usize) -> bool {
        let epoch = self.mails[mail].mark.epoch;
        self.workers.iter().map(|worker| worker.jobs[mail]).any(|job| job.stage != Stage::Idle && job.epoch == epoch)
    }

    /// Whether nothing may begin to this contact any more.
    pub fn is_forbidden(&self, mail: usize) -> bool {
        self.campaign.held || self.mails[mail].closed
    }

    /// Notes a broken promise.
    pub fn note(&mut self, wrong: Wrong) {
        self.wrongs |= wrong as u8;
    }

    /// Whether that promise was broken.
    pub fn broke(&self, wrong: Wrong) -> bool {
        self.wrongs & wrong as u8 != 0
    }
}
