//! `muster keys create`: makes an API key.

use crate::config::{ConfigProblems, DatabaseArgs};
use crate::output::say;
use crate::running::{API_POOL, kept_key};
use clap::{Args, Subcommand};
use muster_adapters::postgres::PgStore;
use muster_domain::model::principal::Scope;
use muster_domain::ports::readiness::{NotReady, Readiness};
use secrecy::{ExposeSecret, SecretString};
use std::process::ExitCode;

/// Make API keys.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a comment here would hide the help text that stands on the arguments' struct")]
pub enum KeysCommand {
    Create(CreateKeyArgs),
}

/// Make a key and print it, alone, on standard output. It is shown this once.
///
/// The tenant and the workspace are made if they are not there.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    KEY=$(muster keys create --tenant acme --workspace main --scopes campaigns:read,audience:read)")]
pub struct CreateKeyArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Whose key it is.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub tenant: String,
    /// The workspace it opens.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub workspace: String,
    /// What it may do, repeated or with commas between [default: everything].
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scope)]
    pub scopes: Vec<Scope>,
}

/// What `keys create` works with.
#[derive(Debug)]
pub struct CreateKeyConfig {
    /// The database.
    pub database_url: SecretString,
    /// Whose key it is.
    pub tenant: String,
    /// The workspace it opens.
    pub workspace: String,
    /// What it may do, each once, in the order of the documentation.
    pub scopes: Vec<Scope>,
}

impl CreateKeyArgs {
    /// Checks every setting.
    ///
    /// # Errors
    /// When no database is named.
    pub fn resolve(&self) -> Result<CreateKeyConfig, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let database_url = self.database.required(&mut problems);
        let asked = |scope: &Scope| self.scopes.is_empty() || self.scopes.contains(scope);
        problems.finish(database_url.map(|database_url| CreateKeyConfig {
            database_url,
            tenant: self.tenant.clone(),
            workspace: self.workspace.clone(),
            scopes: Scope::ALL.into_iter().filter(asked).collect(),
        }))
    }
}

/// Does what is asked for.
///
/// # Errors
/// When the database cannot be reached or is not migrated.
pub async fn run(args: &KeysArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        KeysCommand::Create(args) => create(args.resolve()?).await,
    }
}

async fn create(config: CreateKeyConfig) -> anyhow::Result<ExitCode> {
    let store = PgStore::new(&config.database_url, API_POOL)?;
    match store.check().await {
        Ok(()) => {}
        Err(reason @ NotReady::DatabaseUnreachable) => anyhow::bail!("no key was made: {reason}"),
        Err(reason @ NotReady::MigrationsMissing { .. }) => {
            anyhow::bail!("no key was made: {reason}; bring the database up to date with: muster migrate")
        }
    }
    let key = kept_key::make(&store, &config.tenant, &config.workspace, "muster keys create", &config.scopes).await?;
    say(key.expose_secret());
    Ok(ExitCode::SUCCESS)
}

/// A tenant's or workspace's name: 1 to 100 characters that can be printed.
fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or("a name has 1 to 100 characters and no control characters")
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::parse(text.trim()).ok_or_else(|| format!("scopes are {}", known()))
}
