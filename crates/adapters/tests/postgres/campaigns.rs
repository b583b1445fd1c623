//! Campaigns as they are stored: whose they are, what keeps two changes apart, and what the database itself refuses.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use muster_adapters::postgres::{PgStore, PoolOptions};
use muster_domain::model::campaign::{Campaign, CampaignType, EnrollmentState};
use muster_domain::model::content::{ContentInput, write_content};
use muster_domain::model::ids::{ContactNo, SegmentId, SequenceVersion, StepNo, TenantNo, UserId, WorkspaceNo};
use muster_domain::model::lifecycle::{Lifecycle, Status};
use muster_domain::model::sequence::{Explicit, Sequence, Step, StepKind, Target, Wait, WaitUnit};
use muster_domain::ports::campaigns::{
    CampaignFilter, CampaignOrder, CampaignPlace, CampaignQuery, Enrolling, NewCampaign, Saved,
};
use muster_domain::ports::store::{Store, Tx, Workspace};
use muster_testkit::database::TestDatabase;
use std::time::Duration;
use uuid::Uuid;

/// Tenant 1 with the workspaces 1 and 2, tenant 2 with workspace 3; a segment in each, of the same number.
struct World {
    database: TestDatabase,
    store: PgStore,
}

const MINE: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };
const NEXT_DOOR: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(2) };
const ABROAD: Workspace = Workspace { tenant: TenantNo(2), workspace: WorkspaceNo(3) };

/// Enrolling that has only begun.
const NOBODY_YET: Enrolling =
    Enrolling { state: EnrollmentState::Running, total: 9, mark: ContactNo(20), through: ContactNo(0), enrolled: 0 };

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        database
            .run_sql(
                "INSERT INTO tenants (id, name, created_at) SELECT gen_random_uuid(), n, now() FROM unnest('{a,b}'::text[]) n;
                 INSERT INTO workspaces (tenant_no, id, name, created_at)
                 SELECT t, gen_random_uuid(), n, now() FROM (VALUES (1, 'x'), (1, 'y'), (2, 'x')) AS w (t, n);
                 INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at)
                 SELECT t, w, ('00000000-0000-0000-0000-00000000000' || w)::uuid, 'all', 'static', now(), now()
                 FROM (VALUES (1, 1), (1, 2), (2, 3)) AS s (t, w)",
            )
            .await;
        let store = PgStore::new(database.url(), PoolOptions::default()).unwrap();
        Self { database, store }
    }

    async fn begin(&self, of: Workspace) -> Tx {
        self.store.begin(of).await.unwrap()
    }

    /// Makes a campaign in its own transaction.
    async fn campaign(&self, of: Workspace, name: &str) -> Campaign {
        let mut tx = self.begin(of).await;
        let campaign = insert(&mut tx, name).await;
        tx.commit().await.unwrap();
        campaign
    }

    async fn read(&self, campaign: &Campaign) -> Campaign {
        let mut tx = self.begin(MINE).await;
        let found = tx.campaigns().find(campaign.id).await.unwrap().unwrap();
        tx.rollback().await.unwrap();
        found
    }

    /// Saves in its own transaction.
    async fn save(&self, of: Workspace, campaign: &Campaign) -> Saved {
        let mut tx = self.begin(of).await;
        let saved = tx.campaigns().save(campaign).await.unwrap();
        tx.commit().await.unwrap();
        saved
    }

    /// Saves as launched, with nobody enrolled yet, in its own transaction.
    async fn save_launched(&self, campaign: &Campaign) -> Campaign {
        let mut tx = self.begin(MINE).await;
        let saved = tx.campaigns().save_launched(campaign, NOBODY_YET).await.unwrap();
        tx.commit().await.unwrap();
        saved.unwrap()
    }

    async fn says(&self, condition: &str) -> bool {
        #[derive(QueryableByName)]
        struct Answer {
            #[diesel(sql_type = Bool)]
            yes: bool,
        }
        let mut conn = self.database.connect().await;
        let answer: Answer =
            diesel::sql_query(format!("SELECT ({condition}) AS yes")).get_result(&mut conn).await.unwrap();
        answer.yes
    }
}

