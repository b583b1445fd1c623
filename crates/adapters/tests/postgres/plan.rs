//! Enrolling, advancing, finishing and time lapse, over rows in a real database.

use crate::fixture::{Fixture, Seed};
use chrono::TimeDelta;
use muster_domain::model::advance::advance;
use muster_domain::model::books::Balance;
use muster_domain::ports::advance::{AdvanceReport, AdvanceStore, Claim, Due};
use muster_domain::ports::store::{Store, StoreError, in_tx};
use muster_domain::ports::work::{TimeLapse, WorkQueue};
use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
use muster_domain::usecases::enroll_audience::enroll_audience;
use muster_domain::usecases::finish_campaign::{Finish, finish_campaign};
use muster_domain::usecases::launch_campaign::{
    ENROLL_AT_ONCE, LaunchCampaign, LaunchError, PostalAddressRule, launch_campaign,
};
use muster_domain::usecases::pause_campaign::{PauseCampaign, TransitionError, pause_campaign};
use muster_domain::usecases::start_campaign::{Start, start_campaign};

/// A condition on a tag between a wait and a mail, with an action on the other branch.
const DRIP: &str = r#"[
    {"no": 1, "id": "00000000-0000-7000-8000-000000000001", "order": 1, "name": "wait", "stepType": "wait",
     "wait": {"for": {"value": 1, "unit": "days"}}, "next": {"step": 2}},
    {"no": 2, "id": "00000000-0000-7000-8000-000000000002", "order": 2, "name": "vip?", "stepType": "condition",
     "rule": {"field": "tags", "op": "contains", "value": "vip"}, "on_true": {"step": 4}, "on_false": {"step": 3}},
    {"no": 3, "id": "00000000-0000-7000-8000-000000000003", "order": 3, "name": "cold", "stepType": "action",
     "action": {"type": "add_tag", "tag": "cold"}, "next": "end"},
    {"no": 4, "id": "00000000-0000-7000-8000-000000000004", "order": 4, "name": "mail", "stepType": "email",
     "content": {"subjectLine": "Hello", "emailContent": "<p>Hello</p>"}, "next": "end"}
]"#;

fn claim(seed: &Seed, limit: i64) -> Claim {
    Claim { campaign: seed.key, limit, low: None }
}

async fn advance_all(fixture: &Fixture, seed: &Seed) -> AdvanceReport {
    let decide = |due: Due<'_>| advance(due.enrollment, due.sequence, due.facts, due.timezone, due.now);
    let mut sum = AdvanceReport::default();
    loop {
        let report = fixture.store.advance(claim(seed, 7), &decide).await.unwrap();
        if report.claimed == 0 {
            return sum;
        }
        sum.claimed += report.claimed;
        sum.queued += report.queued;
        sum.ended += report.ended;
        sum.stuck += report.stuck;
    }
}

async fn balance(fixture: &Fixture, seed: &Seed) -> Balance {
    in_tx(&fixture.store, seed.workspace, async |tx| {
        let campaign = tx.campaigns().find(seed.id).await?.unwrap();
        let booked = tx.enrollments().balance(&campaign).await?;
        let counted = tx.enrollments().recount(&campaign).await?;
        assert_eq!(booked, counted, "the books differ from the rows");
        assert!(booked.balanced(), "{booked:?}");
        Ok::<_, StoreError>(booked)
    })
    .await
    .unwrap()
}

