//! The page with a worker's figures, where nothing else of it is served.

use crate::config::Setting;
use crate::listening;
use std::net::SocketAddr;

/// Serves `/metrics` and `/healthz` from now on, as long as the process lives.
///
/// # Errors
/// When the address cannot be had; the error says how to take another.
pub fn start(address: SocketAddr) -> anyhow::Result<()> {
    let (listener, address) = listening::listen(address, Setting::METRICS_ADDR)?;
    tokio::spawn(muster_api::run_figures_server(listener)?);
    tracing::info!(target: "muster", %address, "figures are served");
    Ok(())
}
