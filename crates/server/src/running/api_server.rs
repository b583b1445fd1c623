//! The HTTP server of the REST API, as a part of the process.

use crate::wiring::{ApiSettings, api_state};
use actix_web::dev::ServerHandle;
use std::io;
use std::net::TcpListener;
use tokio::task::JoinHandle;

/// The running server.
pub struct ApiServer {
    handle: ServerHandle,
    running: JoinHandle<io::Result<()>>,
}

impl ApiServer {
    /// Serves from now on.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(listener: TcpListener, settings: ApiSettings) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let server = muster_api::run_server(listener, api_state(settings), threads)?;
        let handle = server.handle();
        Ok(Self { handle, running: tokio::spawn(server) })
    }

    /// Returns only when the server ends by itself, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.running).await {
            Ok(Ok(())) => anyhow::anyhow!("the HTTP server ended"),
            Ok(Err(error)) => anyhow::Error::new(error).context("the HTTP server failed"),
            Err(error) => anyhow::Error::new(error).context("the HTTP server failed"),
        }
    }

    /// Takes no new requests and waits until those under way are answered, for twenty seconds at most.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}
