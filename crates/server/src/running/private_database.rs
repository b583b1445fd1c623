//! The private PostgreSQL of `up` and `demo`: started when no database is named, started again when it dies.

use anyhow::Context;
use muster_adapters::embedded::{Durability, EmbeddedOptions, EmbeddedPostgres, Shutdown};
use secrecy::SecretString;
use std::path::Path;
use std::time::Duration;

/// The database within the private server that everything is in.
const DATABASE: &str = "postgres";
/// How often the server is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A running private server.
pub struct PrivateDatabase {
    server: Option<EmbeddedPostgres>,
    options: EmbeddedOptions,
    url: SecretString,
}

impl PrivateDatabase {
    /// Starts it in `state_dir`, with the programs in `bin_dir`, or installed ones, or downloaded ones.
    ///
    /// # Errors
    /// When it cannot be started; the error says what to do.
    pub async fn start(state_dir: &Path, durability: Durability, bin_dir: Option<&Path>) -> anyhow::Result<Self> {
        let options = EmbeddedOptions {
            state_dir: state_dir.to_owned(),
            durability,
            bin_dir: bin_dir.map(Path::to_owned),
            download: true,
        };
        let server =
            EmbeddedPostgres::start(options.clone()).await.context("the private database cannot be started")?;
        let url = server.database_url(DATABASE);
        Ok(Self { server: Some(server), options, url })
    }

    /// How to reach it.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// Where its data really is.
    pub fn folder(&self) -> &Path {
        self.server.as_ref().map_or(self.options.state_dir.as_path(), EmbeddedPostgres::state_dir)
    }

    /// Starts it again whenever it dies. Returns only when that fails.
    pub async fn look_after(&mut self) -> anyhow::Error {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.server.as_mut().is_some_and(EmbeddedPostgres::is_running) {
                continue;
            }
            tracing::error!(target: "muster", "the private database died and is started again");
            // Gives up the folder, which the next start takes.
            self.server = None;
            match EmbeddedPostgres::start(self.options.clone()).await {
                Ok(server) => self.server = Some(server),
                Err(error) => return anyhow::Error::new(error).context("the private database cannot be started again"),
            }
        }
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        match self.server.take() {
            Some(server) => server.stop(Shutdown::Fast).await.context("the private database cannot be stopped"),
            None => Ok(()),
        }
    }
}
