//! `muster serve`: answers HTTP.

use crate::config::{
    ConfigProblems, DatabaseArgs, HttpAddrArgs, LaunchArgs, PublicUrl, PublicUrlArgs, SecretKey, SecretKeyArgs,
    Setting, SmtpArgs, TrackingArgs,
};
use crate::listening::listen;
use crate::running::api_server::ApiServer;
use crate::running::{API_POOL, database, signals};
use crate::wiring::{ApiSettings, test_transport};
use clap::Args;
use muster_adapters::postgres::PgStore;
use muster_adapters::smtp::SmtpConfig;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Answer HTTP: the REST API, links in mails, health and metrics.
///
/// As many as you like may share one database. They send nothing but test mails; `muster work` does the sending.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  export MUSTER_SECRET_KEY=$(openssl rand -hex 32)\n  \
    muster serve --database-url postgres://postgres@localhost/muster --http-addr 127.0.0.1:8080")]
pub struct ServeArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where to listen.
    #[command(flatten)]
    pub http: HttpAddrArgs,
    /// The base of links.
    #[command(flatten)]
    pub public: PublicUrlArgs,
    /// The mail server for test mails.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// The key that signs links.
    #[command(flatten)]
    pub secret: SecretKeyArgs,
    /// What a launch needs.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// What is stored of visitors.
    #[command(flatten)]
    pub tracking: TrackingArgs,
}

/// What `serve` works with.
#[derive(Debug)]
pub struct ServeConfig {
    /// The database.
    pub database_url: SecretString,
    /// Where to listen.
    pub http_addr: SocketAddr,
    /// The base of links, if named; else the address that is really listened on.
    pub public_url: Option<PublicUrl>,
    /// The mail server for test mails; without one they are refused.
    pub smtp: Option<SmtpConfig>,
    /// The key that signs links.
    pub secret_key: SecretKey,
    /// Keys that were in use before.
    pub previous_keys: Vec<SecretKey>,
}

impl ServeArgs {
    /// Checks every setting.
    ///
    /// # Errors
    /// All that is wrong at once.
    pub fn resolve(&self) -> Result<ServeConfig, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let database_url = self.database.required(&mut problems);
        let http_addr = self.http.resolve(&mut problems);
        let public_url = self.public.optional(&mut problems);
        let smtp = self.smtp.optional(&mut problems);
        let secret_key = self.secret.required(&mut problems);
        let previous_keys = self.secret.previous(&mut problems);
        let config = database_url.zip(http_addr).zip(secret_key);
        problems.finish(config.map(|((database_url, http_addr), secret_key)| ServeConfig {
            database_url,
            http_addr,
            public_url,
            smtp,
            secret_key,
            previous_keys,
        }))
    }
}

/// Serves until told to stop. The port is open at once; until the database is there and migrated, requests are
/// answered with 503.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.resolve()?;
    let stop = signals::stop_on_signal()?;
    let (listener, address) = listen(config.http_addr, Setting::HTTP_ADDR)?;
    let local = PublicUrl::local(address)?;
    let public_url = config.public_url.unwrap_or_else(|| local.clone());
    public_url.warn();
    let store = PgStore::new(&config.database_url, API_POOL)?;
    let settings = ApiSettings {
        store: store.clone(),
        secret: config.secret_key.to_secret(),
        previous_secrets: config.previous_keys.iter().map(SecretKey::to_secret).collect(),
        public_url: public_url.to_string(),
        transport: config.smtp.map(test_transport).transpose()?,
        postal_address: args.launch.postal_address(),
        do_not_track: args.tracking.do_not_track(),
    };
    let mut server = ApiServer::start(listener, settings)?;
    tracing::info!(target: "muster", "serving {local}/api, documented at {local}/docs");
    tokio::select! {
        () = database::watch(&store, &stop) => {}
        error = server.ended() => return Err(error),
    }
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}
