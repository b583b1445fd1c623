//! One connection through the proxy.

use super::watch::{Fate, Tail};
use super::{Octets, Orders, Shared};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CHUNK: usize = 16 * 1024;

/// A connection and what it is told.
pub(super) struct Link {
    shared: Arc<Shared>,
    orders: watch::Receiver<Orders>,
    made_under: u64,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let orders = shared.orders.subscribe();
        let made_under = orders.borrow().cut;
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self { shared, orders, made_under }
    }

    /// Lets octets through until either side hangs up, or the link is cut. Both sides are closed when this returns.
    pub(super) async fn hold(self, client: TcpStream) {
        if let Ok(server) = self.shared.upstream.connect().await {
            let (from_client, to_client) = tokio::io::split(Box::new(client) as Box<dyn Octets>);
            let (from_server, to_server) = tokio::io::split(server);
            let swallow = watch::Sender::new(false);
            tokio::select! {
                () = self.cut() => {}
                () = self.up(from_client, to_server, &swallow) => {}
                () = self.down(from_server, to_client, swallow.subscribe()) => {}
            }
        }
    }

    /// Returns when this link is to be cut.
    async fn cut(&self) {
        let mut orders = self.orders.clone();
        let _ = orders.wait_for(|orders| orders.cut > self.made_under).await;
    }

    /// Returns when a chunk may pass.
    async fn may_pass(&self) {
        let mut orders = self.orders.clone();
        let _ = orders.wait_for(|orders| !orders.half_open).await;
        let latency = self.shared.latency_ns.load(Ordering::SeqCst);
        if latency > 0 {
            tokio::time::sleep(Duration::from_nanos(latency)).await;
        }
    }

    async fn up(
        &self,
        mut from: ReadHalf<Box<dyn Octets>>,
        mut to: WriteHalf<Box<dyn Octets>>,
        swallow: &watch::Sender<bool>,
    ) {
        let (mut chunk, mut tail) = (vec![0; CHUNK], Tail::default());
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                return;
            }
            self.may_pass().await;
            let said = &chunk[..read];
            let fate = {
                let mut trap = self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner);
                trap.as_mut().map_or(Fate::Pass, |trap| trap.judge(&tail, said))
            };
            tail.keep(said);
            let passing = match fate {
                Fate::Pass => said,
                Fate::CutAfter(octets) => {
                    let _ = to.write_all(&said[..octets]).await;
                    self.shared.trapped.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                // The rest of what ends the statement goes with it; the other direction hangs up.
                Fate::Swallow => {
                    swallow.send_replace(true);
                    said
                }
            };
            if to.write_all(passing).await.is_err() {
                return;
            }
        }
    }

    async fn down(
        &self,
        mut from: ReadHalf<Box<dyn Octets>>,
        mut to: WriteHalf<Box<dyn Octets>>,
        swallow: watch::Receiver<bool>,
    ) {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            if *swallow.borrow() {
                self.shared.trapped.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if read == 0 {
                return;
            }
            self.may_pass().await;
            if to.write_all(&chunk[..read]).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}
