//! Opening sessions with the mail server, several at once, without waiting for the slowest.
//!
//! A server that greets fewer than it is asked to lets the rest wait, for half a minute by its rights (RFC 5321 section
//! 4.5.3.2.1). Those that it did greet are begun on meanwhile.

use super::places::Place;
use super::sessions::Lent;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use muster_domain::ports::transport::{MailTransport, TransportError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// After the first session is open the others are waited for so long.
pub(super) const TOGETHER: Duration = Duration::from_millis(500);

/// A session for each place, of those that are open soon; at least one, or why there is none. What takes longer keeps its
/// place until it is open, or not to be had. With a time `by` which they have to be open, there may be none, and no reason as long as
/// some may still open.
pub(super) async fn open(
    transport: &Arc<dyn MailTransport>,
    taken: Vec<Place>,
    by: Option<Instant>,
) -> Result<Vec<Lent>, TransportError> {
    let mut opening: FuturesUnordered<_> = taken
        .into_iter()
        .map(|place| {
            let transport = Arc::clone(transport);
            async move { transport.session().await.map(|session| Lent::of(session, place)) }.boxed()
        })
        .collect();
    let (mut open, mut trouble, mut until) = (Vec::with_capacity(opening.len()), None, by);
    loop {
        let next = match until {
            None => opening.next().await,
            Some(until) => match timeout_at(until, opening.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        match next {
            None => break,
            Some(Ok(session)) => {
                open.push(session);
                until.get_or_insert_with(|| Instant::now() + TOGETHER);
            }
            Some(Err(error)) => trouble = Some(error),
        }
    }
    let some_may_open = !opening.is_empty();
    if some_may_open {
        tokio::spawn(async move { while opening.next().await.is_some() {} });
    }
    match trouble {
        Some(error) if open.is_empty() && !some_may_open => Err(error),
        _ => Ok(open),
    }
}
