//! Making business time run faster: only where nobody waits for mail in real time.

use crate::fixture::Fixture;
use muster_adapters::postgres::{TimeInUse, TimeLapseError, begin_time_lapse, time_in_use};
use muster_domain::ports::work::TimeLapse;
use muster_testkit::database::TestDatabase;

const DRIP: &str = r#"[{"no": 1, "id": "00000000-0000-7000-8000-000000000001", "order": 1, "name": "mail", "stepType": "email",
    "content": {"subjectLine": "Hello", "emailContent": "<p>Hello</p>"}, "next": "end"}]"#;

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
