//! Whom trouble keeps waiting, and for how long: the pass over an outbox and a mail server in memory, in virtual time.

mod behind;
pub(crate) mod desk;
mod mail_server;
mod one_campaign;
mod outbox;
mod server;

use super::*;
use desk::desk;
use outbox::Outbox;
use server::{Diary, Greeting, Server};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Every answer of anybody takes so long.
const A_MOMENT: Duration = Duration::from_millis(1);

/// A pass at work, and what it works on.
struct Work {
    outbox: Arc<Outbox>,
    server: Arc<Server>,
    end: CancellationToken,
    pass: JoinHandle<()>,
    begun: Instant,
}

impl Work {
    fn begin(outbox: Arc<Outbox>, server: Arc<Server>) -> Self {
        Self::begin_with(outbox, server, Diary(Instant::now()), 4)
    }

    fn begin_with(outbox: Arc<Outbox>, server: Arc<Server>, journal: Diary, turns: usize) -> Self {
        let (store, transport) = (Arc::clone(&outbox), Arc::new(Greeting(Arc::clone(&server))));
        let deliveries = Deliveries { store, transport, journal: Arc::new(journal), desk: desk() };
        let limits = DeliverLimits { batch: 20, turns, ..DeliverLimits::for_sessions(20) };
        let (end, begun) = (CancellationToken::new(), Instant::now());
        let pass = DeliverPass::new(deliveries, limits).run(Pace::default(), Nudge::default(), end.clone(), |_| ());
        Self { outbox, server, end, pass: tokio::spawn(pass), begun }
    }

    /// Waits until so many mails of a campaign are sent; since the beginning.
    async fn until_sent(&self, campaign: i32, mails: usize) -> Duration {
        while self.outbox.sent(campaign).len() < mails {
            sleep(Duration::from_millis(5)).await;
            assert!(self.begun.elapsed() < Duration::from_hours(1), "{} are sent", self.outbox.sent(campaign).len());
        }
        self.begun.elapsed()
    }

    async fn stop(self) {
        self.end.cancel();
        self.pass.await.unwrap();
    }
}

/// From each to the next.
fn gaps(times: &[Instant]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
