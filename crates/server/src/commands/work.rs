//! `muster work`: walks contacts through campaigns and sends.

use crate::config::{
    BounceDomainArgs, ConfigProblems, DatabaseArgs, EventRetentionArgs, HttpAddrArgs, LaunchArgs, MetricsAddrArgs,
    PublicUrl, PublicUrlArgs, SecretKey, SecretKeyArgs, SmtpArgs, StateDir, StateDirArgs, Surroundings,
};
use crate::running::engine::Engine;
use crate::running::{WORKER_POOL, database, figures_server, signals};
use crate::wiring::WorkerSettings;
use anyhow::Context;
use clap::Args;
use muster_adapters::postgres::PgStore;
use muster_adapters::smtp::SmtpConfig;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Walk contacts through campaigns and send mail.
///
/// As many as you like may share one database, and one state folder on each machine; they share the work without
/// being told of each other. It listens on no port, unless one is named for its figures.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  export MUSTER_SECRET_KEY=…   # the one of `muster serve`\n  \
    muster work --database-url postgres://postgres@localhost/muster --smtp-url smtp://127.0.0.1:2525")]
pub struct WorkArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where `muster serve` listens: the default base of links follows it.
    #[command(flatten)]
    pub http: HttpAddrArgs,
    /// Where its figures are served.
    #[command(flatten)]
    pub metrics: MetricsAddrArgs,
    /// The base of links.
    #[command(flatten)]
    pub public: PublicUrlArgs,
    /// The mail server.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// Where mails come back.
    #[command(flatten)]
    pub bounces: BounceDomainArgs,
    /// The key that signs links.
    #[command(flatten)]
    pub secret: SecretKeyArgs,
    /// What a launch needs.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// How long events are kept.
    #[command(flatten)]
    pub retention: EventRetentionArgs,
    /// Where journals are kept.
    #[command(flatten)]
    pub state: StateDirArgs,
}

/// What `work` works with.
#[derive(Debug)]
pub struct WorkConfig {
    /// The database.
    pub database_url: SecretString,
    /// Where its figures are served, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// The base of links.
    pub public_url: PublicUrl,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// Where mails come back, if not to the campaign's sender.
    pub bounce_domain: Option<String>,
    /// The key that signs links.
    pub secret_key: SecretKey,
    /// Keys that were in use before.
    pub previous_keys: Vec<SecretKey>,
    /// Where journals are kept.
    pub state_dir: StateDir,
    /// For how many days single events are kept, if not for ever.
    pub keep_events: Option<i32>,
}

impl WorkArgs {
    /// Checks every setting.
    ///
    /// # Errors
    /// All that is wrong at once.
    pub fn resolve(&self, surroundings: &Surroundings) -> Result<WorkConfig, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let database_url = self.database.required(&mut problems);
        let http_addr = self.http.resolve(&mut problems);
        let metrics_addr = self.metrics.optional(&mut problems);
        let named = self.public.optional(&mut problems);
        let public_url = named.or_else(|| PublicUrl::local(http_addr?).ok());
        let smtp = self.smtp.required(&mut problems);
        let bounce_domain = self.bounces.optional(&mut problems);
        let secret_key = self.secret.required(&mut problems);
        let previous_keys = self.secret.previous(&mut problems);
        let keep_events = self.retention.optional(&mut problems);
        let state_dir = self.state.resolve(&mut problems, surroundings);
        let config = database_url.zip(public_url).zip(smtp).zip(secret_key).zip(state_dir);
        problems.finish(config.map(|((((database_url, public_url), smtp), secret_key), state_dir)| WorkConfig {
            database_url,
            metrics_addr,
            public_url,
            smtp,
            bounce_domain,
            secret_key,
            previous_keys,
            state_dir,
            keep_events,
        }))
    }
}

/// Works until told to stop; waits for the database until it is there and migrated.
///
/// # Errors
/// When the state folder cannot be used, or the address for figures cannot be listened on.
pub async fn run(args: &WorkArgs) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings::of_this_process();
    let config = args.resolve(&surroundings)?;
    let stop = signals::stop_on_signal()?;
    config.public_url.warn();
    let folder = config.state_dir.path();
    config.state_dir.create(&surroundings).with_context(|| format!("cannot make {}", folder.display()))?;
    // Before anything is counted, and while the database is still waited for: it tells that the process lives.
    config.metrics_addr.map(figures_server::start).transpose()?;
    let store = PgStore::new(&config.database_url, WORKER_POOL)?;
    if !database::wait_until_ready(&store, &stop).await {
        return Ok(ExitCode::SUCCESS);
    }
    let starting = Engine::start(WorkerSettings {
        store,
        secret: config.secret_key.to_secret(),
        previous_secrets: config.previous_keys.iter().map(SecretKey::to_secret).collect(),
        public_url: config.public_url.to_string(),
        bounce_domain: config.bounce_domain,
        smtp: config.smtp,
        state_dir: folder.to_owned(),
        postal_address: args.launch.postal_address(),
        keep_events: config.keep_events,
    });
    let Some(engine) = stop.run_until_cancelled(starting).await else { return Ok(ExitCode::SUCCESS) };
    let mut engine = engine?;
    tracing::info!(target: "muster", "working");
    tokio::select! {
        () = stop.cancelled() => {}
        error = engine.ended() => return Err(error),
    }
    engine.stop().await;
    Ok(ExitCode::SUCCESS)
}
