//! The page with a worker's figures, where nothing else of it is served.

use crate::listening;
use actix_web::dev::ServerHandle;
use anyhow::Context;
use std::net::SocketAddr;

/// The running server; ends when it is dropped.
pub struct FiguresServer {
    handle: ServerHandle,
}

impl FiguresServer {
    /// Serves `/metrics` and `/healthz` from now on.
    ///
    /// # Errors
    /// When the address cannot be had; the error says how to take another.
    pub fn start(address: SocketAddr) -> anyhow::Result<Self> {
        let mend =
            || format!("cannot listen on {address}; take another address with --metrics-addr (MUSTER_METRICS_ADDR)");
        let listener = listening::bind(address).with_context(mend)?;
        let address = listener.local_addr()?;
        let server = muster_api::run_figures_server(listener)?;
        let handle = server.handle();
        tokio::spawn(server);
        tracing::info!(target: "muster", %address, "figures are served");
        Ok(Self { handle })
    }
}

impl Drop for FiguresServer {
    fn drop(&mut self) {
        // Told at once; nobody waits for a page of figures to be read to its end.
        drop(self.handle.stop(false));
    }
}
