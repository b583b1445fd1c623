//! The databases that the other tests rest on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_adapters::embedded::Shutdown;
use muster_testkit::database::{TestCluster, TestDatabase};
use secrecy::ExposeSecret;
use std::time::Duration;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

async fn ask(database: &TestDatabase, expression: &str) -> i64 {
    let query = diesel::sql_query(format!("SELECT ({expression})::bigint AS number"));
    query.get_result::<Number>(&mut database.connect().await).await.unwrap().number
}

#[tokio::test]
async fn a_test_database_has_the_whole_schema() {
    let database = TestDatabase::create().await;
    assert_eq!(muster_adapters::postgres::pending_migrations(database.url()).await.unwrap(), Vec::<String>::new());
    assert_eq!(ask(&database, "SELECT count(*) FROM pg_tables WHERE tablename = 'campaigns'").await, 1);
}

#[tokio::test]
async fn an_empty_database_has_nothing_of_it() {
    let database = TestDatabase::create_empty().await;
    assert_eq!(ask(&database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
}

#[tokio::test]
async fn tests_do_not_see_each_other() {
    let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
    one.run_sql("CREATE TABLE mine AS SELECT 1").await;
    assert_eq!(ask(&other, "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'").await, 0);
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_while_somebody_is_connected() {
    let witness = TestDatabase::create().await;
    let database = TestDatabase::create().await;
    let url = database.url().clone();
    let mut connected = database.connect().await;
    drop(database);
    tokio::time::timeout(Duration::from_secs(10), async {
        while AsyncPgConnection::establish(url.expose_secret()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the database is dropped");
    assert!(connected.batch_execute("SELECT 1").await.is_err());
    assert_eq!(ask(&witness, "SELECT 1").await, 1);
}

#[tokio::test]
async fn what_was_committed_survives_the_crash_of_a_test_cluster() {
    let cluster = TestCluster::start().await;
    let database = cluster.database().await;
    database.run_sql("CREATE TABLE kept AS SELECT 5 AS number").await;
    let mut cut = database.connect().await;
    cluster.restart_immediate().await;
    assert!(cut.batch_execute("SELECT 1").await.is_err());
    assert_eq!(ask(&database, "SELECT number FROM kept").await, 5);
}

#[tokio::test]
async fn a_stopped_test_cluster_answers_nobody_until_it_is_started_again() {
    let cluster = TestCluster::start().await;
    let database = cluster.database().await;
    cluster.stop(Shutdown::Fast).await;
    assert!(AsyncPgConnection::establish(database.url().expose_secret()).await.is_err());
    cluster.start_again().await;
    assert_eq!(ask(&database, "SELECT 1").await, 1);
}
