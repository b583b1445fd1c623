//! The demonstration: everything Muster is for, end to end, on a machine where nothing is prepared.
//!
//! What it shows it does as a client would, over HTTP; only the key to begin with is made beside the API, as `muster
//! keys create` does.

mod books;
mod client;
mod drip;
mod import;
mod story;
mod verify;
mod watch;

use crate::catcher::Catcher;
use crate::commands::demo::DemoConfig;
use crate::config::{PublicUrl, SecretKey, Setting};
use crate::listening::listen;
use crate::output::say;
use crate::running::mail::Mail;
use crate::running::private_database::PrivateDatabase;
use crate::running::whole::{Whole, WholeSettings};
use crate::running::{database, kept_key};
use anyhow::Context;
use chrono::TimeDelta;
use client::Client;
use muster_adapters::embedded::Durability;
use muster_adapters::postgres::{TimeLapseError, begin_time_lapse, time_in_use};
use muster_api::DoNotTrack;
use muster_domain::model::principal::Scope;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use rand::RngCore;
use secrecy::SecretString;
use std::fs::Permissions;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use story::Outcome;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How much faster than the clock campaign time runs: two days a second.
const FACTOR: f64 = 172_800.0;

/// The demonstration, about to run.
pub struct Demo<'a> {
    config: &'a DemoConfig,
}

impl<'a> Demo<'a> {
    /// With these settings.
    pub fn new(config: &'a DemoConfig) -> Self {
        Self { config }
    }

    /// Runs it. Tells whether the books balance and every mail came as it should; `None` when `stop` came first.
    ///
    /// # Errors
    /// When something could not be done at all.
    pub async fn run(&self, stop: &CancellationToken) -> anyhow::Result<Option<bool>> {
        let folder = throwaway_folder()?;
        let Some(url) = &self.config.database_url else {
            let started = PrivateDatabase::start(folder.path(), Durability::Throwaway, self.config.pg_bin.as_deref());
            let Some(database) = stop.run_until_cancelled(started).await.transpose()? else { return Ok(None) };
            let place = database.folder().to_owned();
            let outcome = self.on(&database.url().clone(), folder.path(), stop).await;
            database.stop().await?;
            // Elsewhere than asked for when the server may not enter the folder.
            if place != folder.path() && place.exists() {
                std::fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
            }
            return outcome;
        };
        refuse_if_in_use(url).await?;
        self.on(url, folder.path(), stop).await
    }

    async fn on(&self, url: &SecretString, folder: &Path, stop: &CancellationToken) -> anyhow::Result<Option<bool>> {
        if database::migrate_when_there(url, stop).await?.is_none() {
            return Ok(None);
        }
        begin_time_lapse(url, FACTOR).await?;
        let (listener, address) = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Setting::HTTP_ADDR)?;
        let public_url = PublicUrl::local(address)?;
        let mail = Mail::choose(self.config.smtp.clone(), 0, 0).await?;
        let whole = Whole::start(WholeSettings {
            database_url: url,
            listener,
            public_url: &public_url,
            secret_key: &SecretKey::generate(),
            bounce_domain: None,
            keep_events: None,
            do_not_track: DoNotTrack::default(),
            previous_keys: &[],
            smtp: mail.config()?,
            state_dir: folder,
            postal_address: PostalAddressRule::Required,
        })
        .await?;
        let outcome = {
            let story = self.tell(public_url.as_str(), &whole, &mail);
            tokio::select! {
                outcome = story => outcome.map(Some),
                () = stop.cancelled() => Ok(None),
            }
        };
        whole.stop().await;
        mail.stop().await;
        outcome
    }

    async fn tell(&self, base: &str, whole: &Whole, mail: &Mail) -> anyhow::Result<bool> {
        say(format_args!("API on {base}/api"));
        match mail {
            Mail::Caught(catcher) => say(format_args!("mail is caught on http://{}", catcher.http_addr())),
            Mail::Out(config) => say(format_args!("mail goes out through {}:{}", config.host, config.port)),
        }
        say(format_args!("two days of campaign time pass in a second\n"));
        let workspace = format!("demo-{:08x}", rand::rng().next_u32());
        let key = kept_key::make(whole.store(), "demo", &workspace, "muster demo", &Scope::ALL).await?;
        let client = Client::new(base, key)?;
        let outcome = story::tell(&client, self.config.csv.as_deref(), mail.catcher()).await?;
        Ok(conclude(&outcome, mail.catcher()))
    }
}

/// A demo makes time run fast, which must happen to nobody who does not expect it.
async fn refuse_if_in_use(url: &SecretString) -> anyhow::Result<()> {
    match time_in_use(url).await {
        Ok(found) if found.has_tenants && found.factor.is_none() => anyhow::bail!(
            "the database given by DATABASE_URL is in use, and a demo makes its time run fast: \
             name an empty one, or none at all for a throwaway one"
        ),
        // Before the first migration there is nothing to ask.
        Ok(_) | Err(TimeLapseError::Failed(_) | TimeLapseError::InUse) => Ok(()),
        Err(error @ TimeLapseError::Unreachable(_)) => Err(error).context("the database given by DATABASE_URL"),
    }
}

/// Says how it ended; the last line is about the books.
fn conclude(outcome: &Outcome, catcher: Option<&Catcher>) -> bool {
    let Outcome { books, wrong, caught, real, business } = outcome;
    if io::stdout().is_terminal() {
        // The last bar has no end of line.
        say("");
    }
    say(format_args!("\n{books}"));
    match caught {
        Some(caught) if wrong.is_empty() => say(caught),
        Some(_) => {}
        None => say("mail went to a real server: what arrived there was not looked at"),
    }
    if catcher.is_none() && !wrong.is_empty() {
        say("not everything went as it should");
    }
    let business = business.map(|span| format!("{} of campaign time in ", days(span))).unwrap_or_default();
    say(format_args!("{business}{:.1} s by the clock", real.as_secs_f64()));
    for what in wrong {
        say(format_args!("✗ {what}"));
    }
    let balanced = books.balance() && wrong.is_empty();
    say(if balanced { "The books balance." } else { "The books do not balance." });
    balanced
}

fn days(span: TimeDelta) -> String {
    format!("{} days and {} hours", span.num_days(), span.num_hours() % 24)
}

/// A folder that goes when it is dropped, and that the database server's user may enter.
fn throwaway_folder() -> anyhow::Result<TempDir> {
    let open = Permissions::from_mode(0o711);
    tempfile::Builder::new().prefix("muster-demo-").permissions(open).tempdir().context("no folder can be made")
}
