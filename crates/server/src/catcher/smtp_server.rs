//! The SMTP side of the catcher: accepts connections and gives each a session of its own.

use super::mailbox::Mailbox;
use super::smtp_session::converse;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at once; one more is told to come back.
const CONNECTIONS: usize = 512;
/// How long sessions may go on once the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// Accepts connections and gives each a task of its own.
pub(super) struct SmtpServer {
    mailbox: Arc<Mailbox>,
    stop: CancellationToken,
    sessions: TaskTracker,
}

impl SmtpServer {
    pub(super) const fn new(mailbox: Arc<Mailbox>, stop: CancellationToken, sessions: TaskTracker) -> Self {
        Self { mailbox, stop, sessions }
    }

    /// Serves `listener` until stopped.
    pub(super) fn spawn(self, listener: TcpListener) {
        let tasks = self.sessions.clone();
        drop(tasks.spawn(self.accept(listener)));
    }

    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let stream = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, most likely: sessions that end give some back.
                        tracing::warn!(target: "muster", %error, "mail catcher cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let place = Arc::clone(&places).try_acquire_owned();
            let (mailbox, stop) = (Arc::clone(&self.mailbox), self.stop.clone());
            drop(self.sessions.spawn(async move {
                let session = async {
                    match place {
                        Ok(_place) => converse(stream, &mailbox, &stop).await,
                        Err(_) => turn_away(stream).await,
                    }
                };
                let overdue = async {
                    stop.cancelled().await;
                    tokio::time::sleep(GRACE).await;
                };
                // A connection that breaks is the client's affair; what was accepted is in the mailbox.
                tokio::select! {
                    _ended = session => {}
                    () = overdue => {}
                }
            }));
        }
    }
}

async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"421 4.3.2 Too many connections, come back later\r\n").await?;
    stream.shutdown().await
}
