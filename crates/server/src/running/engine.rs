//! The worker, as a part of the process.

use super::database;
use crate::wiring::{WorkerSettings, worker};
use muster_adapters::smtp::SmtpTransport;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The running worker.
pub struct Engine {
    transport: SmtpTransport,
    end: CancellationToken,
    running: JoinHandle<()>,
}

impl Engine {
    /// Works from now on; waits for the database, should it be away.
    ///
    /// # Errors
    /// When its journal cannot be opened, or the mail server's settings cannot be used.
    pub async fn start(settings: WorkerSettings) -> anyhow::Result<Self> {
        let database = database::identity(&settings.store).await?;
        let (worker, transport) = worker(settings, &database)?;
        let end = CancellationToken::new();
        Ok(Self { transport, running: tokio::spawn(worker.run(end.clone())), end })
    }

    /// Returns only when the worker ends by itself, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.running).await {
            Ok(()) => anyhow::anyhow!("the worker ended"),
            Err(error) => anyhow::Error::new(error).context("the worker failed"),
        }
    }

    /// Claims nothing more, lets what has begun come to its end, says good-bye to the mail server.
    pub async fn stop(self) {
        self.end.cancel();
        if !self.running.is_finished() {
            // A panic was logged where it happened; there is nothing more to wait for.
            let _ = self.running.await;
        }
        self.transport.close_idle().await;
    }
}