async fn insert(tx: &mut Tx, name: &str) -> Campaign {
    let now = tx.now().await.unwrap();
    let workspace = tx.workspace().workspace.0;
    let id = SegmentId(Uuid::from_u128(u128::from(workspace.unsigned_abs())));
    let segment = tx.campaigns().find_segment(id).await.unwrap().unwrap();
    let input = ContentInput {
        name: name.to_owned().into(),
        from_email: "News@example.test".to_owned().into(),
        from_name: "News".to_owned().into(),
        ..ContentInput::default()
    };
    let new = NewCampaign {
        campaign_type: CampaignType::Drip,
        segment,
        segment_id: id,
        content: write_content(None, input, now).unwrap(),
        sequence_version: SequenceVersion(0),
        next_step_no: StepNo(1),
        created_by: UserId(Uuid::from_u128(7)),
        created_at: now,
    };
    tx.campaigns().insert(&new).await.unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_campaign_reads_back_as_it_was_stored() {
    let world = World::new().await;
    let made = world.campaign(MINE, "Spring").await;
    assert_eq!((made.version, made.status(), made.total_contacts), (1, Status::Draft, 0));
    assert_eq!(made.content.from_email.as_str(), "News@example.test", "as it was written");
    assert_eq!(world.read(&made).await, made);

    let mut changed = made.clone();
    changed.content.name = "Summer".into();
    changed.content.description = Some("for\nthe holidays".into());
    changed.content.reply_to_email = Some("reply@example.test".to_owned().try_into().unwrap());
    changed.content.schedule.timezone = chrono_tz::Asia::Tokyo;
    changed.content.schedule.blackout_dates = vec!["2026-12-24".parse().unwrap()];
    changed.content.settings.daily_limit = Some(5);
    changed.lifecycle = Lifecycle::Scheduled { start_at: instant("2030-01-01T00:00:00Z") };
    changed.content.schedule.start_at = changed.lifecycle.start_at();
    changed.last_problem = Some("no audience".into());
    changed.next_step_no = StepNo(3);
    assert_eq!(world.save(MINE, &changed).await, Saved::Stored);
    let read = world.read(&made).await;
    assert!(read.updated_at >= made.updated_at);
    assert_eq!(read, Campaign { version: 2, updated_at: read.updated_at, ..changed });
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let world = World::new().await;
    let mine = world.campaign(MINE, "Mine").await;
    for of in [NEXT_DOOR, ABROAD] {
        let mut tx = world.begin(of).await;
        assert_eq!(tx.campaigns().find(mine.id).await.unwrap(), None, "{of:?}");
        assert_eq!(tx.campaigns().find_for_update(mine.id).await.unwrap(), None, "{of:?}");
        assert_eq!(tx.campaigns().find_with_steps_for_update(mine.id).await.unwrap(), None, "{of:?}");
        assert_eq!(tx.campaigns().find_for_share(mine.id).await.unwrap(), None, "{of:?}");
        assert_eq!(tx.campaigns().find_by_no_for_update(mine.no).await.unwrap(), None, "{of:?}");
        assert_eq!(tx.campaigns().find_segment(mine.segment_id).await.unwrap(), None, "{of:?}");
        let all = CampaignQuery { limit: 10, ..CampaignQuery::default() };
        assert_eq!(tx.campaigns().list(&all).await.unwrap(), []);
        assert_eq!(tx.campaigns().save(&mine).await.unwrap(), Saved::Stale, "{of:?}");
        tx.campaigns().delete(&mine).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(world.read(&mine).await, mine);
}

#[tokio::test]
async fn a_stale_save_changes_nothing() {
    let world = World::new().await;
    let first = world.campaign(MINE, "First").await;
    let mut second = first.clone();
    second.content.name = "Second".into();
    assert_eq!(world.save(MINE, &second).await, Saved::Stored);
    let mut late = first.clone();
    late.content.name = "Late".into();
    assert_eq!(world.save(MINE, &late).await, Saved::Stale);
    let read = world.read(&first).await;
    assert_eq!((read.content.name.as_str(), read.version), ("Second", 2));
}

#[tokio::test]
async fn the_second_of_two_editors_waits_and_sees_the_first_ones_work() {
    let world = World::new().await;
    let id = world.campaign(MINE, "Before").await.id;
    let mut first = world.begin(MINE).await;
    let mut mine = first.campaigns().find_for_update(id).await.unwrap().unwrap();
    let store = world.store.clone();
    let second = tokio::spawn(async move {
        let mut tx = store.begin(MINE).await.unwrap();
        let mut theirs = tx.campaigns().find_for_update(id).await.unwrap().unwrap();
        theirs.content.description = Some(format!("seen: {}", theirs.content.name));
        let saved = tx.campaigns().save(&theirs).await.unwrap();
        tx.commit().await.unwrap();
        saved
    });
    while !world.says("EXISTS (SELECT FROM pg_locks WHERE NOT granted)").await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    mine.content.name = "After".into();
    assert_eq!(first.campaigns().save(&mine).await.unwrap(), Saved::Stored);
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), Saved::Stored);
    let read = world.read(&mine).await;
    assert_eq!((read.version, read.content.name.as_str()), (3, "After"));
    assert_eq!(read.content.description.as_deref(), Some("seen: After"));
}

