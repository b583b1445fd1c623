//! The log: text for people or JSON for machines, on standard error, with nothing personal in it.

use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// What is logged unless something else is asked for.
pub const USUAL: &str = "info";

/// Crates that write more than they should: statements with their parameters, addresses with their query,
/// the dialogue with a mail server. They log warnings only, unless a filter names them.
const QUIET: [&str; 15] = [
    "actix_http",
    "actix_server",
    "actix_web",
    "diesel",
    "diesel_async",
    "h2",
    "hyper",
    "hyper_util",
    "lettre",
    "mio",
    "reqwest",
    "rustls",
    "tokio_postgres",
    "tokio_util",
    "tracing_actix_web",
];

/// How the program logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging, on standard error")]
pub struct LogArgs {
    /// The form of the log.
    #[arg(long, env = "MUSTER_LOG", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log: LogFormat,
    /// What is logged, for example debug or muster_worker=trace,info [default: info; of a demo: warn].
    #[arg(long, env = "MUSTER_LOG_FILTER", value_name = "FILTER", global = true)]
    pub log_filter: Option<String>,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Starts logging for the whole process; `usual` is what is logged unless something else is asked for.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(args: &LogArgs, usual: &str) -> anyhow::Result<()> {
    let asked = args.log_filter.as_deref().map(str::trim).filter(|asked| !asked.is_empty());
    let filter = filter(asked.unwrap_or(usual))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match args.log {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            log.with_ansi(colours).try_init()
        }
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}

/// The filter asked for, with the [`QUIET`] crates quiet unless it names them.
fn filter(asked: &str) -> anyhow::Result<EnvFilter> {
    let named = |of: &str| asked.split(',').any(|directive| target(directive) == of);
    let quiet = QUIET.iter().filter(|quiet| !named(quiet)).map(|quiet| format!("{quiet}=warn"));
    let directives = std::iter::once(asked.to_owned()).chain(quiet).collect::<Vec<_>>().join(",");
    EnvFilter::try_new(directives)
        .map_err(|error| anyhow::anyhow!("--log-filter (MUSTER_LOG_FILTER) cannot be read: {error}"))
}

/// The crate that a directive is about: `hyper` of `hyper::client[conn]=debug`.
fn target(directive: &str) -> &str {
    directive.trim().split(['=', '[', ':']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{USUAL, filter};
    use std::io;
    use std::sync::{Arc, Mutex};

    /// What is logged through `asked` by one event of each kind.
    fn logged(asked: &str) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter(asked).unwrap())
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::debug!(target: "tokio_postgres::query", "statement with parameters");
            tracing::info!(target: "tracing_actix_web::root_span_builder", "address with query");
            tracing::debug!(target: "muster_worker::deliver", "own debug");
            tracing::info!(target: "muster", "own info");
        });
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_may_hold_personal_data_stays_out_even_of_debug_logs() {
        for asked in [USUAL, "debug", "trace", "trace,muster=debug"] {
            let log = logged(asked);
            assert!(log.contains("own info"), "{asked}: {log}");
            assert!(!log.contains("parameters") && !log.contains("query"), "{asked}: {log}");
        }
        assert!(logged("debug").contains("own debug"));
    }

    #[test]
    fn a_crate_named_in_the_filter_is_heard() {
        assert!(logged("info,tokio_postgres=debug").contains("parameters"));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = filter("muster=loud").unwrap_err().to_string();
        assert!(error.contains("--log-filter"), "{error}");
    }
}
