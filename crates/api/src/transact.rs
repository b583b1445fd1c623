//! Stories in transactions, for handlers: reading, and writing once however often the request is repeated.
//!
//! A story is an async closure over a `Tx`. It may run more than once (another transaction came between), so it must
//! keep its effects inside the transaction. What it answers, a refusal included, is stored in the same transaction when
//! the request carries an `Idempotency-Key`.

use crate::extract::{Can, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;
use actix_web::HttpResponse;
use muster_domain::ports::idempotency::{Claim, StoredAnswer};
use muster_domain::ports::store::{Store, StoreError, Tx, Workspace, in_read_only_tx, in_tx};

/// What handlers return.
pub type Answer = Result<HttpResponse, Problem>;

/// How often a story is told when other transactions come between.
const ATTEMPTS: usize = 3;

/// What became of a write.
pub enum Written {
    /// The story ran, and is committed.
    Done(Reply),
    /// The request was answered before; nothing ran.
    Replayed(HttpResponse),
}

impl From<Written> for HttpResponse {
    fn from(written: Written) -> Self {
        match written {
            Written::Done(reply) => reply.into(),
            Written::Replayed(response) => response,
        }
    }
}

impl<P> Can<P> {
    /// Runs a story that changes nothing.
    pub async fn read<T, E: Into<Problem>>(&self, story: impl AsyncFn(&mut Tx) -> Result<T, E>) -> Result<T, Problem> {
        let (store, of) = (&*self.state.store, self.workspace());
        let told = async || in_read_only_tx(store, of, async |tx| story(tx).await.map_err(Into::into)).await;
        again_while_others_come_between(told).await
    }

    /// Runs a story whose change is the same when repeated, and which so answers to nobody's `Idempotency-Key`.
    pub async fn change<T, E: Into<Problem>>(
        &self,
        story: impl AsyncFn(&mut Tx) -> Result<T, E>,
    ) -> Result<T, Problem> {
        let (store, of) = (&*self.state.store, self.workspace());
        let told = async || in_tx(store, of, async |tx| story(tx).await.map_err(Into::into)).await;
        again_while_others_come_between(told).await
    }

    /// Runs a story that changes something, once for each `Idempotency-Key`, and answers.
    pub async fn write<E: Into<Problem>>(
        &self,
        repeat: &Repeat,
        story: impl AsyncFn(&mut Tx) -> Result<Reply, E>,
    ) -> Answer {
        self.write_first(repeat, story).await.map(Into::into)
    }

    /// Like [`Can::write`], and tells whether the story ran: for endpoints that go on after the commit.
    ///
    /// They may replace the stored answer by the final one with [`Can::restate`].
    pub async fn write_first<E: Into<Problem>>(
        &self,
        repeat: &Repeat,
        story: impl AsyncFn(&mut Tx) -> Result<Reply, E>,
    ) -> Result<Written, Problem> {
        write(&*self.state.store, self.workspace(), repeat, story).await
    }

    /// Replaces the answer that [`Can::write_first`] stored, so that repeating the request gets the final one.
    pub async fn restate(&self, repeat: &Repeat, reply: &Reply) -> Result<(), Problem> {
        let Some(keyed) = &repeat.0 else { return Ok(()) };
        let answer = reply.to_stored();
        self.change(async |tx: &mut Tx| tx.idempotency().store(&keyed.key, keyed.fingerprint, &answer).await).await
    }
}

async fn write<E: Into<Problem>>(
    store: &dyn Store,
    of: Workspace,
    repeat: &Repeat,
    story: impl AsyncFn(&mut Tx) -> Result<Reply, E>,
) -> Result<Written, Problem> {
    let told = async || in_tx(store, of, async |tx| tell(tx, repeat, &story).await).await;
    match again_while_others_come_between(told).await? {
        Told::Answer(result) => result.map(Written::Done),
        Told::Replay(answer) => Ok(Written::Replayed(Reply::replay(answer))),
    }
}

async fn again_while_others_come_between<T>(attempt: impl AsyncFn() -> Result<T, Problem>) -> Result<T, Problem> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(problem) if came_between(&problem) => {}
            other => return other,
        }
    }
    attempt().await
}

/// What is committed; an `Err` beside it rolls back.
enum Told {
    /// The answer, which may be a refusal that was stored.
    Answer(Result<Reply, Problem>),
    /// Nothing: the answer was stored before.
    Replay(StoredAnswer),
}

async fn tell<E: Into<Problem>>(
    tx: &mut Tx,
    repeat: &Repeat,
    story: &impl AsyncFn(&mut Tx) -> Result<Reply, E>,
) -> Result<Told, Problem> {
    let Some(keyed) = &repeat.0 else {
        return Ok(Told::Answer(Ok(story(tx).await.map_err(Into::into)?)));
    };
    match tx.idempotency().claim(&keyed.key, keyed.fingerprint).await? {
        Claim::First => {}
        Claim::Answered(answer) => return Ok(Told::Replay(answer)),
        Claim::OtherRequest => return Err(Problem::IdempotencyKeyReused),
        Claim::Running => return Err(Problem::Conflict("A request with this Idempotency-Key is still running.")),
    }
    tx.savepoint().await?;
    match story(tx).await {
        Ok(reply) => {
            tx.idempotency().store(&keyed.key, keyed.fingerprint, &reply.to_stored()).await?;
            Ok(Told::Answer(Ok(reply)))
        }
        Err(error) => {
            let problem = error.into();
            if !worth_storing(&problem) {
                return Err(problem);
            }
            tx.rollback_to_savepoint().await?;
            let refusal = Reply::refusal(&problem).to_stored();
            tx.idempotency().store(&keyed.key, keyed.fingerprint, &refusal).await?;
            Ok(Told::Answer(Err(problem)))
        }
    }
}

