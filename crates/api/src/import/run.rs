//! Storing what is read, batch by batch, while the next one is being read.

use super::{Form, Harvest, Reader};
use crate::problem::Problem;
use actix_web::rt::task::JoinHandle;
use futures::{Stream, StreamExt};
use muster_domain::model::import::RowProblem;
use std::time::Duration;

/// A batch is stored when it has as many rows as its [`Sink`] takes, or was read from so many bytes.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// So many bytes are read before it is looked whether a batch is full.
const SLICE_BYTES: usize = 16 * 1024;
/// How long nothing may arrive.
const IDLE: Duration = Duration::from_secs(30);
/// So many problems are told.
const LISTED_PROBLEMS: usize = 1000;
/// How often a batch is stored when other transactions come between.
pub(super) const ATTEMPTS: usize = 5;

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) skipped: u64,
    /// The first problems.
    pub(crate) problems: Vec<RowProblem>,
}

impl Tally {
    fn add(&mut self, batch: Tally) {
        self.created += batch.created;
        self.updated += batch.updated;
        self.skipped += batch.skipped;
        self.note(batch.problems);
    }

    fn note(&mut self, problems: Vec<RowProblem>) {
        let room = LISTED_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
    }
}

/// Where rows are stored.
pub(crate) trait Sink: Clone + 'static {
    /// What it takes.
    type Row: Send + 'static;
    /// So many rows at once.
    const BATCH_ROWS: usize;

    /// Stores a batch in a transaction of its own, all of it or nothing.
    async fn store(self, rows: Vec<Self::Row>) -> Result<Tally, Problem>;
}

/// Stores batches, one after the other: a later row may change what an earlier one said.
pub(crate) struct Importer<S: Sink> {
    sink: S,
    harvest: Harvest<S::Row>,
    under_way: Option<JoinHandle<Result<Tally, Problem>>>,
    tally: Tally,
}

impl<S: Sink> Importer<S> {
    /// Imports into `sink`.
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, harvest: Harvest::default(), under_way: None, tally: Tally::default() }
    }

    /// Imports everything that arrives. After an error, and when the caller goes away, the batches stored stay.
    pub(crate) async fn run<F: Form<Row = S::Row>, E>(
        mut self,
        mut reader: Reader<F>,
        mut body: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    ) -> Result<Tally, Problem> {
        loop {
            let arrived = tokio::time::timeout(IDLE, body.next()).await.map_err(|_| Problem::RequestTimeout)?;
            let Some(chunk) = arrived else { break };
            let chunk = chunk.map_err(|_| Problem::invalid("", "incomplete", "the body did not arrive whole"))?;
            for slice in chunk.chunks(SLICE_BYTES) {
                reader.feed(slice, &mut self.harvest)?;
                if self.harvest.rows.len() >= S::BATCH_ROWS || self.harvest.bytes >= BATCH_BYTES {
                    self.store().await?;
                }
            }
        }
        reader.finish(&mut self.harvest)?;
        self.store().await?;
        self.settle().await?;
        self.tally.problems.sort_by_key(|problem| problem.line);
        Ok(self.tally)
    }

    /// Waits for the batch under way and begins the next.
    async fn store(&mut self) -> Result<(), Problem> {
        let Harvest { rows, problems, refused, .. } = std::mem::take(&mut self.harvest);
        self.settle().await?;
        self.tally.skipped += refused;
        self.tally.note(problems);
        if !rows.is_empty() {
            self.under_way = Some(actix_web::rt::spawn(self.sink.clone().store(rows)));
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        if let Some(under_way) = self.under_way.take() {
            let stored = under_way.await.map_err(Problem::internal)??;
            self.tally.add(stored);
        }
        Ok(())
    }
}
