//! The delivery protocol as it is built: batches, one begin transaction held open across `MAIL FROM`, a journal, leases, a
//! reaper, adoption of journals, late answers, resending.
//!
//! Each [`Action`] is one transaction, one network event or one fault; the checker tries them in every order. Time is left
//! out: whatever waits may happen at once, so every timing is covered.

mod journal;
mod people;
pub mod promises;
mod rounds;
mod store;
mod worker;
mod world;

pub use world::{Action, Budget, Campaign, Fate, Job, Journaled, Mail, Outcome, Stage, Worker, World, Wrong};

use muster_domain::model::schedule::OnInDoubt;
use stateright::{Model, Property};

/// One precaution left out, or one found missing once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Twin {
    /// A claimed mail counts as sent.
    CheckpointAtFetch,
    /// Mail is handed over first and marked afterwards; there is no begin.
    SendThenMark,
    /// Writes do not name the epoch of their claim.
    NoEpoch,
    /// The reaper writes what it saw a while ago, whatever has become of it.
    ReaperWithoutGuard,
    /// A pause returns as soon as the status is changed.
    PauseAsAFlag,
    /// A connection lost after the final dot counts as a transient refusal.
    RetryAfterDot,
    /// The begin does not ask again whether the contact may be written to, and does not hold it.
    UnsubscribeCheckedAtClaim,
    /// The journal is told of the final dot only after it was written.
    JournalAfterDot,
    /// Journals of living processes are adopted.
    AdoptsTheLiving,
    /// A begin whose commit failed, or may have, goes on all the same.
    SendsWithoutCommit,
    /// A late answer queues a mail again by what it saw of the enrollment and the campaign a while ago.
    RequeuesUnlocked,
    /// A refused mail is pending again although its campaign is over.
    RetriesWhenOver,
    /// That an earlier attempt is in doubt is forgotten when a later one is refused or cancelled.
    ForgetsDoubts,
    /// A mail queued again by a late answer may be resent as if it never had been.
    ForgetsResends,
    /// The reaper takes what it finds, whether its lease runs or not.
    ReapsTheRunning,
    /// What was marked beforehand begins whatever has come between the mark and the locks.
    LooksBeforeTheLocks,
    /// What was named in a round goes before it is known that the locks were held.
    GoesUnconfirmed,
}

/// The model: `WORKERS` processes and one campaign with `MAILS` mails to as many contacts.
#[derive(Debug, Clone)]
pub struct Delivery<const WORKERS: usize, const MAILS: usize> {
    /// Mails claimed and begun together.
    pub batch: usize,
    /// What may go wrong and be asked for, so many times each.
    pub budget: Budget,
    /// What the campaign wants done in doubt.
    pub on_in_doubt: OnInDoubt,
    /// The message of the first mail cannot be made.
    pub unwritable: bool,
    /// Another step follows: the enrollment stays open when the mail has ended.
    pub goes_on: bool,
    /// What is left out.
    pub twin: Option<Twin>,
}

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    /// Batches of two, doubts held, nothing left out.
    pub fn new(budget: Budget) -> Self {
        Self { batch: 2, budget, on_in_doubt: OnInDoubt::Hold, unwritable: false, goes_on: false, twin: None }
    }

    /// The same without one precaution.
    #[must_use]
    pub fn without(mut self, twin: Twin) -> Self {
        self.twin = Some(twin);
        self
    }

    /// The same where doubts are resent.
    #[must_use]
    pub fn resending(mut self) -> Self {
        self.on_in_doubt = OnInDoubt::Resend;
        self
    }

    fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }
}

impl<const WORKERS: usize, const MAILS: usize> Model for Delivery<WORKERS, MAILS> {
    type State = World<WORKERS, MAILS>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![World::new(self.budget)]
    }

    fn actions(&self, world: &Self::State, actions: &mut Vec<Action>) {
        for worker in 0..WORKERS {
            self.worker_actions(world, worker, actions);
        }
        Self::journal_actions(world, actions);
        self.store_actions(world, actions);
        self.people_actions(world, actions);
    }

    fn next_state(&self, world: &Self::State, action: Action) -> Option<Self::State> {
        let mut next = world.clone();
        self.apply(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    fn apply(&self, world: &mut World<WORKERS, MAILS>, action: Action) {
        match action {
            Action::Claim(worker) => self.claim(world, worker),
            Action::HandBack(worker) => Self::hand_back(world, worker),
            Action::Open(worker) => self.open(world, worker),
            Action::OpenRounds(worker) => self.open_rounds(world, worker),
            Action::Mark(worker, fate) => self.mark(world, worker, fate),
            Action::Name(worker, mail, answered) => self.name(world, worker, mail, answered),
            Action::Confirm(worker) => Self::confirm(world, worker),
            Action::Reserve(worker, lost) => Self::reserve(world, worker, lost),
            Action::Commit(worker, fate) => self.commit(world, worker, fate),
            Action::Dot(worker, mail) => self.dot(world, worker, mail),
            Action::Refuse(worker, mail, outcome) => Self::refuse(world, worker, mail, outcome),
            Action::Answer(worker, mail, outcome) => Self::answer(world, worker, mail, outcome),
            Action::Lose(worker, mail, accepted) => self.lose(world, worker, mail, accepted),
            Action::Read(worker, mail) => Self::read(world, worker, mail),
            Action::Record(worker, fate) => self.record(world, worker, fate),
            Action::GiveBack(worker) => self.give_back(world, worker),
            Action::Requeue(worker, mail) => self.requeue_job(world, worker, mail),
            Action::Crash(worker) => Self::crash(world, worker),
            Action::KillSession(worker) => Self::kill_session(world, worker),
            Action::Adopt(journal, whole) => self.adopt(world, journal, whole),
            Action::AdoptLiving(worker) => self.adopt_living(world, worker),
            Action::Reap(mail) => self.reap(world, mail),
            Action::ReapBlindly(mail) => Self::reap_blindly(world, mail),
            Action::Pause => self.pause(world),
            Action::Barrier => world.campaign.held = true,
            Action::Resume => Self::resume(world),
            Action::Unsubscribe(mail) => self.unsubscribe(world, mail),
            Action::Erase(mail) => self.erase(world, mail),
            Action::Exit(mail) => self.exit(world, mail),
            Action::Complete => self.complete(world),
            Action::Finish => world.campaign.status = muster_domain::model::lifecycle::Status::Completed,
        }
    }
}
