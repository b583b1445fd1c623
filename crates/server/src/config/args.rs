//! The flags that several commands share, and how each is read.
//!
//! They are taken as plain text and checked later: an error of the command line parser would stop at the first
//! and show the value, which may be a secret.

use super::{ConfigProblems, PublicUrl, SecretKey, Setting, StateDir, Surroundings, parse_http_addr};
use clap::Args;
use clap::builder::{BoolishValueParser, OsStringValueParser, StringValueParser, TypedValueParser};
use muster_adapters::smtp::SmtpConfig;
use muster_api::DoNotTrack;
use muster_domain::model::address::EmailAddress;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use secrecy::{ExposeSecret, SecretString};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where HTTP is served unless something else is said.
const USUAL_HTTP_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// `--database-url`.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The PostgreSQL to use, for example postgres://muster:secret@db.example.com/muster.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = secret())]
    pub database_url: Option<SecretString>,
}

impl DatabaseArgs {
    /// The URL if one is given.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<SecretString> {
        let url = given(self.database_url.as_ref())?;
        problems.take(Setting::DATABASE_URL, check_database_url(url))
    }

    /// The URL; noted as missing when there is none.
    pub fn required(&self, problems: &mut ConfigProblems) -> Option<SecretString> {
        if given(self.database_url.as_ref()).is_none() {
            problems.note(
                Setting::DATABASE_URL,
                "is missing; name a PostgreSQL, for example \
                 --database-url postgres://postgres@localhost/muster, or try `muster up`, which brings its own",
            );
        }
        self.optional(problems)
    }
}

fn check_database_url(url: &SecretString) -> Result<SecretString, &'static str> {
    let text = url.expose_secret().trim();
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    // libpq's own form, `host=… dbname=…`.
    let is_pairs = !text.contains("://") && text.contains('=');
    if is_url || is_pairs {
        Ok(SecretString::from(text))
    } else {
        Err("is no PostgreSQL address; expected postgres://user:password@host/database")
    }
}

/// `--http-addr`.
#[derive(Debug, Clone, Args)]
pub struct HttpAddrArgs {
    /// Where HTTP is served [default: 127.0.0.1:8080].
    #[arg(long, env = "MUSTER_HTTP_ADDR", value_name = "HOST:PORT")]
    pub http_addr: Option<String>,
}

impl HttpAddrArgs {
    /// The address, or the usual one.
    pub fn resolve(&self, problems: &mut ConfigProblems) -> Option<SocketAddr> {
        match text(self.http_addr.as_ref()) {
            Some(addr) => problems.take(Setting::HTTP_ADDR, parse_http_addr(addr)),
            None => Some(USUAL_HTTP_ADDR),
        }
    }
}

/// `--metrics-addr`.
#[derive(Debug, Clone, Args)]
pub struct MetricsAddrArgs {
    /// Where figures are served for Prometheus [default: nowhere].
    #[arg(long, env = "MUSTER_METRICS_ADDR", value_name = "HOST:PORT")]
    pub metrics_addr: Option<String>,
}

impl MetricsAddrArgs {
    /// The address if one is given.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<SocketAddr> {
        problems.take(Setting::METRICS_ADDR, parse_http_addr(text(self.metrics_addr.as_ref())?))
    }
}

/// `--public-url`.
#[derive(Debug, Clone, Args)]
pub struct PublicUrlArgs {
    /// Where recipients reach Muster: the base of links in mails [default: the HTTP address].
    #[arg(long, env = "MUSTER_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
}

impl PublicUrlArgs {
    /// The address if one is given. Else the caller takes [`PublicUrl::local`] of the address it really listens on.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<PublicUrl> {
        problems.take(Setting::PUBLIC_URL, PublicUrl::parse(text(self.public_url.as_ref())?))
    }
}

/// `--bounce-domain`.
#[derive(Debug, Clone, Args)]
pub struct BounceDomainArgs {
    /// A domain of its own whose mail is piped to Muster: mails come back there [default: to the campaign's sender].
    #[arg(long, env = "MUSTER_BOUNCE_DOMAIN", value_name = "DOMAIN")]
    pub bounce_domain: Option<String>,
}

