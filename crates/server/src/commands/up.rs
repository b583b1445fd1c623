//! `muster up`: everything in one process, for development and for a first look.

use crate::config::{
    BounceDomainArgs, ConfigProblems, DatabaseArgs, EventRetentionArgs, HttpAddrArgs, LaunchArgs, PgBinArgs, PublicUrl,
    PublicUrlArgs, SecretKey, SecretKeyArgs, Setting, SmtpArgs, StateDir, StateDirArgs, Surroundings, TrackingArgs,
};
use crate::listening::listen;
use crate::output::say;
use crate::running::mail::Mail;
use crate::running::private_database::PrivateDatabase;
use crate::running::whole::{Whole, WholeSettings};
use crate::running::{database, kept_key, signals, welcome::Welcome};
use anyhow::Context;
use clap::Args;
use muster_adapters::embedded::Durability;
use muster_adapters::postgres::{self, TimeLapseError};
use muster_adapters::smtp::SmtpConfig;
use muster_api::DoNotTrack;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use secrecy::{ExposeSecret, SecretString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Run everything in one process: database, migrations, API, worker and a mail catcher.
///
/// It prints the address, an API key, and three commands to paste. What is not given it brings itself: a private
/// PostgreSQL over installed programs, a catcher for the mail, a secret key. Ctrl-C stops it; data is kept in the
/// state folder.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muster up\n  muster up --time-lapse 86400   # a day of every campaign in a second"
)]
pub struct UpArgs {
    /// How much faster campaign time runs than real time, 1 to 1000000, in a database made for it.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub time_lapse: Option<f64>,
    /// The database, instead of the embedded one.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where to listen.
    #[command(flatten)]
    pub http: HttpAddrArgs,
    /// The base of links.
    #[command(flatten)]
    pub public: PublicUrlArgs,
    /// The mail server, instead of the catcher.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// Where mails come back.
    #[command(flatten)]
    pub bounces: BounceDomainArgs,
    /// The key, instead of the state folder's own.
    #[command(flatten)]
    pub secret: SecretKeyArgs,
    /// What a launch needs.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// How long events are kept.
    #[command(flatten)]
    pub retention: EventRetentionArgs,
    /// What is stored of visitors.
    #[command(flatten)]
    pub tracking: TrackingArgs,
    /// Where everything is kept.
    #[command(flatten)]
    pub state: StateDirArgs,
    /// PostgreSQL's programs.
    #[command(flatten)]
    pub pg_bin: PgBinArgs,
}

/// What `up` works with.
#[derive(Debug)]
pub struct UpConfig {
    /// How much faster campaign time runs.
    pub time_lapse: Option<f64>,
    /// The database; without one the embedded one is started.
    pub database_url: Option<SecretString>,
    /// Where to listen.
    pub http_addr: SocketAddr,
    /// The base of links, if named; else the address that is really listened on.
    pub public_url: Option<PublicUrl>,
    /// The mail server; without one mail is caught.
    pub smtp: Option<SmtpConfig>,
    /// Where mails come back, if not to the campaign's sender.
    pub bounce_domain: Option<String>,
    /// The key; without one the state folder's own, see [`SecretKey::load_or_create`].
    pub secret_key: Option<SecretKey>,
    /// Keys that were in use before.
    pub previous_keys: Vec<SecretKey>,
    /// Where everything is kept.
    pub state_dir: StateDir,
    /// PostgreSQL's programs, if named.
    pub pg_bin: Option<PathBuf>,
    /// What to do with campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// For how many days single events are kept, if not for ever.
    pub keep_events: Option<i32>,
    /// What to do with visitors who ask not to be followed.
    pub do_not_track: DoNotTrack,
}

impl UpArgs {
    /// Checks every setting.
    ///
    /// # Errors
    /// All that is wrong at once.
    pub fn resolve(&self, surroundings: &Surroundings) -> Result<UpConfig, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let database_url = self.database.optional(&mut problems);
        let http_addr = self.http.resolve(&mut problems);
        let public_url = self.public.optional(&mut problems);
        let smtp = self.smtp.optional(&mut problems);
        let bounce_domain = self.bounces.optional(&mut problems);
        let secret_key = self.secret.optional(&mut problems);
        let previous_keys = self.secret.previous(&mut problems);
        let state_dir = self.state.resolve(&mut problems, surroundings);
        let pg_bin = self.pg_bin.optional(&mut problems);
        let keep_events = self.retention.optional(&mut problems);
        problems.finish(http_addr.zip(state_dir).map(|(http_addr, state_dir)| UpConfig {
            time_lapse: self.time_lapse,
            database_url,
            http_addr,
            public_url,
            smtp,
            bounce_domain,
            secret_key,
            previous_keys,
            state_dir,
            pg_bin,
            postal_address: self.launch.postal_address(),
            keep_events,
            do_not_track: self.tracking.do_not_track(),
        }))
    }
}

