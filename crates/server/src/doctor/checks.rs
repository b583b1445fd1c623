//! The checks, each by itself; those that wait for a network run at the same time.

use super::report::{Check, Report, Verdict};
use crate::commands::doctor::DoctorArgs;
use crate::config::{ConfigProblems, PublicUrl, Surroundings, unknown_variables};
use crate::listening;
use muster_adapters::embedded::installed_major;
use muster_adapters::postgres::recount::recount;
use muster_adapters::postgres::{MigrateError, foreign_messages, pending_migrations};
use muster_adapters::smtp::{SmtpConfig, SmtpTransport};
use muster_domain::ports::transport::MailTransport;
use secrecy::SecretString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const DATABASE: &str = "Database";
const MIGRATIONS: &str = "Migrations";
const MESSAGES: &str = "Messages";
const FIGURES: &str = "Figures";
const MAIL: &str = "Mail server";
const STATE: &str = "State folder";
const KEY: &str = "Secret key";
const HTTP: &str = "HTTP address";
const LINKS: &str = "Public address";
const PROGRAMS: &str = "PostgreSQL";

/// What to examine.
pub struct Examination<'a> {
    /// The settings as they were given.
    pub args: &'a DoctorArgs,
    /// What defaults depend on.
    pub surroundings: Surroundings,
}

/// Runs every check. It leaves nothing behind, but for the empty list of applied migrations in a new database.
pub async fn examine(examination: Examination<'_>) -> Report {
    let Examination { args, surroundings } = examination;
    let (programs, database, mail, http) = tokio::join!(programs(args), database(args), mail(args), http(args));
    let mut checks = vec![programs];
    checks.extend(database);
    checks.extend([mail, state(args, &surroundings), key(args), http, links(args)]);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    checks.extend(
        unknown_variables(names)
            .into_iter()
            .map(|unknown| Check::doubtful("Environment", unknown.to_string(), format!("unset {}", unknown.name))),
    );
    Report(checks)
}

/// Reads a setting by the same rule as the commands do: the value, or what is wrong with it.
fn setting<T>(read: impl FnOnce(&mut ConfigProblems) -> Option<T>) -> Result<Option<T>, String> {
    let mut problems = ConfigProblems::default();
    let value = read(&mut problems);
    match problems.finish(Some(())) {
        Ok(()) => Ok(value),
        Err(problems) => Err(problems.reasons().join("; ")),
    }
}

async fn programs(args: &DoctorArgs) -> Check {
    let bin = match setting(|problems| args.pg_bin.optional(problems)) {
        Ok(bin) => bin,
        Err(reason) => return Check::bad(PROGRAMS, reason, "unset MUSTER_PG_BIN"),
    };
    let own_database = matches!(setting(|problems| args.database.optional(problems)), Ok(Some(_)));
    match tokio::task::spawn_blocking(move || installed_major(bin)).await {
        Ok(Some(major)) => Check::good(PROGRAMS, format!("version {major} is installed")),
        _ if own_database => Check::optional(PROGRAMS, "not installed; not needed with a database named", INSTALL),
        _ => Check::bad(PROGRAMS, "not installed; `up` and `demo` would have to download it", INSTALL),
    }
}

const INSTALL: &str =
    if cfg!(target_os = "macos") { "brew install postgresql" } else { "apt-get install -y postgresql" };

async fn database(args: &DoctorArgs) -> Vec<Check> {
    let mend = "export DATABASE_URL=postgres://user:password@host/database";
    let url = match setting(|problems| args.database.optional(problems)) {
        Ok(Some(url)) => url,
        Ok(None) => {
            let found = "not named; `up` and `demo` bring their own, the other commands need one";
            return vec![Check::optional(DATABASE, found, mend)];
        }
        Err(reason) => return vec![Check::bad(DATABASE, reason, mend)],
    };
    let mut checks = reach_database(&url).await;
    if checks.first().is_some_and(|reached| reached.verdict == Verdict::Good) {
        checks.push(messages(&url).await);
    }
    if args.recount && checks.iter().all(|check| check.verdict == Verdict::Good) {
        checks.push(count_again(&url).await);
    }
    checks
}

/// Compares books and figures with the rows.
async fn count_again(url: &SecretString) -> Check {
    match recount(url).await {
        Ok(counted) if counted.differences.is_empty() => {
            let since = counted.since.map_or_else(String::new, |since| {
                format!(
                    "; opens, clicks and reports since {}, single ones before are not kept",
                    since.format("%F %R UTC")
                )
            });
            Check::good(FIGURES, format!("books and figures of {} tenants equal their rows{since}", counted.tenants))
        }
        Ok(counted) => {
            let mend = "keep a copy of the database and report it: the rows are what happened, the figures are wrong";
            Check::bad(FIGURES, format!("differ from the rows: {}", counted.differences.join("; ")), mend)
        }
        Err(error) => Check::bad(FIGURES, format!("cannot be counted: {error}"), "look at the database's log"),
    }
}

async fn reach_database(url: &SecretString) -> Vec<Check> {
    let good = || Check::good(DATABASE, "answers");
    match timeout(PATIENCE, pending_migrations(url)).await {
        Err(_) => vec![Check::bad(DATABASE, "does not answer", "look at its log and at the network between")],
        Ok(Err(error @ MigrateError::Unreachable(_))) => {
            vec![Check::bad(DATABASE, error.to_string(), "start it, or correct DATABASE_URL")]
        }
        Ok(Err(error)) => vec![good(), Check::bad(MIGRATIONS, error.to_string(), "muster migrate")],
        Ok(Ok(pending)) if pending.is_empty() => vec![good(), Check::good(MIGRATIONS, "up to date")],
        Ok(Ok(pending)) => {
            vec![good(), Check::bad(MIGRATIONS, format!("{} to apply", pending.len()), "muster migrate")]
        }
    }
}

