//! Making business time run faster: only where nobody waits for mail in real time.

use crate::fixture::Fixture;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use muster_adapters::postgres::{TimeInUse, TimeLapseError, begin_time_lapse, time_in_use};
use muster_domain::ports::work::TimeLapse;
use muster_testkit::database::TestDatabase;

const DRIP: &str = r#"[{"no": 1, "id": "00000000-0000-7000-8000-000000000001", "order": 1, "name": "mail", "stepType": "email",
    "content": {"subjectLine": "Hello", "emailContent": "<p>Hello</p>"}, "next": "end"}]"#;

#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = "QUERY PLAN")]
    line: String,
}

#[tokio::test]
async fn time_runs_fast_from_now_on_in_a_database_without_campaigns() {
    let fixture = Fixture::new().await;
    let url = fixture.database.url();
    let fresh = TimeInUse { factor: None, has_tenants: false, has_campaigns: false };
    assert_eq!(time_in_use(url).await.unwrap(), fresh);
    begin_time_lapse(url, 86_400.0).await.unwrap();
    assert_eq!(time_in_use(url).await.unwrap(), TimeInUse { factor: Some(86_400.0), ..fresh });
    let ahead = "SELECT count(*) FROM virtual_clock WHERE abs(extract(epoch FROM virtual_now - now())) < 5";
    assert_eq!(fixture.count(ahead).await, 1, "it begins at the real time");
    assert!(fixture.store.tick().await.unwrap().is_some());
}

/// Plans have the clock's time in place of the call, and are kept.
#[tokio::test]
async fn a_session_that_has_planned_a_statement_follows_the_clock_that_is_set_and_the_one_that_is_taken_away() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.database.connect().await;
    let is_real = "EXECUTE is_real";
    let prepare = "SET plan_cache_mode = force_generic_plan; \
        PREPARE is_real AS SELECT 1 / (muster_now() = date_trunc('milliseconds', now()))::int";
    conn.batch_execute(prepare).await.unwrap();
    conn.batch_execute(is_real).await.unwrap();
    fixture
        .sql("INSERT INTO virtual_clock (factor, virtual_now, ticked_at) VALUES (60, '2030-01-01', clock_timestamp())")
        .await;
    assert!(conn.batch_execute(is_real).await.is_err(), "time is virtual");
    conn.batch_execute("SELECT 1 / (muster_now() = '2030-01-01')::int").await.unwrap();
    fixture.sql("DELETE FROM virtual_clock").await;
    conn.batch_execute(is_real).await.unwrap();
}

/// A function that is called, and not put in the place of its call, costs every statement that asks for the time.
#[tokio::test]
async fn the_clocks_time_is_an_expression_in_every_plan() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.database.connect().await;
    let rows: Vec<PlanRow> = sql_query("EXPLAIN (VERBOSE) SELECT muster_now()").load(&mut conn).await.unwrap();
    let plan: String = rows.into_iter().map(|row| row.line).collect();
    assert!(plan.contains("date_trunc") && !plan.contains("muster_now"), "{plan}");
}

#[tokio::test]
async fn campaigns_that_run_in_real_time_are_not_hurried() {
    let fixture = Fixture::new().await;
    fixture.campaign(DRIP).await;
    let refused = begin_time_lapse(fixture.database.url(), 60.0).await;
    assert!(matches!(refused, Err(TimeLapseError::InUse)), "{refused:?}");
    let found = time_in_use(fixture.database.url()).await.unwrap();
    assert_eq!(found, TimeInUse { factor: None, has_tenants: true, has_campaigns: true });
}

#[tokio::test]
async fn a_database_in_time_lapse_may_be_given_another_speed() {
    let fixture = Fixture::new().await;
    begin_time_lapse(fixture.database.url(), 60.0).await.unwrap();
    fixture.campaign(DRIP).await;
    begin_time_lapse(fixture.database.url(), 3_600.0).await.unwrap();
    assert_eq!(time_in_use(fixture.database.url()).await.unwrap().factor, Some(3_600.0));
}

#[tokio::test]
async fn a_database_that_is_not_migrated_has_no_business_time() {
    let empty = TestDatabase::create_empty().await;
    assert!(matches!(time_in_use(empty.url()).await, Err(TimeLapseError::Failed(_))));
}