impl BounceDomainArgs {
    /// The domain if one is given, in lower case.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<String> {
        problems.take(Setting::BOUNCE_DOMAIN, bounce_domain(text(self.bounce_domain.as_ref())?))
    }
}

/// Whether mail can be addressed there, with names of the length that return paths have.
fn bounce_domain(domain: &str) -> Result<String, &'static str> {
    let address = EmailAddress::parse(&format!("{}@{domain}", "x".repeat(64)));
    let address = address.map_err(|_| "is no domain; expected something like bounces.example.com");
    address.map(|address| address.domain()).and_then(|parsed| {
        if parsed.eq_ignore_ascii_case(domain) { Ok(parsed) } else { Err("is an address; expected its domain only") }
    })
}

/// `--event-retention-days`.
#[derive(Debug, Clone, Args)]
pub struct EventRetentionArgs {
    /// After so many days single opens, clicks and reports are deleted; figures stay [default: never].
    #[arg(long, env = "MUSTER_EVENT_RETENTION_DAYS", value_name = "DAYS")]
    pub event_retention_days: Option<String>,
}

impl EventRetentionArgs {
    /// The days if they are given.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<i32> {
        problems.take(Setting::EVENT_RETENTION_DAYS, retention(text(self.event_retention_days.as_ref())?))
    }
}

/// Not less than reports may take to come, and to come again.
fn retention(days: &str) -> Result<i32, &'static str> {
    let days = days.parse().ok().filter(|days| (30..=36_500).contains(days));
    days.ok_or("is no number of days from 30 to 36500; leave it out to keep events for ever")
}

/// `--smtp-url`.
#[derive(Debug, Clone, Args)]
pub struct SmtpArgs {
    /// The mail server: smtp://user:password@host:port (STARTTLS when offered), or smtps://.
    #[arg(long, env = "MUSTER_SMTP_URL", value_name = "URL", hide_env_values = true, value_parser = secret())]
    pub smtp_url: Option<SecretString>,
}

impl SmtpArgs {
    /// The server if one is given.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<SmtpConfig> {
        let url = SecretString::from(given(self.smtp_url.as_ref())?.expose_secret().trim());
        problems.take(Setting::SMTP_URL, SmtpConfig::parse(&url))
    }

    /// The server; noted as missing when there is none.
    pub fn required(&self, problems: &mut ConfigProblems) -> Option<SmtpConfig> {
        if given(self.smtp_url.as_ref()).is_none() {
            problems.note(
                Setting::SMTP_URL,
                "is missing; name a mail server, for example --smtp-url smtp://user:password@mail.example.com:587, \
                 or try `muster up`, which brings a mail catcher",
            );
        }
        self.optional(problems)
    }
}

/// `--secret-key`.
#[derive(Debug, Clone, Args)]
pub struct SecretKeyArgs {
    /// The key that signs links, 64 hex digits, the same for all processes; better given by the variable.
    #[arg(long, env = "MUSTER_SECRET_KEY", value_name = "HEX", hide_env_values = true, value_parser = secret())]
    pub secret_key: Option<SecretString>,
    /// Keys that signed links before, separated by commas: what they signed is still understood.
    #[arg(long, env = "MUSTER_SECRET_KEY_PREVIOUS", value_name = "HEX,…", hide_env_values = true, value_parser = secret())]
    pub secret_key_previous: Option<SecretString>,
}

