//! `muster openapi`: the API's description, as `docs/openapi.json` keeps it.

use anyhow::Context;
use clap::Args;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Print the OpenAPI document of this version's API.
///
/// It comes from the code and needs neither a database nor any setting. A running server has it at /openapi.json.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  muster openapi > openapi.json")]
pub struct OpenapiArgs {}

/// Prints the document.
///
/// # Errors
/// When standard output cannot be written; a reader that has gone away is no error.
pub fn run(_: &OpenapiArgs) -> anyhow::Result<ExitCode> {
    let text = muster_api::to_json(&muster_api::openapi());
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the document"),
        _ => Ok(ExitCode::SUCCESS),
    }
}
