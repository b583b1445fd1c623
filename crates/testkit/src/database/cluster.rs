//! One throwaway server and the databases on it.

use super::template::{self, Copy};
use anyhow::{Context, Result};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use muster_adapters::embedded::{Durability, EmbeddedOptions, EmbeddedPostgres, Shutdown};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::Mutex;

/// A throwaway server, running or stopped.
#[derive(Debug)]
pub(super) struct Cluster {
    // Dropped in this order: the folder goes when the server is gone.
    server: Mutex<Option<EmbeddedPostgres>>,
    copy: Copy,
    admin_url: SecretString,
    last_number: AtomicU32,
    to_drop: Sender<String>,
}

impl Cluster {
    /// Starts a server on a copy of the template.
    pub(super) async fn start() -> Result<Self> {
        let copy = template::copy().await?;
        let server = start_on(copy.state_dir()).await?;
        // The template goes by the migrations' files; a program built from older or newer ones makes it its own here.
        muster_adapters::postgres::migrate(&server.database_url(template::DATABASE)).await?;
        template::wait_until_unused(&server.database_url("postgres")).await?;

        let admin_url = server.database_url("postgres");
        let to_drop = start_dropping(admin_url.clone())?;
        Ok(Self { server: Mutex::new(Some(server)), copy, admin_url, last_number: AtomicU32::new(0), to_drop })
    }

    /// Makes a database and tells its name and url.
    pub(super) async fn create_database(&self, template: Option<&str>) -> Result<(String, SecretString)> {
        let name = format!("test_{}", self.last_number.fetch_add(1, Ordering::Relaxed) + 1);
        let template = template.unwrap_or("template0");
        let mut admin = AsyncPgConnection::establish(self.admin_url.expose_secret()).await?;
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        let server = self.server.lock().await;
        let url = server.as_ref().context("the server is stopped")?.database_url(&name);
        Ok((name, url))
    }

    /// Drops a database in the background. Whatever goes wrong: it goes with the server.
    pub(super) fn drop_database(&self, name: String) {
        let _ = self.to_drop.send(name);
    }

    /// Stops the server, if it runs.
    pub(super) async fn stop(&self, how: Shutdown) -> Result<()> {
        match self.server.lock().await.take() {
            Some(server) => Ok(server.stop(how).await?),
            None => Ok(()),
        }
    }

    /// Starts the stopped server; its urls stay the same.
    pub(super) async fn start_again(&self) -> Result<()> {
        let mut server = self.server.lock().await;
        anyhow::ensure!(server.is_none(), "the server runs already");
        *server = Some(start_on(self.copy.state_dir()).await?);
        Ok(())
    }
}

/// Starts a throwaway server on a state folder.
pub(super) async fn start_on(state_dir: &Path) -> Result<EmbeddedPostgres> {
    let options = EmbeddedOptions {
        state_dir: state_dir.to_owned(),
        durability: Durability::Throwaway,
        bin_dir: std::env::var_os("MUSTER_PG_BIN").map(Into::into),
        download: false,
    };
    Ok(EmbeddedPostgres::start(options).await?)
}

/// A thread with a runtime of its own that drops databases: a test's runtime may be gone before its database is.
fn start_dropping(admin_url: SecretString) -> Result<Sender<String>> {
    let (sender, names) = channel::<String>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("drop-test-databases".to_owned()).spawn(move || {
        for name in names {
            let _ = runtime.block_on(async {
                let mut admin = AsyncPgConnection::establish(admin_url.expose_secret()).await?;
                admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
                anyhow::Ok(())
            });
        }
    })?;
    Ok(sender)
}