impl SecretKeyArgs {
    /// The key if one is given.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<SecretKey> {
        problems.take(Setting::SECRET_KEY, SecretKey::parse(given(self.secret_key.as_ref())?))
    }

    /// The keys that were in use before, the latest first.
    pub fn previous(&self, problems: &mut ConfigProblems) -> Vec<SecretKey> {
        let Some(keys) = given(self.secret_key_previous.as_ref()) else { return Vec::new() };
        let keys = keys.expose_secret().split(',').map(|key| SecretKey::parse(&key.to_owned().into()));
        problems.take(Setting::SECRET_KEY_PREVIOUS, keys.collect()).unwrap_or_default()
    }

    /// The key; noted as missing when there is none.
    pub fn required(&self, problems: &mut ConfigProblems) -> Option<SecretKey> {
        if given(self.secret_key.as_ref()).is_none() {
            problems.note(
                Setting::SECRET_KEY,
                "is missing; make one once, keep it, and give it to every process: \
                 export MUSTER_SECRET_KEY=$(openssl rand -hex 32)",
            );
        }
        self.optional(problems)
    }
}

/// `--require-postal-address`.
#[derive(Debug, Clone, Args)]
pub struct LaunchArgs {
    /// Launch no campaign without a postal address for the footer of its mails; most laws ask for one.
    #[arg(long, env = "MUSTER_REQUIRE_POSTAL_ADDRESS", value_name = "YES", value_parser = BoolishValueParser::new(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub require_postal_address: bool,
}

impl LaunchArgs {
    /// What to do with campaigns without one.
    pub fn postal_address(&self) -> PostalAddressRule {
        if self.require_postal_address { PostalAddressRule::Required } else { PostalAddressRule::Recommended }
    }
}

/// `--ignore-do-not-track`.
#[derive(Debug, Clone, Args)]
pub struct TrackingArgs {
    /// Count the opens and clicks of people, too, whose browsers ask not to follow them (`Sec-GPC: 1`, `DNT: 1`).
    #[arg(long, env = "MUSTER_IGNORE_DO_NOT_TRACK", value_name = "YES", value_parser = BoolishValueParser::new(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub ignore_do_not_track: bool,
}

impl TrackingArgs {
    /// What to do with these.
    pub fn do_not_track(&self) -> DoNotTrack {
        if self.ignore_do_not_track { DoNotTrack::Ignored } else { DoNotTrack::Respected }
    }
}

/// `--state-dir`.
#[derive(Debug, Clone, Args)]
pub struct StateDirArgs {
    /// What must outlive a process; may be shared [default: ~/.local/state/muster, as root /var/lib/muster].
    #[arg(long, env = "MUSTER_STATE_DIR", value_name = "DIR", value_parser = OsStringValueParser::new())]
    pub state_dir: Option<OsString>,
}

impl StateDirArgs {
    /// The folder named, or the user's own. It is not made yet.
    pub fn resolve(&self, problems: &mut ConfigProblems, surroundings: &Surroundings) -> Option<StateDir> {
        problems.take(Setting::STATE_DIR, StateDir::resolve(self.state_dir.as_deref(), surroundings))
    }
}

/// `--pg-bin`.
#[derive(Debug, Clone, Args)]
pub struct PgBinArgs {
    /// The folder with initdb and postgres, for the embedded database [default: searched for].
    #[arg(long, env = "MUSTER_PG_BIN", value_name = "DIR", value_parser = OsStringValueParser::new())]
    pub pg_bin: Option<OsString>,
}

impl PgBinArgs {
    /// The folder if one is named.
    pub fn optional(&self, problems: &mut ConfigProblems) -> Option<PathBuf> {
        let dir = PathBuf::from(self.pg_bin.as_ref().filter(|dir| !dir.is_empty())?);
        if !dir.join("initdb").is_file() || !dir.join("postgres").is_file() {
            problems.note(Setting::PG_BIN, format_args!("there is no initdb or no postgres in {}", dir.display()));
            return None;
        }
        Some(dir)
    }
}

/// Takes a secret off the command line without it ever being shown again.
fn secret() -> impl TypedValueParser<Value = SecretString> {
    StringValueParser::new().map(SecretString::from)
}

/// A variable that is set to nothing is not set.
fn given(value: Option<&SecretString>) -> Option<&SecretString> {
    value.filter(|text| !text.expose_secret().trim().is_empty())
}

fn text(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}
