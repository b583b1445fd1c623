//! Sessions with the mail server, as many as there may be and no more.

use futures::future::join_all;
use muster_domain::ports::transport::{MailSession, MailTransport, TransportError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Sessions come free one by one; waiting this long for another few makes begins of several mails out of begins of one.
const GATHER: Duration = Duration::from_millis(2);

/// Hands out sessions.
pub(super) struct Sessions {
    transport: Arc<dyn MailTransport>,
    free: Arc<Semaphore>,
}

/// A session, and the right to have it.
pub(super) struct Lent {
    /// Dropped first: the connection is back before somebody else may take one.
    pub(super) session: Box<dyn MailSession>,
    _permit: OwnedSemaphorePermit,
}

impl Sessions {
    pub(super) fn of(transport: Arc<dyn MailTransport>) -> Self {
        let free = Arc::new(Semaphore::new(transport.sessions_at_most().max(1)));
        Self { transport, free }
    }

    /// Waits for one free place, takes up to `wanted`, and opens a session for each. None when `stop` comes first; else
    /// at least one session, or why there is none.
    pub(super) async fn take(
        &self,
        wanted: usize,
        stop: &CancellationToken,
    ) -> Option<Result<Vec<Lent>, TransportError>> {
        let first = stop.run_until_cancelled(Arc::clone(&self.free).acquire_owned()).await?.ok()?;
        let mut permits = vec![first];
        self.take_more(wanted, &mut permits);
        if permits.len() < wanted.div_ceil(2) {
            tokio::time::sleep(GATHER).await;
            self.take_more(wanted, &mut permits);
        }
        let opened =
            join_all(permits.into_iter().map(|permit| async {
                self.transport.session().await.map(|session| Lent { session, _permit: permit })
            }))
            .await;
        let mut trouble = None;
        let lent: Vec<Lent> =
            opened.into_iter().filter_map(|one| one.map_err(|error| trouble = Some(error)).ok()).collect();
        Some(match trouble {
            Some(error) if lent.is_empty() => Err(error),
            _ => Ok(lent),
        })
    }

    fn take_more(&self, wanted: usize, permits: &mut Vec<OwnedSemaphorePermit>) {
        while permits.len() < wanted {
            let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else { return };
            permits.push(permit);
        }
    }
}
