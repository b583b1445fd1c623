//! A TCP proxy that fails on demand: it stands between the program and its database, or its mail server.
//!
//! It knows no protocol. A cut right after a COMMIT is a cut on a pattern ([`FaultProxy::cut_on`]): what contains it is
//! let through, the server's next word is swallowed, and both sides are hung up on, so that it was done and nobody was told.

mod link;
mod watch;

pub use watch::Side;

use anyhow::Context;
use link::Link;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch as state;
use tokio::task::{JoinHandle, JoinSet};
use watch::Trap;

/// Where connections lead.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A socket of the file system, such as PostgreSQL's.
    Unix(PathBuf),
}

impl Upstream {
    /// `host:port` with numbers, or `unix:/path`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => Ok(Self::Tcp(text.parse().with_context(|| format!("neither unix:/path nor an address: {text}"))?)),
        }
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Octets>> {
        match self {
            Self::Tcp(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                Ok(Box::new(tcp))
            }
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

/// One side of a connection.
pub(crate) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// What every connection is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Orders {
    /// Connections made under an earlier number are cut.
    cut: u64,
    /// Nothing passes and nobody hangs up.
    half_open: bool,
}

/// What all connections share.
struct Shared {
    upstream: Upstream,
    orders: state::Sender<Orders>,
    latency_ns: AtomicU64,
    refuse: state::Sender<bool>,
    trap: Mutex<Option<Trap>>,
    trapped: AtomicU64,
    open: AtomicUsize,
}

/// A running proxy; stops when dropped, and cuts what is open.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(upstream: Upstream) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the proxy")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            orders: state::Sender::new(Orders::default()),
            latency_ns: AtomicU64::new(0),
            refuse: state::Sender::new(false),
            trap: Mutex::default(),
            trapped: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How often a trap has closed.
    pub fn trapped(&self) -> u64 {
        self.shared.trapped.load(Ordering::SeqCst)
    }

    /// Every chunk of either side waits this long from now on.
    pub fn latency(&self, time: Duration) {
        self.shared.latency_ns.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Cuts what is open; how many connections those were.
    pub fn cut(&self) -> usize {
        let open = self.open();
        self.shared.orders.send_modify(|orders| orders.cut += 1);
        open
    }

    /// From now on nothing passes on any connection, and nobody hangs up; until [`FaultProxy::pass`] or a cut.
    pub fn half_open(&self) {
        self.shared.orders.send_modify(|orders| orders.half_open = true);
    }

    /// Ends [`FaultProxy::half_open`]: what was held back passes.
    pub fn pass(&self) {
        self.shared.orders.send_modify(|orders| orders.half_open = false);
    }

    /// Whether new connections are hung up on at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse.send_replace(refuse);
    }

    /// The next connection on which the client has said `octets` in all from now on is cut there, in the middle of whatever it was.
    pub fn cut_after(&self, octets: usize) {
        self.set_trap(Some(Trap::after(octets)));
    }

    /// The next `times` connections on which the client says `pattern` are cut there.
    pub fn cut_on(&self, pattern: &[u8], side: Side, times: u64) {
        self.set_trap(Some(Trap::on(pattern, side, times)));
    }

    /// Takes a trap away.
    pub fn disarm(&self) {
        self.set_trap(None);
    }

    fn set_trap(&self, trap: Option<Trap>) {
        *self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner) = trap;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                if *shared.refuse.borrow() {
                    continue;
                }
                let _ = client.set_nodelay(true);
                links.spawn(Link::new(Arc::clone(&shared)).hold(client));
            }
            Some(_) = links.join_next(), if !links.is_empty() => {}
        }
    }
}