#[tokio::test]
async fn every_standing_of_a_life_can_be_stored() {
    let world = World::new().await;
    let now = instant("2026-03-01T09:00:00Z");
    let mut life = Lifecycle::Draft;
    let mut campaign = world.campaign(MINE, "Life").await;
    for step in 0..6 {
        life = match step {
            0 => life.schedule(now),
            1 => life.launch(now),
            2 | 4 => life.pause(now + TimeDelta::hours(step)),
            3 => life.resume(now),
            _ => life.complete(now + TimeDelta::days(1)),
        }
        .unwrap();
        campaign.lifecycle = life;
        if step == 1 {
            world.save_launched(&campaign).await;
        } else {
            assert_eq!(world.save(MINE, &campaign).await, Saved::Stored);
        }
        campaign = world.read(&campaign).await;
        assert_eq!(campaign.lifecycle, life);
        let enrolling = if step == 0 { EnrollmentState::None } else { EnrollmentState::Running };
        assert_eq!(campaign.enrollment_state, enrolling, "and stays");
    }
}

#[tokio::test]
async fn a_launch_is_saved_with_how_its_enrolling_stands_and_answered_as_it_is_then() {
    let world = World::new().await;
    let mut campaign = world.campaign(MINE, "Launched").await;
    campaign.lifecycle = Lifecycle::Active { launched_at: instant("2026-03-01T09:00:00Z") };
    let all = Enrolling { state: EnrollmentState::Done, through: ContactNo(17), enrolled: 8, ..NOBODY_YET };
    let mut tx = world.begin(MINE).await;
    let saved = tx.campaigns().save_launched(&campaign, all).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert_eq!(saved, world.read(&campaign).await);
    assert_eq!((saved.version, saved.enrollment_state), (campaign.version + 1, EnrollmentState::Done));
    assert_eq!((saved.enroll_total, saved.total_contacts), (9, 8));
    let no = campaign.no.0;
    assert!(
        world
            .says(&format!("SELECT (enroll_cursor, launch_mark) = (17, 20) FROM campaigns WHERE campaign_no = {no}"))
            .await
    );
    assert!(
        world.says(&format!("SELECT (audience, open) = (8, 8) FROM campaign_counters WHERE campaign_no = {no}")).await
    );
}

#[tokio::test]
async fn a_launch_of_what_was_changed_since_is_not_saved() {
    let world = World::new().await;
    let mut campaign = world.campaign(MINE, "Changed").await;
    assert_eq!(world.save(MINE, &campaign).await, Saved::Stored);
    let changed = world.read(&campaign).await;
    campaign.lifecycle = Lifecycle::Active { launched_at: instant("2026-03-01T09:00:00Z") };
    for of in [MINE, NEXT_DOOR, ABROAD] {
        let mut tx = world.begin(of).await;
        assert_eq!(tx.campaigns().save_launched(&campaign, NOBODY_YET).await.unwrap(), None, "{of:?}");
        tx.commit().await.unwrap();
    }
    let mut tx = world.begin(NEXT_DOOR).await;
    let current = Campaign { lifecycle: campaign.lifecycle, ..changed.clone() };
    assert_eq!(tx.campaigns().save_launched(&current, NOBODY_YET).await.unwrap(), None, "it is not theirs");
    tx.commit().await.unwrap();
    assert_eq!(world.read(&campaign).await, changed);
}

