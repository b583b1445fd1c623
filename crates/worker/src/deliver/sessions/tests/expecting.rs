//! Begins that expect sessions: how many, how long they wait for them, and what becomes of a wrong guess.

use super::*;
use crate::deliver::alone::NEAR;

/// What a begin gets of sessions with a server that is near, after one that has so many under way.
async fn after_one(sessions: &Sessions, under_way: usize, near: bool) -> Vec<Lent> {
    after(sessions, campaign(1, 1), under_way, near).await
}

/// The same of another campaign.
async fn after(sessions: &Sessions, of: CampaignKey, under_way: usize, near: bool) -> Vec<Lent> {
    let mut hand = sessions.take(of, || under_way, &never()).await.unwrap().ok().unwrap();
    let within = hand.alone.as_mut().unwrap();
    within.answered_in(if near { NEAR } else { NEAR * 2 });
    hand.sessions
}

/// How many a begin expects.
fn expected(hand: &Hand) -> usize {
    hand.expected.as_ref().map_or(0, |expected| expected.sessions)
}

/// How many a begin gets of those that it expected, and wants.
async fn arrived(sessions: &Sessions, hand: &mut Hand, wanted: usize) -> Vec<Lent> {
    sessions.arrived(hand.expected.take().unwrap(), wanted, 0, hand.alone.as_ref()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_begin_expects_what_those_before_it_have_and_what_is_free() {
    for (there_are, under_way, near, wanted, guess) in [
        (6, 4, true, 9, 6),
        (6, 4, true, 5, 5),
        // Enough are free.
        (6, 4, true, 2, 0),
        // It is far, or there are so many that something is always to be done.
        (6, 4, false, 9, 0),
        (FEW, 4, true, 99, FEW),
        (FEW + 1, 4, true, 99, 0),
    ] {
        let sessions = sessions(there_are, usize::MAX);
        let before = after_one(&sessions, under_way, near).await;
        assert_eq!(before.len(), under_way);
        let hand = next(&sessions, campaign(1, 1), wanted).await;
        let here = if guess > 0 { 0 } else { wanted.min(there_are - under_way) };
        assert_eq!((expected(&hand), hand.sessions.len()), (guess, here), "{there_are} {under_way} {near} {wanted}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_expected_once() {
    let sessions = sessions(6, usize::MAX);
    let mut before = after_one(&sessions, 4, true).await;
    before.truncate(1);
    assert_eq!(expected(&next(&sessions, campaign(1, 1), 99).await), 6);
}

#[tokio::test(start_paused = true)]
async fn what_other_campaigns_have_under_way_is_not_expected() {
    let sessions = sessions(6, usize::MAX);
    let _others = taken(&sessions, campaign(1, 2), 3).await;
    let before = after_one(&sessions, 2, true).await;
    let hand = next(&sessions, campaign(1, 1), 9).await;
    assert_eq!(expected(&hand), 3);
    drop((hand, before));
    assert_eq!(next(&sessions, campaign(1, 1), 9).await.sessions.len(), 3, "what is free is there");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_were_expected_are_waited_for_a_little_and_where_they_do_not_come_no_more() {
    let sessions = sessions(4, usize::MAX);
    let mut before = after_one(&sessions, 4, true).await;
    let mut hand = next(&sessions, campaign(1, 1), 4).await;
    let begun = Instant::now();
    let (came, ()) = futures::join!(arrived(&sessions, &mut hand, 4), async {
        tokio::task::yield_now().await;
        before.truncate(1);
    });
    assert_eq!(came.len(), 3);
    assert!(begun.elapsed() <= GATHER * 2, "{:?}", begun.elapsed());
    drop(hand);
    let mut hand = next(&sessions, campaign(1, 1), 4).await;
    assert_eq!(expected(&hand), 4, "it was a good guess");
    let begun = Instant::now();
    assert!(arrived(&sessions, &mut hand, 4).await.is_empty());
    assert!(begun.elapsed() >= ARRIVE && begun.elapsed() <= ARRIVE * 2, "{:?}", begun.elapsed());
    drop(hand);
    let stop = never();
    let mut next = Box::pin(sessions.take(campaign(1, 1), || 4, &stop));
    assert!(next.as_mut().now_or_never().is_none(), "waits for a session before anything is begun");
    drop(came);
    assert_eq!(next.await.unwrap().ok().unwrap().sessions.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_has_its_locks_does_not_wait_for_a_server_that_does_not_greet_and_the_next_has_its_sessions_first()
{
    let sessions = slow([30, 30]);
    let mut before = after_one(&sessions, 1, true).await;
    let mut hand = next(&sessions, campaign(1, 1), 2).await;
    assert_eq!(expected(&hand), 2);
    let begun = Instant::now();
    before.clear();
    assert!(arrived(&sessions, &mut hand, 2).await.is_empty(), "there are places, and no sessions yet");
    assert!(begun.elapsed() <= ARRIVE * 2, "{:?}", begun.elapsed());
    drop(hand);
    let hand = next(&sessions, campaign(1, 1), 2).await;
    assert_eq!((expected(&hand), hand.sessions.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn who_expects_sessions_wants_them_though_nothing_of_it_is_due_any_more() {
    let sessions = sessions(4, usize::MAX);
    sessions.wanted_by(tenants([1]));
    let before = after_one(&sessions, 4, true).await;
    let hand = next(&sessions, campaign(1, 1), 4).await;
    sessions.wanted_by(tenants([2]));
    drop(before);
    assert_eq!(taken(&sessions, campaign(2, 1), 4).await.len(), 2, "its share");
    drop(hand);
    assert_eq!(taken(&sessions, campaign(2, 1), 4).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_expects_anything_when_the_end_has_come() {
    let (sessions, stop) = (sessions(4, usize::MAX), never());
    let _before = after_one(&sessions, 4, true).await;
    stop.cancel();
    assert!(sessions.take(campaign(1, 1), || 4, &stop).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_become_far_is_expected_nothing_of() {
    let sessions = sessions(4, usize::MAX);
    let _before = after_one(&sessions, 2, true).await;
    let mut hand = next(&sessions, campaign(1, 1), 4).await;
    assert_eq!(expected(&hand), 4);
    hand.alone.as_mut().unwrap().answered_in(NEAR * 2);
    drop(hand);
    assert_eq!(expected(&next(&sessions, campaign(1, 1), 4).await), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_expected_where_there_are_many_in_all_though_others_have_most_of_them() {
    let sessions = sessions(FEW + 15, usize::MAX);
    let _others = taken(&sessions, campaign(1, 2), FEW + 5).await;
    let before = after_one(&sessions, 4, true).await;
    let hand = next(&sessions, campaign(1, 1), 9).await;
    assert_eq!((before.len(), expected(&hand), hand.sessions.len()), (4, 0, 6));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_expected_than_the_tenant_may_have() {
    let sessions = sessions(6, usize::MAX);
    sessions.wanted_by(tenants([1]));
    let before = after_one(&sessions, 6, true).await;
    assert_eq!(expected(&next(&sessions, campaign(1, 1), 9).await), 6);
    sessions.wanted_by(tenants([1, 2]));
    assert_eq!((before.len(), expected(&next(&sessions, campaign(1, 1), 9).await)), (6, 3));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_guess_of_one_campaign_keeps_no_other_from_guessing_nor_does_a_good_one_mend_it() {
    let sessions = sessions(8, usize::MAX);
    let (one, other) = (campaign(1, 1), campaign(1, 2));
    let (_first, _second) = (after(&sessions, one, 4, true).await, after(&sessions, other, 4, true).await);
    let mut wrong = next(&sessions, one, 4).await;
    assert!(arrived(&sessions, &mut wrong, 4).await.is_empty());
    drop(wrong);
    assert_eq!(expected(&next(&sessions, other, 4).await), 4);
    let stop = never();
    assert!(sessions.take(one, || 4, &stop).now_or_never().is_none(), "this one waits for sessions");
}
