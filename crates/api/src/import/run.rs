//! Storing what is read, batch by batch, while the next one is being read.

use super::{Harvest, Reader};
use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::rt::task::JoinHandle;
use actix_web::web;
use futures::{Stream, StreamExt};
use muster_domain::model::ids::SegmentNo;
use muster_domain::model::import::RowProblem;
use muster_domain::ports::store::{StoreError, Workspace, in_tx};
use muster_domain::usecases::import_contacts::{ImportContacts, ImportContactsError, ImportReport, import_contacts};
use std::time::Duration;

/// A batch is stored when it has so many rows …
const BATCH_ROWS: usize = 1000;
/// … or was read from so many bytes.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// So many bytes are read before it is looked whether a batch is full.
const SLICE_BYTES: usize = 16 * 1024;
/// How long nothing may arrive.
const IDLE: Duration = Duration::from_secs(30);
/// So many problems are told.
const LISTED_PROBLEMS: usize = 1000;
/// How often a batch is stored when other transactions come between.
const ATTEMPTS: usize = 5;

/// What became of all rows so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) skipped: u64,
    /// The first problems.
    pub(crate) problems: Vec<RowProblem>,
}

impl Tally {
    fn add(&mut self, report: ImportReport) {
        self.created += report.created;
        self.updated += report.updated;
        self.skipped += report.skipped;
        self.note(report.problems);
    }

    fn note(&mut self, problems: Vec<RowProblem>) {
        let room = LISTED_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
    }
}

/// Stores batches, one after the other: a later row may change what an earlier one said.
pub(crate) struct Importer {
    state: web::Data<ApiState>,
    of: Workspace,
    segment: Option<SegmentNo>,
    harvest: Harvest,
    under_way: Option<JoinHandle<Result<ImportReport, Problem>>>,
    tally: Tally,
}

impl Importer {
    /// Imports into a workspace, and everybody imported into a static segment.
    pub(crate) fn new(state: web::Data<ApiState>, of: Workspace, segment: Option<SegmentNo>) -> Self {
        Self { state, of, segment, harvest: Harvest::default(), under_way: None, tally: Tally::default() }
    }

    /// Imports everything that arrives. After an error, and when the caller goes away, the batches stored stay.
    pub(crate) async fn run<E>(
        mut self,
        mut reader: Reader,
        mut body: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    ) -> Result<Tally, Problem> {
        loop {
            let arrived = tokio::time::timeout(IDLE, body.next()).await.map_err(|_| Problem::RequestTimeout)?;
            let Some(chunk) = arrived else { break };
            let chunk = chunk.map_err(|_| Problem::invalid("", "incomplete", "the body did not arrive whole"))?;
            for slice in chunk.chunks(SLICE_BYTES) {
                reader.feed(slice, &mut self.harvest)?;
                if self.harvest.rows.len() >= BATCH_ROWS || self.harvest.bytes >= BATCH_BYTES {
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
            let batch = ImportContacts { rows, segment: self.segment };
            self.under_way = Some(actix_web::rt::spawn(store_batch(self.state.clone(), self.of, batch)));
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Problem> {
        if let Some(under_way) = self.under_way.take() {
            let report = under_way.await.map_err(Problem::internal)??;
            self.tally.add(report);
        }
        Ok(())
    }
}

async fn store_batch(
    state: web::Data<ApiState>,
    of: Workspace,
    batch: ImportContacts,
) -> Result<ImportReport, Problem> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match in_tx(&*state.store, of, async |tx| import_contacts(tx, &batch).await).await {
            Err(ImportContactsError::Store(StoreError::Conflict)) if left > 0 => {}
            Err(ImportContactsError::Store(error)) => return Err(error.into()),
            Err(ImportContactsError::NoSuchSegment) => {
                return Err(Problem::Conflict("The segment was removed while contacts were imported into it."));
            }
            Ok(report) => return Ok(report),
        }
    }
}