fn factor(text: &str) -> Result<f64, &'static str> {
    let factor = text.trim().parse::<f64>().ok().filter(|factor| (1.0..=1e6).contains(factor));
    factor.ok_or("the factor is a number from 1 to 1000000")
}

/// Where mail is caught, and where it can be seen, while these ports are free.
const CATCHER_PORTS: (u16, u16) = (2525, 8025);

/// Whose key is shown.
const WORKSPACE: (&str, &str) = ("demo", "main");

/// Runs until told to stop.
///
/// # Errors
/// What is in the way, and what to do about it.
pub async fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings::of_this_process();
    let config = args.resolve(&surroundings)?;
    let stop = signals::stop_on_signal()?;
    let folder = config.state_dir.path();
    config.state_dir.create(&surroundings).with_context(|| format!("cannot make {}", folder.display()))?;
    if let Some(url) = &config.database_url {
        up(&config, url, "given by DATABASE_URL", &stop).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let pg_bin = config.pg_bin.as_deref();
    let mut database = PrivateDatabase::start(folder, Durability::Durable, pg_bin).await?;
    let url = database.url().clone();
    let place = format!("private, in {}", database.folder().display());
    let outcome = tokio::select! {
        outcome = up(&config, &url, &place, &stop) => outcome,
        error = database.look_after() => Err(error),
    };
    database.stop().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Everything but the database's server.
async fn up(config: &UpConfig, url: &SecretString, database: &str, stop: &CancellationToken) -> anyhow::Result<()> {
    if database::migrate_when_there(url, stop).await?.is_none() {
        return Ok(());
    }
    let lapse = time_lapse(url, config.time_lapse).await?;
    let (listener, address) = listen(config.http_addr, Setting::HTTP_ADDR)?;
    let local = PublicUrl::local(address)?;
    let public_url = config.public_url.clone().unwrap_or_else(|| local.clone());
    let (smtp_port, page_port) = CATCHER_PORTS;
    let mail = Mail::choose(config.smtp.clone(), smtp_port, page_port).await?;
    if mail.catcher().is_none() {
        public_url.warn();
    }
    let folder = config.state_dir.path();
    let secret_key = match &config.secret_key {
        Some(key) => key.clone(),
        None => SecretKey::load_or_create(folder)?,
    };
    let mut whole = Whole::start(WholeSettings {
        database_url: url,
        listener,
        public_url: &public_url,
        secret_key: &secret_key,
        bounce_domain: config.bounce_domain.clone(),
        previous_keys: &config.previous_keys,
        smtp: mail.config()?,
        state_dir: folder,
        postal_address: config.postal_address,
        keep_events: config.keep_events,
        do_not_track: config.do_not_track,
    })
    .await?;
    let key = kept_key::kept_or_made(folder, local.as_str(), whole.store(), WORKSPACE).await?;
    say(Welcome { base: local.as_str(), key: key.expose_secret(), mail: &mail, database, lapse });
    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        error = whole.ended() => Err(error),
    };
    whole.stop().await;
    mail.stop().await;
    outcome
}

/// Sets business time as asked for; tells how it runs.
async fn time_lapse(url: &SecretString, asked: Option<f64>) -> anyhow::Result<Option<f64>> {
    let factor = match asked {
        Some(factor) => Some(factor),
        None => postgres::time_in_use(url).await?.factor,
    };
    if let Some(factor) = factor {
        postgres::begin_time_lapse(url, factor).await.map_err(|error| match error {
            TimeLapseError::InUse => anyhow::anyhow!(
                "{error}; --time-lapse needs a database made for it: name a new folder with --state-dir (MUSTER_STATE_DIR)"
            ),
            other => other.into(),
        })?;
    }
    Ok(factor)
}