/// Another transaction came between; the same again may succeed.
fn came_between(problem: &Problem) -> bool {
    matches!(problem, Problem::Store(StoreError::Conflict))
}

/// Whether a refusal is the answer to the request, and not to its form or to the weather.
fn worth_storing(problem: &Problem) -> bool {
    let (status, _) = problem.kind();
    status.is_client_error() && !matches!(problem, Problem::Invalid(_)) && !came_between(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Keyed;
    use async_trait::async_trait;
    use muster_domain::model::ids::{TenantNo, WorkspaceNo};
    use muster_domain::model::lifecycle::{Action, Status, check};
    use muster_domain::ports::store::StoreResult;
    use muster_domain::testing::MockUnit;
    use std::cell::Cell;
    use std::sync::Mutex;

    const OF: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };

    /// Opens transactions in which a key is claimed with `claim`, and notes the status of what is stored.
    struct Shelf {
        claim: Claim,
        stored: std::sync::Arc<Mutex<Vec<u16>>>,
    }

    impl Shelf {
        fn with(claim: Claim) -> Self {
            Self { claim, stored: std::sync::Arc::default() }
        }

        fn stored(&self) -> Vec<u16> {
            self.stored.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Store for Shelf {
        async fn begin(&self, _: Workspace) -> StoreResult<Tx> {
            let mut unit = MockUnit::default();
            let (claim, stored) = (self.claim.clone(), self.stored.clone());
            unit.idempotency.expect_claim().returning(move |_, _| Ok(claim.clone()));
            unit.idempotency.expect_store().returning(move |_, _, answer| {
                stored.lock().unwrap().push(answer.status);
                Ok(())
            });
            Ok(unit.into_tx())
        }
    }

    fn keyed() -> Repeat {
        Repeat(Some(Keyed { key: "k".to_owned(), fingerprint: [0; 32] }))
    }

    /// What becomes of a write whose story fails so.
    async fn refused(shelf: &Shelf, error: impl Fn() -> Problem) -> (Problem, u32) {
        let runs = Cell::new(0);
        let result = write(shelf, OF, &keyed(), async |_: &mut Tx| -> Result<Reply, Problem> {
            runs.set(runs.get() + 1);
            Err(error())
        })
        .await;
        (result.err().expect("a refusal"), runs.get())
    }

    #[tokio::test]
    async fn a_story_is_told_three_times_when_others_come_between_and_nothing_is_stored() {
        let shelf = Shelf::with(Claim::First);
        let (problem, runs) = refused(&shelf, || StoreError::Conflict.into()).await;
        assert_eq!((problem.kind().1, runs), ("conflict", 3));
        assert_eq!(shelf.stored(), Vec::<u16>::new());
    }

    #[tokio::test]
    async fn a_story_that_succeeds_the_second_time_is_stored_once() {
        let (shelf, runs) = (Shelf::with(Claim::First), Cell::new(0));
        let written = write(&shelf, OF, &keyed(), async |_: &mut Tx| {
            runs.set(runs.get() + 1);
            if runs.get() == 1 { Err(Problem::from(StoreError::Conflict)) } else { Reply::no_content() }
        })
        .await;
        assert!(matches!(written, Ok(Written::Done(_))));
        assert_eq!((runs.get(), shelf.stored()), (2, vec![204]));
    }

    #[tokio::test]
    async fn refusals_are_stored_and_neither_bad_fields_nor_failures_are() {
        let transition = || Problem::from(check(Status::Completed, Action::Pause).expect_err("refused"));
        let cases: [(&dyn Fn() -> Problem, &[u16]); 7] = [
            (&|| Problem::NotFound, &[404]),
            (&transition, &[409]),
            (&|| Problem::Conflict("taken"), &[409]),
            (&|| Problem::VersionMismatch, &[412]),
            (&|| Problem::invalid("/name", "too_long", "is too long"), &[]),
            (&|| StoreError::Unavailable("away".into()).into(), &[]),
            (&|| StoreError::Internal("broken".into()).into(), &[]),
        ];
        for (error, expected) in cases {
            let shelf = Shelf::with(Claim::First);
            let (problem, runs) = refused(&shelf, error).await;
            assert_eq!((runs, shelf.stored().as_slice()), (1, expected), "{problem}");
        }
    }

    #[tokio::test]
    async fn a_request_that_was_answered_or_is_running_is_not_told_again() {
        let answer = StoredAnswer { status: 201, headers: Vec::new(), body: b"{}".to_vec() };
        for claim in [Claim::Answered(answer), Claim::OtherRequest, Claim::Running] {
            let shelf = Shelf::with(claim.clone());
            let story = async |_: &mut Tx| -> Result<Reply, Problem> { panic!("told again") };
            match (write(&shelf, OF, &keyed(), story).await, claim) {
                (Ok(Written::Replayed(response)), Claim::Answered(_)) => {
                    assert_eq!(response.status(), 201);
                    assert_eq!(response.headers().get("Idempotency-Replayed").unwrap(), "true");
                }
                (Err(Problem::IdempotencyKeyReused), Claim::OtherRequest) => {}
                (Err(problem), Claim::Running) => assert_eq!(problem.kind().1, "conflict"),
                _ => panic!("another outcome"),
            }
            assert_eq!(shelf.stored(), Vec::<u16>::new());
        }
    }
}