/// What a row may say about a status: scheduled, launched, paused, completed at; `None` where both are fine.
fn instants(status: Status) -> [Option<bool>; 4] {
    match status {
        Status::Draft => [Some(false), Some(false), Some(false), Some(false)],
        Status::Scheduled => [Some(true), Some(false), Some(false), Some(false)],
        Status::Active => [None, Some(true), Some(false), Some(false)],
        Status::Paused => [None, Some(true), Some(true), Some(false)],
        Status::Completed => [None, Some(true), Some(false), Some(true)],
    }
}

#[tokio::test]
async fn the_database_allows_exactly_what_the_lifecycle_can_say() {
    #[derive(QueryableByName)]
    struct Tried {
        #[diesel(sql_type = Text)]
        status: String,
        #[diesel(sql_type = Bool)]
        scheduled: bool,
        #[diesel(sql_type = Bool)]
        launched: bool,
        #[diesel(sql_type = Bool)]
        paused: bool,
        #[diesel(sql_type = Bool)]
        completed: bool,
        #[diesel(sql_type = Bool)]
        accepted: bool,
    }
    let world = World::new().await;
    world.campaign(MINE, "Guinea pig").await;
    world
        .database
        .run_sql(
            "CREATE FUNCTION try_status(s text, sched bool, l bool, p bool, c bool) RETURNS bool LANGUAGE plpgsql AS $$
             BEGIN
                 UPDATE campaigns SET status = s, scheduled_at = CASE WHEN sched THEN now() END,
                     launched_at = CASE WHEN l THEN now() END, paused_at = CASE WHEN p THEN now() END,
                     completed_at = CASE WHEN c THEN now() END, enrollment_state = CASE WHEN l THEN 'done' ELSE 'none' END;
                 RETURN true;
             EXCEPTION WHEN check_violation THEN RETURN false;
             END $$",
        )
        .await;
    let tried: Vec<Tried> = diesel::sql_query(
        "SELECT s AS status, sched AS scheduled, l AS launched, p AS paused, c AS completed, \
         try_status(s, sched, l, p, c) AS accepted \
         FROM unnest('{draft,scheduled,active,paused,completed}'::text[]) s, unnest('{t,f}'::bool[]) sched, \
         unnest('{t,f}'::bool[]) l, unnest('{t,f}'::bool[]) p, unnest('{t,f}'::bool[]) c",
    )
    .load(&mut world.database.connect().await)
    .await
    .unwrap();
    assert_eq!(tried.len(), 80);
    for row in tried {
        let says = [row.scheduled, row.launched, row.paused, row.completed];
        let may = instants(Status::parse(&row.status).unwrap());
        let expected = may.iter().zip(says).all(|(may, says)| may.is_none_or(|may| may == says));
        assert_eq!(row.accepted, expected, "{} {says:?}", row.status);
    }
}

async fn names(world: &World, query: &CampaignQuery) -> Vec<String> {
    let mut tx = world.begin(MINE).await;
    let mut names = Vec::new();
    let mut query = query.clone();
    loop {
        let page = tx.campaigns().list(&query).await.unwrap();
        assert!(page.len() <= usize::try_from(query.limit).unwrap());
        let Some(last) = page.last() else { break };
        let (created_at, name) = (last.campaign.created_at, last.campaign.content.name.clone());
        query.after = Some(CampaignPlace { created_at, name, no: last.campaign.no });
        names.extend(page.into_iter().map(|row| row.campaign.content.name));
    }
    tx.rollback().await.unwrap();
    names
}

#[tokio::test]
async fn pages_go_through_every_campaign_once_ties_included() {
    let world = World::new().await;
    let made = ["b", "A", "c", "a", "B", "b", "d"];
    let mut tx = world.begin(MINE).await;
    for name in made {
        // In one transaction, so that all are made at the same instant.
        insert(&mut tx, name).await;
    }
    tx.commit().await.unwrap();
    for limit in [1, 2, 3, 10] {
        let by = |order, descending| CampaignQuery { order, descending, limit, ..CampaignQuery::default() };
        assert_eq!(names(&world, &by(CampaignOrder::CreatedAt, false)).await, made);
        let newest: Vec<_> = made.into_iter().rev().collect();
        assert_eq!(names(&world, &by(CampaignOrder::CreatedAt, true)).await, newest);
        assert_eq!(names(&world, &by(CampaignOrder::Name, false)).await, ["A", "a", "b", "B", "b", "c", "d"]);
        assert_eq!(names(&world, &by(CampaignOrder::Name, true)).await, ["d", "c", "b", "B", "b", "a", "A"]);
    }
}

