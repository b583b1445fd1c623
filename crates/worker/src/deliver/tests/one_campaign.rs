//! One campaign in trouble among others.

use super::outbox::{Asked, Outbox, campaign};
use super::server::{Diary, Server};
use super::{Work, gaps};
use muster_domain::ports::store::{StoreError, StoreResult};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn server() -> Arc<Server> {
    Server::of(10, |_| Ok(()))
}

/// Every way in which storage can be at odds with one campaign.
fn at_odds() -> [StoreError; 3] {
    let corrupt = StoreError::Corrupt { table: "outbox", column: "step", id: "7".to_owned() };
    [StoreError::Internal("refused".into()), StoreError::Conflict, corrupt]
}

fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Internal(_) => StoreError::Internal("refused".into()),
        StoreError::Corrupt { table, column, id } => StoreError::Corrupt { table, column, id: id.clone() },
        StoreError::Unavailable(_) => StoreError::Unavailable("away".into()),
        StoreError::Conflict => StoreError::Conflict,
    }
}

/// How long a thousand mails of campaign 2 take beside campaign 1, of which storage says that.
async fn beside(trouble: impl Fn(Asked) -> StoreResult<()> + Send + Sync + 'static) -> (Duration, Arc<Outbox>) {
    let outbox =
        Outbox::of(&[(1, 100), (2, 1_000)], move |what, of| if of == campaign(1) { trouble(what) } else { Ok(()) });
    let work = Work::begin(Arc::clone(&outbox), server());
    let took = work.until_sent(2, 1_000).await;
    work.stop().await;
    (took, outbox)
}

#[tokio::test(start_paused = true)]
async fn whoever_storage_is_at_odds_with_keeps_nobody_else_waiting() {
    let (undisturbed, _) = beside(|_| Ok(())).await;
    for at in [Asked::Claim, Asked::Begin] {
        for error in at_odds() {
            let why = error.to_string();
            let (took, outbox) = beside(move |what| if what == at { Err(same(&error)) } else { Ok(()) }).await;
            assert!(took <= undisturbed, "{took:?} beside {why} at {at:?}, {undisturbed:?} beside a mail that goes");
            assert_eq!(outbox.sent(1).len(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_has_a_turn_less_and_less_often_and_goes_on_when_it_is_mended() {
    for at in [Asked::Claim, Asked::Begin] {
        let mended = Instant::now() + Duration::from_mins(10);
        let outbox = Outbox::of(&[(1, 100)], move |what, _| {
            if what == at && Instant::now() < mended { Err(StoreError::Internal("refused".into())) } else { Ok(()) }
        });
        let work = Work::begin(Arc::clone(&outbox), server());
        let took = work.until_sent(1, 100).await;
        work.stop().await;
        assert!(took <= Duration::from_secs(10 * 60 + 61), "{took:?}");
        // Several turns are under way when the first of them fails.
        let mut rests = gaps(&outbox.asked(at, 1));
        rests.retain(|gap| *gap > Duration::from_millis(100));
        assert!(rests.len() < 30 && rests[0] < Duration::from_secs(2), "{rests:?}");
        assert!(rests[7..10].iter().all(|rest| *rest >= Duration::from_secs(30)), "{rests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_panics_is_its_campaigns_trouble_and_what_it_held_is_left_to_its_lease() {
    let (undisturbed, _) = beside(|_| Ok(())).await;
    for at in [Asked::Claim, Asked::Begin] {
        let panics = move |what, of| if (what, of) == (at, campaign(1)) { panic!("a bug") } else { Ok(()) };
        let work = Work::begin(Outbox::of(&[(1, 100), (2, 1_000)], panics), server());
        let took = work.until_sent(2, 1_000).await;
        assert!(took <= undisturbed, "{took:?} beside panics, {undisturbed:?} beside a mail that goes");
        assert!(work.outbox.asked(at, 1).len() <= 4, "as many as were under way at once");
        sleep(Duration::from_mins(2)).await;
        let panics = work.outbox.asked(at, 1).len();
        assert!(panics <= 40, "{panics}: less and less often, as many at once each time");
        assert_eq!(work.outbox.renewed(1), []);
        work.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn storage_that_is_away_is_everybodys_trouble() {
    // With a single turn its end is what the pass waits for; with several it finds some ended when it looks.
    for turns in [1, 4] {
        let (begun, away) = (Instant::now(), Duration::from_secs(20));
        let outbox = Outbox::of(&[(1, 50), (2, 50)], move |_, _| {
            if begun.elapsed() < away { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
        });
        let work = Work::begin_with(Arc::clone(&outbox), server(), Diary(begun), turns);
        let took = work.until_sent(1, 50).await.max(work.until_sent(2, 50).await);
        work.stop().await;
        assert!(took < away + Duration::from_secs(3), "{took:?}: nobody is left out for it");
        // All turns at once, and then a rest of a twentieth of a second at least.
        let asked = outbox.asked(Asked::Claim, 1).len() + outbox.asked(Asked::Claim, 2).len();
        assert!(asked < turns * 20 * 20, "{asked} turns while storage was away");
    }
}