/// Outages and conflicts are told from mistakes by what the database says of them.
async fn messages(url: &SecretString) -> Check {
    match timeout(PATIENCE, foreign_messages(url)).await {
        Ok(Ok(None)) => Check::good(MESSAGES, "in English"),
        Ok(Ok(Some(locale))) => {
            let found = format!("in the language of {locale}: an outage of the database would look like a mistake");
            Check::bad(
                MESSAGES,
                found,
                "psql -c \"ALTER SYSTEM SET lc_messages = 'C'\" -c 'SELECT pg_reload_conf()'   # as superuser",
            )
        }
        Ok(Err(error)) => Check::bad(MESSAGES, error.to_string(), "look at the database's log"),
        Err(_) => Check::bad(MESSAGES, "the database does not answer", "look at its log and at the network between"),
    }
}

async fn mail(args: &DoctorArgs) -> Check {
    let mend = "export MUSTER_SMTP_URL=smtp://user:password@host:587";
    match setting(|problems| args.smtp.optional(problems)) {
        Ok(Some(config)) => reach_mail(config).await,
        Ok(None) => Check::optional(MAIL, "not named; `up` and `demo` catch mail themselves, `work` needs one", mend),
        Err(reason) => Check::bad(MAIL, reason, mend),
    }
}

/// Goes as far as a session that could send: greeting, encryption, credentials.
async fn reach_mail(config: SmtpConfig) -> Check {
    let transport = match SmtpTransport::new(config) {
        Ok(transport) => transport,
        Err(error) => return Check::bad(MAIL, error.to_string(), "correct MUSTER_SMTP_URL"),
    };
    let check = match timeout(PATIENCE, transport.session()).await {
        Ok(Ok(_session)) => Check::good(MAIL, "greets and lets us in"),
        Ok(Err(error)) => Check::bad(MAIL, error.to_string(), "start it, or correct MUSTER_SMTP_URL"),
        Err(_) => Check::bad(MAIL, "does not greet", "look at its log and at the network between"),
    };
    transport.close_idle().await;
    check
}

fn state(args: &DoctorArgs, surroundings: &Surroundings) -> Check {
    let dir = match setting(|problems| args.state.resolve(problems, surroundings)) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Check::bad(STATE, "has no place", "export MUSTER_STATE_DIR=/some/folder"),
        Err(reason) => return Check::bad(STATE, reason, "export MUSTER_STATE_DIR=/some/folder"),
    };
    let path = dir.path();
    let there = path.exists();
    // What does not exist yet is made by the commands: then its nearest ancestor has to be writable.
    let nearest = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    match tempfile::Builder::new().prefix(".muster-doctor").tempfile_in(nearest) {
        Ok(_) if there => Check::good(STATE, format!("{} is writable", path.display())),
        Ok(_) => Check::good(STATE, format!("{} is made when it is needed", path.display())),
        Err(error) => {
            let mend = format!("sudo install -d -o \"$USER\" {}", path.display());
            Check::bad(STATE, format!("{} is not writable: {}", path.display(), error.kind()), mend)
        }
    }
}

fn key(args: &DoctorArgs) -> Check {
    let mend = "export MUSTER_SECRET_KEY=$(openssl rand -hex 32)   # once, the same for all";
    match setting(|problems| args.secret.optional(problems)) {
        Ok(Some(_)) => Check::good(KEY, "well-formed"),
        Ok(None) => Check::optional(KEY, "not given; `up` keeps its own, `serve` and `work` need one", mend),
        Err(reason) => Check::bad(KEY, reason, mend),
    }
}

async fn http(args: &DoctorArgs) -> Check {
    let mend = "export MUSTER_HTTP_ADDR=127.0.0.1:8081";
    let addr = match setting(|problems| args.http.resolve(problems)) {
        Ok(Some(addr)) => addr,
        Ok(None) => return Check::bad(HTTP, "has no value", mend),
        Err(reason) => return Check::bad(HTTP, reason, mend),
    };
    match listening::bind(addr) {
        Ok(_) => Check::good(HTTP, format!("{addr} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if is_healthy_server(addr).await {
                Check::good(HTTP, format!("{addr} is served already and healthy"))
            } else {
                Check::bad(HTTP, format!("{addr} is taken by another program"), mend)
            }
        }
        Err(error) => Check::bad(HTTP, format!("{addr} cannot be listened on: {}", error.kind()), mend),
    }
}

/// Whether something at `addr` answers `/healthz` as Muster does.
async fn is_healthy_server(addr: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream
            .write_all(format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        io::Result::Ok(&status == b"HTTP/1.1 200")
    };
    matches!(timeout(PATIENCE, ask).await, Ok(Ok(true)))
}

fn links(args: &DoctorArgs) -> Check {
    let mend = "export MUSTER_PUBLIC_URL=https://mail.example.com";
    let named = match setting(|problems| args.public.optional(problems)) {
        Ok(named) => named,
        Err(reason) => return Check::bad(LINKS, reason, mend),
    };
    let local = || PublicUrl::local(args.http.resolve(&mut ConfigProblems::default())?).ok();
    match named.or_else(local) {
        Some(url) => match url.warning() {
            Some(warning) => Check::doubtful(LINKS, format!("{url}: {warning}"), mend),
            None => Check::good(LINKS, url.to_string()),
        },
        None => Check::bad(LINKS, "follows the HTTP address, which has to be mended first", mend),
    }
}

#[cfg(test)]
mod tests;