#[tokio::test]
async fn a_name_is_searched_literally_and_without_regard_to_case() {
    let world = World::new().await;
    for name in ["100% off", "1000 off", "a_b", "aXb", r"c\d", "ÜBER uns"] {
        world.campaign(MINE, name).await;
    }
    for (text, expected) in [
        ("0% o", vec!["100% off"]),
        ("A_B", vec!["a_b"]),
        (r"\", vec![r"c\d"]),
        ("über", vec!["ÜBER uns"]),
        ("nothing", vec![]),
    ] {
        let filter = CampaignFilter { name_contains: Some(text.to_owned()), ..CampaignFilter::default() };
        let query = CampaignQuery { filter, limit: 10, ..CampaignQuery::default() };
        assert_eq!(names(&world, &query).await, expected, "{text}");
    }
}

#[tokio::test]
async fn lists_are_filtered_by_status_and_type_and_carry_figures() {
    let world = World::new().await;
    let mut active = world.campaign(MINE, "Active").await;
    world.campaign(MINE, "Draft").await;
    active.lifecycle = Lifecycle::Active { launched_at: instant("2026-03-01T09:00:00Z") };
    world.save_launched(&active).await;
    let (tenant, no) = (active.tenant.0, active.no.0);
    world
        .database
        .run_sql(&format!(
            "INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent, bounced, unsubscribed) VALUES
             ({tenant}, {no}, 1, '2026-03-01 09:00Z', 5, 1, 0), ({tenant}, {no}, 2, '2026-03-01 09:15Z', 2, 0, 1);
             INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open) VALUES ({tenant}, {no}, 9, 9)"
        ))
        .await;
    let filter = CampaignFilter { status: Some(Status::Active), ..CampaignFilter::default() };
    let mut tx = world.begin(MINE).await;
    let query = CampaignQuery { filter, limit: 10, ..CampaignQuery::default() };
    let page = tx.campaigns().list(&query).await.unwrap();
    let [row] = page.as_slice() else { panic!("one campaign, not {}", page.len()) };
    assert_eq!((row.counts.sent, row.counts.bounced, row.counts.unsubscribed), (7, 1, 1));
    assert_eq!(row.campaign.total_contacts, 9);
    let filter = CampaignFilter { campaign_type: Some(CampaignType::Broadcast), ..CampaignFilter::default() };
    let query = CampaignQuery { filter, limit: 10, ..CampaignQuery::default() };
    assert_eq!(tx.campaigns().list(&query).await.unwrap(), []);
}

/// Waits, one after the other, under these numbers.
async fn waits(tx: &mut Tx, numbers: &[i16]) -> Sequence {
    let ids = tx.campaigns().new_step_ids(numbers.len()).await.unwrap();
    let follows = numbers.iter().skip(1).map(|no| Target::Step(StepNo(*no))).chain([Target::End]);
    let steps = numbers.iter().zip(ids).zip(follows).zip(1..).map(|(((no, id), next), order)| Step {
        no: StepNo(*no),
        id,
        order,
        name: format!("Wait {no}"),
        kind: StepKind::Wait { wait: Wait::For { value: 1, unit: WaitUnit::Days }, next },
        explicit: Explicit { next: order == 1, ..Explicit::default() },
    });
    Sequence { steps: steps.collect() }
}

