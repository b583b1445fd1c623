//! A mail server that greets and then gives no answer, and a journal that takes nothing.

use super::outbox::{Asked, Outbox};
use super::server::{Diary, Server};
use super::{Work, gaps};
use crate::outcomes::tests::heard;
use muster_domain::ports::transport::TransportError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn no_answer() -> Result<(), TransportError> {
    Err(TransportError::Unavailable("421 later".to_owned()))
}

/// Mails of one campaign that storage has nothing against.
fn mails(count: i64) -> Arc<Outbox> {
    Outbox::of(&[(1, count)], |_, _| Ok(()))
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_no_mail_from_is_asked_less_and_less_often_until_it_does() {
    let (begun, away) = (Instant::now(), Duration::from_mins(2));
    let server = Server::of(4, move |_| if begun.elapsed() < away { no_answer() } else { Ok(()) });
    let work = Work::begin(mails(100), server);
    sleep(away).await;
    let asked = work.server.asked();
    // Four at a time: at once, at once again, after a fifth of a second, and so on up to five.
    assert!((80..250).contains(&asked.len()), "{} were asked", asked.len());
    let mut rests = gaps(&asked);
    rests.retain(|gap| *gap > Duration::from_millis(50));
    assert!(rests[8..].iter().all(|rest| *rest >= Duration::from_millis(2_500)), "{rests:?}");
    assert_eq!(work.outbox.pending(1), 100, "whatever waits is given back meanwhile");
    let took = work.until_sent(1, 100).await;
    assert!(took < Duration::from_secs(2 * 60 + 6), "{took:?}");
    work.stop().await;
}

/// How long a thousand mails take with a server that answers so.
async fn a_thousand(answer: impl Fn(usize) -> Result<(), TransportError> + Send + Sync + 'static) -> Duration {
    let work = Work::begin(mails(1_000), Server::of(10, answer));
    let took = work.until_sent(1, 1_000).await;
    work.stop().await;
    took
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_a_connection_now_and_then_is_used_all_the_same() {
    let undisturbed = a_thousand(|_| Ok(())).await;
    let took = a_thousand(|before| if before % 10 == 9 { no_answer() } else { Ok(()) }).await;
    // Two that are lost one after the other are followed by a rest, which happens once or twice.
    assert!(took < undisturbed * 5, "{took:?}, and {undisturbed:?} without");
}

#[tokio::test(start_paused = true)]
async fn one_that_sends_most_of_us_away_is_given_rests() {
    let server = Server::of(10, |before| if before % 10 == 9 { Ok(()) } else { no_answer() });
    let work = Work::begin(mails(1_000), server);
    sleep(Duration::from_mins(1)).await;
    let asked = work.server.asked().len();
    assert!(asked < 60 * 20, "{asked} connections were opened in a minute");
    assert!(!work.outbox.sent(1).is_empty());
    work.stop().await;
}

/// In how many begins so many sessions begin a thousand mails with a server that takes so long for an answer.
async fn begins(sessions: usize, far: Duration) -> usize {
    let work = Work::begin(mails(1_000), Server::far(sessions, far, |_| Ok(())));
    work.until_sent(1, 1_000).await;
    let begins = work.outbox.asked(Asked::Begin, 1).len();
    work.stop().await;
    begins
}

#[tokio::test(start_paused = true)]
async fn mails_for_one_that_is_close_by_are_begun_together_and_for_one_that_is_not_as_sessions_come_free() {
    let (near, far) = (begins(20, Duration::ZERO).await, begins(20, Duration::from_millis(8)).await);
    assert!(far > 2 * near, "{far} begins, and {near} close by");
}

#[test]
fn a_journal_that_takes_nothing_is_tried_less_and_less_often_and_said_once_for_each_try() {
    let (lines, _) = heard(async {
        let full = Duration::from_mins(2);
        let work = Work::begin_with(mails(100), Server::of(4, |_| Ok(())), Diary(Instant::now() + full), 4);
        sleep(full).await;
        let asked = work.server.asked();
        assert!((60..250).contains(&asked.len()), "{} were asked", asked.len());
        assert_eq!((work.outbox.pending(1), work.outbox.sent(1)), (100, vec![]));
        let took = work.until_sent(1, 100).await;
        assert!(took < Duration::from_secs(2 * 60 + 6), "{took:?}");
        work.stop().await;
    });
    let errors = lines.iter().filter(|line| line.contains("ERROR")).count();
    assert!((15..60).contains(&errors), "{errors} lines");
    assert!(lines.iter().any(|line| line.contains("no space left")));
}
