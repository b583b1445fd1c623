//! The proxy fails as it is told, and only then.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_testkit::database::TestDatabase;
use muster_testkit::fault_proxy::{FaultProxy, Side, Upstream};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy before somebody who answers every octet with the next one.
async fn echoing() -> FaultProxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut octet = [0];
                while tcp.read_exact(&mut octet).await.is_ok() && tcp.write_all(&[octet[0] + 1]).await.is_ok() {}
            });
        }
    });
    FaultProxy::start(Upstream::Tcp(address)).await.unwrap()
}

async fn say(tcp: &mut TcpStream, octet: u8) -> Option<u8> {
    tcp.write_all(&[octet]).await.ok()?;
    tcp.read_u8().await.ok()
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_nothing_that_comes_after() {
    let proxy = echoing().await;
    let mut before = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut before, 7).await, Some(8));
    assert_eq!(proxy.cut(), 1);
    assert_eq!(say(&mut before, 7).await, None);
    let mut after = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut after, 7).await, Some(8));
}

#[tokio::test]
async fn half_open_says_nothing_until_it_passes_again() {
    let proxy = echoing().await;
    let mut tcp = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut tcp, 7).await, Some(8));
    proxy.half_open();
    tcp.write_all(&[20]).await.unwrap();
    let mut heard = [0];
    let silence = tokio::time::timeout(Duration::from_millis(100), tcp.read_exact(&mut heard)).await;
    assert!(silence.is_err(), "it heard {heard:?}");
    proxy.pass();
    assert_eq!(tcp.read_u8().await.unwrap(), 21);
}

#[tokio::test]
async fn refused_connections_are_hung_up_on_and_counted_octets_cut() {
    let proxy = echoing().await;
    proxy.refuse(true);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut refused, 7).await, None);
    proxy.refuse(false);
    proxy.cut_after(3);
    let mut tcp = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!((say(&mut tcp, 1).await, say(&mut tcp, 2).await, say(&mut tcp, 3).await), (Some(2), Some(3), None));
    assert_eq!(proxy.trapped(), 1);
}

/// A connection to that database through a proxy.
async fn database_through_a_proxy() -> (TestDatabase, FaultProxy, String) {
    let database = TestDatabase::create_empty().await;
    database.run_sql("CREATE TABLE notes (n int)").await;
    let mut conn = database.connect().await;
    let socket =
        "trim('\"' FROM current_setting('unix_socket_directories')) || '/.s.PGSQL.' || current_setting('port')";
    let socket: String = diesel::select(diesel::dsl::sql::<Text>(socket)).get_result(&mut conn).await.unwrap();
    let proxy = FaultProxy::start(Upstream::Unix(socket.into())).await.unwrap();
    let name = database.url().expose_secret().rsplit('/').next().expect("a database").to_owned();
    let through = format!("postgres://postgres@{}/{name}", proxy.address());
    (database, proxy, through)
}

async fn notes(database: &TestDatabase) -> i64 {
    let mut conn = database.connect().await;
    diesel::dsl::sql::<BigInt>("SELECT count(*) FROM notes").get_result(&mut conn).await.unwrap()
}

#[tokio::test]
async fn a_cut_after_commit_is_done_and_nobody_is_told_and_one_before_is_not_done() {
    let (database, proxy, url) = database_through_a_proxy().await;
    for (side, expected) in [(Side::Before, 0), (Side::After, 1)] {
        let mut conn = AsyncPgConnection::establish(&url).await.unwrap_or_else(|error| panic!("{side:?}: {error}"));
        conn.batch_execute("BEGIN; INSERT INTO notes VALUES (1)").await.unwrap();
        proxy.cut_on(b"COMMIT", side, 1);
        conn.batch_execute("COMMIT").await.expect_err("its answer is lost");
        assert_eq!(notes(&database).await, expected, "{side:?}");
    }
    assert_eq!(proxy.trapped(), 2);
    let mut conn = AsyncPgConnection::establish(&url).await.unwrap();
    conn.batch_execute("BEGIN; INSERT INTO notes VALUES (2); COMMIT").await.expect("the trap is used up");
}