async fn launch(fixture: &Fixture, seed: &Seed) -> Result<i64, LaunchError> {
    let id = seed.id;
    in_tx(&fixture.store, seed.workspace, async |tx| {
        launch_campaign(tx, LaunchCampaign { id, postal_address: PostalAddressRule::Recommended }).await
    })
    .await
    .map(|launched| launched.enrolled)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_walks_its_sequence_and_the_books_stay_even() {
    let fixture = Fixture::with_time_lapse(1.0).await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=20).await;
    fixture.sql(&format!("INSERT INTO contact_tags SELECT tenant_no, contact_no, 'vip' FROM contacts WHERE tenant_no = {} AND contact_no % 4 = 0", seed.key.tenant.0)).await;

    assert_eq!(launch(&fixture, &seed).await.unwrap(), 20);
    let first = advance_all(&fixture, &seed).await;
    assert_eq!((first.claimed, first.queued), (20, 0), "everybody waits");
    assert_eq!(balance(&fixture, &seed).await.campaign.open, 20);

    fixture.sql("UPDATE virtual_clock SET virtual_now = virtual_now + interval '25 hours'").await;
    let second = advance_all(&fixture, &seed).await;
    assert_eq!((second.claimed, second.queued, second.ended), (20, 5, 15));
    let books = balance(&fixture, &seed).await;
    assert_eq!((books.campaign.open, books.campaign.completed), (5, 15));
    assert_eq!(fixture.count("SELECT count(*) FROM contact_tags WHERE tag = 'cold'").await, 15);
    assert_eq!(fixture.count("SELECT count(*) FROM outbox WHERE step = 4 AND pass = 1 AND next_step = 0").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_never_move_the_same_enrollment() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(&DRIP.replace(r#""value": 1, "unit": "days""#, r#""value": 10, "unit": "days""#)).await;
    fixture.contacts(&seed, 1..=500).await;
    launch(&fixture, &seed).await.unwrap();
    let rounds = (0..8).map(|_| advance_all(&fixture, &seed));
    let claimed: usize = futures::future::join_all(rounds).await.iter().map(|report| report.claimed).sum();
    assert_eq!(claimed, 500);
    assert_eq!(fixture.count("SELECT count(*) FROM enrollment_history").await, 500);
    balance(&fixture, &seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_in_a_paused_campaign() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=10).await;
    launch(&fixture, &seed).await.unwrap();
    let id = seed.id;
    in_tx(&fixture.store, seed.workspace, async |tx| pause_campaign(tx, PauseCampaign { id }).await).await.unwrap();
    assert_eq!(advance_all(&fixture, &seed).await.claimed, 0);
    assert!(fixture.store.at_hand().await.unwrap().advance.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_launches_at_once_make_one() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=50).await;
    let outcomes = futures::future::join_all((0..100).map(|_| launch(&fixture, &seed))).await;
    let launched = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(launched, 1);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Ok(50) | Err(LaunchError::InvalidTransition(_)))),
        "{outcomes:?}"
    );
    assert_eq!(fixture.count("SELECT count(*) FROM enrollments").await, 50);
    balance(&fixture, &seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_audience_is_enrolled_in_chunks_and_nothing_moves_before_everybody_is_in() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(DRIP).await;
    let size = ENROLL_AT_ONCE + 500;
    fixture.contacts(&seed, 1..=size).await;
    assert_eq!(launch(&fixture, &seed).await.unwrap(), 0);
    let late = fixture.contacts(&seed, size + 1..=size + 5).await;
    let no = seed.key.campaign;
    let first =
        in_tx(&fixture.store, seed.workspace, async |tx| enroll_audience(tx, no, 6_000).await).await.unwrap().unwrap();
    assert_eq!((first.enrolled, first.done), (6_000, false));
    assert_eq!(advance_all(&fixture, &seed).await.claimed, 0, "not everybody is in");
    // A crash half way: the transaction is gone, the next call goes on after the last chunk that was committed.
    let mut crashed = fixture.store.begin(seed.workspace).await.unwrap();
    enroll_audience(&mut crashed, no, 100).await.unwrap();
    drop(crashed);
    while in_tx(&fixture.store, seed.workspace, async |tx| enroll_audience(tx, no, 3_000).await)
        .await
        .unwrap()
        .is_some()
    {}
    assert_eq!(fixture.count("SELECT count(*) FROM enrollments").await, size);
    assert_eq!(
        fixture.count(&format!("SELECT count(*) FROM enrollments WHERE contact_no >= {late}")).await,
        0,
        "late comers stay out"
    );
    assert_eq!(balance(&fixture, &seed).await.campaign.audience, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joined_by_hand_while_a_list_is_enrolled_is_enrolled_once() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(DRIP).await;
    let size = ENROLL_AT_ONCE + 500;
    fixture.contacts(&seed, 1..=size).await;
    launch(&fixture, &seed).await.unwrap();
    // In the middle of a chunk, which is thus tried in vain and told to leave them out.
    let joined = "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
                  SELECT tenant_no, campaign_no, contact_no, now(), now(), 1, 1, 'e' FROM campaigns JOIN contacts USING (tenant_no) \
                  WHERE email IN ('c7@example.org', 'c4000@example.org')";
    fixture.sql(joined).await;
    let counted = "INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open, completed, exited) \
                   SELECT tenant_no, campaign_no, 2, 2, 0, 0 FROM campaigns";
    fixture.sql(counted).await;
    let no = seed.key.campaign;
    let mut enrolled = 0;
    while let Some(chunk) =
        in_tx(&fixture.store, seed.workspace, async |tx| enroll_audience(tx, no, 3_000).await).await.unwrap()
    {
        enrolled += chunk.enrolled;
    }
    assert_eq!(enrolled, size - 2);
    assert_eq!(fixture.count("SELECT count(*) FROM enrollments").await, size);
    assert_eq!(balance(&fixture, &seed).await.campaign.audience, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_list_those_are_enrolled_who_are_contacts_still_however_thin_it_is() {
    for every in [1, 50] {
        let fixture = Fixture::new().await;
        let seed = fixture.campaign(DRIP).await;
        fixture.contacts(&seed, 1..=2_000).await;
        fixture.sql(&format!("DELETE FROM segment_members WHERE contact_no % {every} <> 0")).await;
        // Gone, but for the list.
        let erased = "UPDATE contacts SET erased_at = now(), email = NULL, email_key = NULL WHERE contact_no % 100 = 0";
        fixture.sql(erased).await;
        launch(&fixture, &seed).await.unwrap();
        let listed = fixture.count("SELECT count(*) FROM segment_members").await;
        let expected =
            "SELECT count(*) FROM segment_members JOIN contacts USING (tenant_no, contact_no) WHERE erased_at IS NULL";
        let expected = fixture.count(expected).await;
        assert!(expected > 0 && expected < listed, "one in {every}: {expected} of {listed}");
        assert_eq!(fixture.count("SELECT count(*) FROM enrollments").await, expected, "one in {every}");
        assert_eq!(balance(&fixture, &seed).await.campaign.audience, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_is_refused_changes_nothing() {
    let fixture = Fixture::new().await;
    let empty = fixture.campaign(DRIP).await;
    let refused = launch(&fixture, &empty).await.unwrap_err();
    assert!(
        matches!(&refused, LaunchError::NotReady(problems) if problems.0[0].pointer == "/segmentId"),
        "{refused:?}"
    );
    let no_steps = fixture.campaign("[]").await;
    fixture.contacts(&no_steps, 1..=3).await;
    let refused = launch(&fixture, &no_steps).await.unwrap_err();
    assert!(matches!(&refused, LaunchError::NotReady(problems) if problems.0[0].code == "no_steps"), "{refused:?}");
    assert_eq!(fixture.count("SELECT count(*) FROM campaigns WHERE status <> 'draft' OR version <> 1").await, 0);
    assert_eq!(fixture.count("SELECT count(*) FROM enrollments").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_start_that_is_refused_goes_back_to_draft_and_says_why() {
    let fixture = Fixture::new().await;
    let seed = fixture.campaign(DRIP).await;
    fixture.sql("UPDATE campaigns SET status = 'scheduled', scheduled_at = now() - interval '1 minute'").await;
    assert_eq!(fixture.store.at_hand().await.unwrap().start, [(seed.key, seed.workspace.workspace)]);
    let no = seed.key.campaign;
    let start = async || {
        in_tx(&fixture.store, seed.workspace, async |tx| start_campaign(tx, no, PostalAddressRule::Recommended).await)
            .await
            .unwrap()
    };
    assert!(matches!(start().await, Start::Refused(reason) if reason.contains("no contact")));
    assert_eq!(
        fixture.count("SELECT count(*) FROM campaigns WHERE status = 'draft' AND last_problem IS NOT NULL").await,
        1
    );

    fixture.contacts(&seed, 1..=2).await;
    fixture.sql("UPDATE campaigns SET status = 'scheduled', scheduled_at = now() - interval '1 minute'").await;
    assert!(matches!(start().await, Start::Launched(launched) if launched.enrolled == 2));
    assert_eq!(start().await, Start::NotYet);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_finished_when_nothing_is_open_and_not_when_its_books_differ() {
    let fixture = Fixture::with_time_lapse(1.0).await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=3).await;
    launch(&fixture, &seed).await.unwrap();
    advance_all(&fixture, &seed).await;
    let no = seed.key.campaign;
    let finish = async || in_tx(&fixture.store, seed.workspace, async |tx| finish_campaign(tx, no).await).await;
    assert_eq!(finish().await.unwrap(), Finish::NotYet);
    fixture.sql("UPDATE virtual_clock SET virtual_now = virtual_now + interval '25 hours'").await;
    advance_all(&fixture, &seed).await;
    assert_eq!(fixture.store.at_hand().await.unwrap().finish.len(), 1);

    fixture.sql("UPDATE step_counters SET passed = passed + 1, entered = entered + 1 WHERE step = 3").await;
    assert_eq!(finish().await.unwrap(), Finish::BooksDiffer);
    assert_eq!(
        fixture.count("SELECT count(*) FROM campaigns WHERE status = 'active' AND last_problem LIKE '%step 3%'").await,
        1
    );
    fixture.sql("UPDATE step_counters SET passed = passed - 1, entered = entered - 1 WHERE step = 3").await;
    assert!(matches!(finish().await.unwrap(), Finish::Completed(_)));
    assert!(matches!(finish().await, Ok(Finish::NotYet) | Err(TransitionError::InvalidTransition(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_early_cancels_what_has_not_begun_and_the_books_say_so() {
    let fixture = Fixture::with_time_lapse(1.0).await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=8).await;
    fixture.sql("INSERT INTO contact_tags SELECT tenant_no, contact_no, 'vip' FROM contacts").await;
    launch(&fixture, &seed).await.unwrap();
    advance_all(&fixture, &seed).await;
    fixture.sql("UPDATE enrollments SET due_at = due_at - interval '2 days' WHERE contact_no % 2 = 0").await;
    advance_all(&fixture, &seed).await;
    fixture.sql("UPDATE outbox SET state = 's', lease_until = now() + interval '30 seconds', epoch = 1 WHERE contact_no = (SELECT min(contact_no) FROM outbox)").await;
    let id = seed.id;
    let ended = in_tx(&fixture.store, seed.workspace, async |tx| complete_campaign(tx, CompleteCampaign { id }).await)
        .await
        .unwrap();
    assert_eq!(ended.status().as_str(), "completed");
    let books = balance(&fixture, &seed).await;
    assert_eq!((books.campaign.open, books.campaign.exited), (0, 8));
    let mail = &books.steps[3].figures;
    assert_eq!((mail.entered, mail.cancelled, mail.pending), (4, 3, 1), "the one under way keeps its outcome");
    assert_eq!(books.steps[0].figures.cancelled, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_time_stands_still_while_work_is_undone_and_stops_at_the_next_instant() {
    let fixture = Fixture::with_time_lapse(1e9).await;
    let seed = fixture.campaign(DRIP).await;
    fixture.contacts(&seed, 1..=3).await;
    let before = fixture.store.tick().await.unwrap().unwrap();
    launch(&fixture, &seed).await.unwrap();
    let launched = fixture.store.tick().await.unwrap().unwrap();
    assert_eq!(fixture.store.tick().await.unwrap().unwrap(), launched, "three enrollments are due");
    advance_all(&fixture, &seed).await;
    let waited = fixture.store.tick().await.unwrap().unwrap();
    assert!(waited > launched && waited <= launched + TimeDelta::days(1), "{waited} is past the end of the wait");
    for _ in 0..3 {
        fixture.store.tick().await.unwrap();
    }
    assert_eq!(fixture.store.at_hand().await.unwrap().advance, [seed.key], "the wait is over, to the instant");
    assert!(before <= launched);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_time_lapse_there_is_no_virtual_time() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.tick().await.unwrap(), None);
}
