//! SQL beside the code under test, as the superuser.

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// A connection of the benchmark's own.
pub(crate) struct Database {
    pub(crate) url: SecretString,
    client: Client,
}

/// Connects; the connection ends with the client.
pub(crate) async fn connect(url: &SecretString) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url.expose_secret(), NoTls).await.context("the database does not answer")?;
    tokio::spawn(connection);
    Ok(client)
}

impl Database {
    pub(crate) async fn open(url: SecretString) -> Result<Self> {
        let client = connect(&url).await?;
        Ok(Self { url, client })
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// One statement, and how many rows it changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.client.execute(sql, params).await.with_context(|| sql.to_owned())
    }

    /// One number, whatever its type.
    pub(crate) async fn number(&self, expression: &str) -> Result<f64> {
        let sql = format!("SELECT ({expression})::float8");
        Ok(self.client.query_one(&sql, &[]).await.with_context(|| sql.clone())?.get(0))
    }

    /// One text.
    pub(crate) async fn text(&self, expression: &str) -> Result<String> {
        let sql = format!("SELECT ({expression})::text");
        Ok(self.client.query_one(&sql, &[]).await.with_context(|| sql.clone())?.get(0))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}