#[tokio::test]
async fn a_draft_keeps_its_last_sequence_alone_and_a_launched_campaign_every_one() {
    let world = World::new().await;
    let mut campaign = world.campaign(MINE, "Steps").await;
    let mut tx = world.begin(MINE).await;
    assert_eq!(tx.campaigns().sequence(&campaign, SequenceVersion(0)).await.unwrap(), Sequence::default());
    campaign.sequence_version = SequenceVersion(1);
    let first = waits(&mut tx, &[1, 2]).await;
    tx.campaigns().add_sequence(&campaign, &first).await.unwrap();
    campaign.sequence_version = SequenceVersion(2);
    let second = Sequence { steps: vec![first.steps[1].clone()] };
    tx.campaigns().add_sequence(&campaign, &second).await.unwrap();
    assert!(tx.campaigns().sequence(&campaign, SequenceVersion(1)).await.is_err(), "nobody is in it, so it is gone");
    assert_eq!(tx.campaigns().sequence(&campaign, SequenceVersion(2)).await.unwrap(), second);
    let known = tx.campaigns().registered_steps(&campaign).await.unwrap();
    assert_eq!(known.iter().map(|step| step.id).collect::<Vec<_>>(), [first.steps[1].id]);

    campaign.lifecycle = Lifecycle::Active { launched_at: instant("2026-03-01T09:00:00Z") };
    campaign.sequence_version = SequenceVersion(3);
    let third = waits(&mut tx, &[3]).await;
    tx.campaigns().add_sequence(&campaign, &third).await.unwrap();
    assert_eq!(tx.campaigns().sequence(&campaign, SequenceVersion(2)).await.unwrap(), second);
    assert_eq!(tx.campaigns().sequence(&campaign, SequenceVersion(3)).await.unwrap(), third);
    assert_eq!(tx.campaigns().registered_steps(&campaign).await.unwrap().len(), 2, "a removed step keeps its number");
    campaign.sequence_version = SequenceVersion(4);
    let fourth = Sequence { steps: [second.steps.clone(), third.steps.clone()].concat() };
    tx.campaigns().add_sequence(&campaign, &fourth).await.unwrap();
    tx.commit().await.unwrap();
    assert!(world.says("(SELECT array_agg(step ORDER BY step) FROM campaign_steps WHERE NOT removed) = '{2,3}'").await);
}

#[tokio::test]
async fn a_campaign_is_read_with_the_steps_of_the_same_moment() {
    let world = World::new().await;
    let campaign = world.campaign(MINE, "Edited").await;
    let mut tx = world.begin(MINE).await;
    let read = tx.campaigns().find_with_steps(campaign.id).await.unwrap().unwrap();
    assert_eq!(read, (campaign.clone(), Sequence::default()));
    tx.rollback().await.unwrap();

    let store = world.store.clone();
    let mut edited = campaign.clone();
    let editing = tokio::spawn(async move {
        for version in 1..=40 {
            let mut tx = store.begin(MINE).await.unwrap();
            edited.sequence_version = SequenceVersion(version);
            let steps = waits(&mut tx, &[1]).await;
            tx.campaigns().add_sequence(&edited, &steps).await.unwrap();
            assert_eq!(tx.campaigns().save(&edited).await.unwrap(), Saved::Stored);
            tx.commit().await.unwrap();
            edited.version += 1;
        }
    });
    let mut reads = 0;
    while !editing.is_finished() || reads == 0 {
        let mut tx = world.begin(MINE).await;
        let (now, steps) = tx.campaigns().find_with_steps(campaign.id).await.unwrap().unwrap();
        assert_eq!(steps.steps.len(), usize::from(now.sequence_version.0 > 0), "version {:?}", now.sequence_version);
        tx.rollback().await.unwrap();
        reads += 1;
    }
    editing.await.unwrap();
    let mut tx = world.begin(NEXT_DOOR).await;
    assert_eq!(tx.campaigns().find_with_steps(campaign.id).await.unwrap(), None);
}

#[tokio::test]
async fn deleting_takes_steps_and_sequences_along() {
    let world = World::new().await;
    let mut campaign = world.campaign(MINE, "Gone").await;
    let mut tx = world.begin(MINE).await;
    campaign.sequence_version = SequenceVersion(1);
    let steps = waits(&mut tx, &[1]).await;
    tx.campaigns().add_sequence(&campaign, &steps).await.unwrap();
    tx.campaigns().delete(&campaign).await.unwrap();
    assert_eq!(tx.campaigns().find(campaign.id).await.unwrap(), None);
    tx.commit().await.unwrap();
    assert!(world.says("NOT EXISTS (SELECT FROM campaign_steps) AND NOT EXISTS (SELECT FROM sequence_versions)").await);
}

#[tokio::test]
async fn what_was_launched_is_never_deleted() {
    let world = World::new().await;
    let mut campaign = world.campaign(MINE, "Stays").await;
    campaign.lifecycle = Lifecycle::Active { launched_at: instant("2026-03-01T09:00:00Z") };
    world.save_launched(&campaign).await;
    let mut tx = world.begin(MINE).await;
    tx.campaigns().delete(&campaign).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.read(&campaign).await.status(), Status::Active);
}
