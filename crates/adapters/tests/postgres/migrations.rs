//! Migrating: safe with several at once, reversible, and the same whoever connects.

use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use muster_adapters::postgres::{PgStore, PoolOptions, migrate, pending_migrations};
use muster_domain::model::ids::{TenantNo, WorkspaceNo};
use muster_domain::ports::store::{Store, Workspace};
use muster_testkit::database::TestDatabase;
use secrecy::{ExposeSecret, SecretString};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every column, constraint, index and policy, as text.
const SHAPE: &str = "\
    SELECT 'column ' || table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || coalesce(' ' || column_default, '') AS line \
    FROM information_schema.columns WHERE table_schema = 'public' \
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' \
    UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || coalesce(qual, '') FROM pg_policies \
    UNION ALL SELECT 'routine ' || oid::regprocedure || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1";

async fn shape(database: &TestDatabase) -> Vec<String> {
    let rows: Vec<Line> = diesel::sql_query(SHAPE).get_results(&mut database.connect().await).await.unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_migrators_at_once_apply_each_migration_once() {
    let database = TestDatabase::create_empty().await;
    let pending = pending_migrations(database.url()).await.unwrap();
    let reports = futures::future::join_all((0..8).map(|_| migrate(database.url()))).await;
    let mut applied: Vec<_> = reports.into_iter().flat_map(|report| report.unwrap().applied).collect();
    applied.sort();
    assert_eq!(applied, pending);
    assert_eq!(pending_migrations(database.url()).await.unwrap(), Vec::<String>::new());
    assert_eq!(migrate(database.url()).await.unwrap().applied, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_can_be_taken_back_and_made_again() {
    let database = TestDatabase::create().await;
    let before = shape(&database).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    names.sort();
    let mut conn = database.connect().await;
    for name in names.iter().rev() {
        conn.batch_execute(&std::fs::read_to_string(name.join("down.sql")).unwrap()).await.unwrap();
    }
    let left = shape(&database).await;
    assert!(left.iter().all(|line| line.contains("__diesel_schema_migrations")), "left behind: {left:?}");
    for name in &names {
        conn.batch_execute(&std::fs::read_to_string(name.join("up.sql")).unwrap()).await.unwrap();
    }
    assert_eq!(shape(&database).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_special_rights_is_enough_to_work() {
    let database = TestDatabase::create_empty().await;
    // Whoever may make roles migrates; afterwards nothing more is needed.
    database
        .run_sql(
            "DO $$ BEGIN CREATE ROLE plain_owner LOGIN CREATEROLE; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )
        .await;
    let url = database.url().expose_secret();
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    database.run_sql(&format!("ALTER DATABASE \"{name}\" OWNER TO plain_owner; ALTER SCHEMA public OWNER TO plain_owner; GRANT muster_app, muster_scheduler TO plain_owner WITH ADMIN OPTION")).await;
    let plain = SecretString::from(url.replacen("postgres@", "plain_owner@", 1));
    assert_ne!(plain.expose_secret(), url, "the test's own assumption about the address");
    migrate(&plain).await.unwrap();
    let store = PgStore::new(&plain, PoolOptions::default()).unwrap();
    let mut tx = store.begin(Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) }).await.unwrap();
    tx.now().await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_without_its_password() {
    let nowhere = SecretString::from("postgres://muster:s3cret@127.0.0.1:1/muster");
    let error = migrate(&nowhere).await.unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    assert!(error.contains("cannot be reached"), "{error}");
}
