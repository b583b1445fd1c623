//! The private database server, against the PostgreSQL installed on this machine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks to its copy by printing"
)]

use diesel::prelude::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_adapters::embedded::{Durability, EmbeddedError, EmbeddedOptions, EmbeddedPostgres, Shutdown};
use secrecy::ExposeSecret;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Set for a copy of this test program that is to start a server there and be killed.
const STATE_DIR_OF_CHILD: &str = "MUSTER_TEST_STATE_DIR";

fn state_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn options(state_dir: &Path) -> EmbeddedOptions {
    let state_dir = state_dir.to_owned();
    EmbeddedOptions { state_dir, durability: Durability::Throwaway, bin_dir: None, download: false }
}

async fn start(state_dir: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(options(state_dir)).await.unwrap()
}

async fn connect(server: &EmbeddedPostgres) -> AsyncPgConnection {
    AsyncPgConnection::establish(server.database_url("postgres").expose_secret()).await.unwrap()
}

async fn execute(server: &EmbeddedPostgres, sql: &str) {
    connect(server).await.batch_execute(sql).await.unwrap();
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The one number that `expression` gives.
async fn ask(server: &EmbeddedPostgres, expression: &str) -> i64 {
    let query = diesel::sql_query(format!("SELECT ({expression})::bigint AS number"));
    query.get_result::<Number>(&mut connect(server).await).await.unwrap().number
}

fn is_alive(pid: u32) -> bool {
    // A zombie is dead: its parent just has not looked yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until_dead(pid: u32) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) {
        assert!(Instant::now() < give_up, "the server {pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_stop_and_a_start() {
    let dir = state_dir();
    let server = start(dir.path()).await;
    execute(&server, "CREATE TABLE kept AS SELECT 42 AS number").await;
    let pid = server.pid();
    server.stop(Shutdown::Fast).await.unwrap();
    assert!(!is_alive(pid));

    let server = start(dir.path()).await;
    assert_eq!(ask(&server, "SELECT number FROM kept").await, 42);
}

#[tokio::test]
async fn dropping_the_handle_stops_the_server() {
    let dir = state_dir();
    let server = start(dir.path()).await;
    let pid = server.pid();
    assert!(is_alive(pid));
    drop(server);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn nothing_committed_is_lost_when_the_server_is_killed() {
    let dir = state_dir();
    for (round, how) in [Shutdown::Kill, Shutdown::Immediate, Shutdown::Kill].into_iter().enumerate() {
        let server = start(dir.path()).await;
        execute(&server, &format!("CREATE TABLE round_{round} AS SELECT FROM generate_series(1, 1000)")).await;
        server.stop(how).await.unwrap();
        let server = start(dir.path()).await;
        assert_eq!(ask(&server, &format!("SELECT count(*) FROM round_{round}")).await, 1000);
    }
}

#[tokio::test]
async fn a_server_that_died_by_itself_is_noticed() {
    let dir = state_dir();
    let mut server = start(dir.path()).await;
    assert!(server.is_running());
    Command::new("kill").args(["-9", &server.pid().to_string()]).status().unwrap();
    wait_until_dead(server.pid());
    assert!(!server.is_running());
}

/// In the copy of this test program that [`parent_of_a_server`] starts: starts a server, says so, and waits to be killed.
async fn be_the_parent_if_asked() {
    if let Some(state_dir) = std::env::var_os(STATE_DIR_OF_CHILD) {
        let server = start(Path::new(&state_dir)).await;
        println!("pid {}", server.pid());
        std::future::pending::<()>().await;
    }
}

/// Another process that runs a server on `state_dir`, and that server's pid. `test` is the calling test.
fn parent_of_a_server(test: &str, state_dir: &Path) -> (Child, u32) {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(STATE_DIR_OF_CHILD, state_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(parent.stdout.take().unwrap());
    let pid = said.lines().find_map(|line| line.unwrap().split_once("pid ")?.1.parse().ok());
    (parent, pid.expect("the copy says its server's pid"))
}

/// A connection to the server of another process.
async fn connect_to(state_dir: &Path) -> AsyncPgConnection {
    let socket_dir = state_dir.join("socket").display().to_string().replace('/', "%2F");
    AsyncPgConnection::establish(&format!("postgres://postgres@{socket_dir}/postgres")).await.unwrap()
}

#[tokio::test]
async fn the_servers_life_ends_with_its_parents() {
    be_the_parent_if_asked().await;
    let dir = state_dir();
    let (mut parent, pid) = parent_of_a_server("the_servers_life_ends_with_its_parents", dir.path());
    connect_to(dir.path()).await.batch_execute("CREATE TABLE kept AS SELECT 7 AS number").await.unwrap();
    assert!(is_alive(pid));

    parent.kill().unwrap();
    parent.wait().unwrap();
    // No wait here: the successor has to cope with a predecessor that is still going down.
    let server = start(dir.path()).await;
    assert_eq!(ask(&server, "SELECT number FROM kept").await, 7);
    wait_until_dead(pid);
}

#[tokio::test]
async fn after_kill_9_of_parent_and_server_the_next_start_recovers() {
    be_the_parent_if_asked().await;
    let dir = state_dir();
    for round in 0..5 {
        let this = "after_kill_9_of_parent_and_server_the_next_start_recovers";
        let (mut parent, pid) = parent_of_a_server(this, dir.path());
        let mut connection = connect_to(dir.path()).await;
        let table = format!("CREATE TABLE round_{round} AS SELECT FROM generate_series(1, 500)");
        connection.batch_execute(&table).await.unwrap();
        // A session that is busy when the server dies keeps its shared memory for a moment longer.
        let busy =
            tokio::spawn(async move { connection.batch_execute("SELECT sum(n) FROM generate_series(1, 1e9) n").await });
        tokio::task::yield_now().await;

        Command::new("kill").args(["-9", &pid.to_string(), &parent.id().to_string()]).status().unwrap();
        parent.wait().unwrap();
        let server = start(dir.path()).await;
        assert_eq!(ask(&server, &format!("SELECT count(*) FROM round_{round}")).await, 500);
        assert!(busy.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn two_starters_on_one_folder_make_one_server_and_one_clear_error() {
    let dir = state_dir();
    let (one, other) =
        tokio::join!(EmbeddedPostgres::start(options(dir.path())), EmbeddedPostgres::start(options(dir.path())));
    let refused = match (one, other) {
        (Ok(_running), Err(refused)) | (Err(refused), Ok(_running)) => refused,
        (one, other) => panic!("{one:?}, {other:?}"),
    };
    let me = std::process::id();
    assert!(matches!(refused, EmbeddedError::InUse { holder: Some(pid), .. } if pid == me), "{refused}");
}

#[tokio::test]
async fn a_folder_with_a_path_too_long_for_a_socket_works_as_well() {
    let dir = state_dir();
    let long = dir.path().join("a long name, with % and spaces ".repeat(4));
    let server = start(&long).await;
    assert_eq!(ask(&server, "SELECT 1").await, 1);
}

#[tokio::test]
async fn an_initdb_that_did_not_finish_is_done_again() {
    let dir = state_dir();
    std::fs::create_dir(dir.path().join("data.new")).unwrap();
    std::fs::write(dir.path().join("data.new/PG_VERSION"), "half").unwrap();
    let server = start(dir.path()).await;
    assert_eq!(ask(&server, "SELECT 1").await, 1);
    assert!(!dir.path().join("data.new").exists());
}

#[tokio::test]
async fn the_server_never_runs_as_root_and_nobody_else_gets_at_its_socket() {
    let dir = state_dir();
    let server = start(dir.path()).await;
    let owner = std::fs::metadata(format!("/proc/{}", server.pid())).unwrap().uid();
    let me = std::fs::metadata("/proc/self").unwrap().uid();
    assert_ne!(owner, 0);
    assert!(me == 0 || owner == me);
    assert_eq!(server.notes().is_empty(), me != 0, "{:?}", server.notes());
    let socket_dir = std::fs::metadata(dir.path().join("socket")).unwrap();
    assert_eq!((socket_dir.mode() & 0o777, socket_dir.uid()), (0o700, owner));
}

#[tokio::test]
async fn durable_data_has_fsync_and_checksums() {
    let dir = state_dir();
    let options = EmbeddedOptions { durability: Durability::Durable, ..options(dir.path()) };
    let server = EmbeddedPostgres::start(options).await.unwrap();
    for setting in ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"] {
        assert_eq!(ask(&server, &format!("SELECT (current_setting('{setting}') = 'on')::int")).await, 1, "{setting}");
    }
}

#[tokio::test]
async fn the_log_keeps_no_row_and_no_statement() {
    let dir = state_dir();
    let server = start(dir.path()).await;
    execute(&server, "CREATE TABLE contacts (email text PRIMARY KEY); INSERT INTO contacts VALUES ('ada@example.org')")
        .await;
    let mut connection = connect(&server).await;
    connection.batch_execute("INSERT INTO contacts VALUES ('ada@example.org')").await.unwrap_err();
    let log = std::fs::read_to_string(dir.path().join("postgres.log")).unwrap();
    assert!(log.contains("duplicate key"), "{log}");
    assert!(!log.contains("ada@example.org"), "{log}");
}

#[tokio::test]
async fn settings_that_the_server_refuses_end_in_its_own_words() {
    let dir = state_dir();
    let server = start(dir.path()).await;
    server.stop(Shutdown::Fast).await.unwrap();
    std::fs::write(dir.path().join("data/postgresql.conf"), "no_such_setting = on\n").unwrap();
    let refused = EmbeddedPostgres::start(options(dir.path())).await.unwrap_err();
    assert!(refused.to_string().contains("no_such_setting"), "{refused}");
}

#[tokio::test]
async fn a_machine_without_binaries_gets_the_install_command() {
    let dir = state_dir();
    let options = EmbeddedOptions { bin_dir: Some(dir.path().join("nothing")), ..options(dir.path()) };
    let refused = EmbeddedPostgres::start(options).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::NoBinaries { .. }), "{refused}");
}
