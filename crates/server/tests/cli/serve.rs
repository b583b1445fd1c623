//! `muster serve`.

use crate::program::{Program, muster, run, text};
use muster_testkit::database::TestDatabase;
use secrecy::{ExposeSecret, SecretString};
use std::time::{Duration, Instant};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Serves that database on a free port; tells where.
fn serve(url: &SecretString) -> (Program, String) {
    let mut command = muster(&["serve", "--http-addr", "127.0.0.1:0"]);
    command.env("DATABASE_URL", url.expose_secret()).env("MUSTER_SECRET_KEY", KEY);
    let program = Program::start(command);
    let line = program.wait_for_log("serving http://");
    let base = line.split_once("serving ").and_then(|(_, rest)| rest.split_once("/api")).expect("an address").0;
    let base = base.to_owned();
    (program, base)
}

async fn status(base: &str, path: &str) -> (u16, String) {
    let answer = client().get(format!("{base}{path}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

fn client() -> reqwest::Client {
    muster_server::crypto::install_provider();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().expect("a client")
}

#[test]
fn serve_without_a_database_names_the_next_step() {
    let refused = run(muster(&["serve"]));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for needed in ["--database-url (DATABASE_URL)", "muster up", "--secret-key (MUSTER_SECRET_KEY)", "openssl rand"] {
        assert!(said.contains(needed), "{needed}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_is_there_before_its_database_and_says_what_it_waits_for() {
    let nobody = SecretString::from("postgres://nobody@127.0.0.1:1/nothing");
    let (mut program, base) = serve(&nobody);
    assert_eq!(status(&base, "/healthz").await.0, 200);
    let (code, said) = status(&base, "/readyz").await;
    assert!(code == 503 && said.contains("database cannot be reached"), "{code} {said}");
    program.wait_for_log("waiting for the database");
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    assert!(!program.log().contains("nobody@"), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_becomes_ready_once_somebody_migrates() {
    let database = TestDatabase::create_empty().await;
    let (mut program, base) = serve(database.url());
    let (code, said) = status(&base, "/readyz").await;
    assert!(code == 503 && said.contains("muster migrate"), "{code} {said}");
    muster_adapters::postgres::migrate(database.url()).await.expect("migrations");
    let give_up = Instant::now() + crate::program::PATIENCE;
    while status(&base, "/readyz").await.0 != 200 {
        assert!(Instant::now() < give_up, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    program.wait_for_log("the database is ready");
    program.signal("INT");
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn serve_and_work_warn_of_links_without_https() {
    let state = tempfile::tempdir().expect("a folder");
    for arguments in [&["serve", "--http-addr", "127.0.0.1:0"][..], &["work", "--smtp-url", "smtp://127.0.0.1:1"]] {
        for (public, warned) in [("http://mail.example.com", true), ("https://mail.example.com", false)] {
            let mut command = muster(arguments);
            command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing").env("MUSTER_SECRET_KEY", KEY);
            command.env("MUSTER_PUBLIC_URL", public).env("MUSTER_STATE_DIR", state.path());
            let mut program = Program::start(command);
            program.wait_for_log("waiting for the database");
            let log = program.log();
            assert_eq!(log.contains("one-click unsubscribe wants https"), warned, "{arguments:?} {log}");
            assert_eq!(log.contains("MUSTER_PUBLIC_URL"), warned, "{log}");
            program.signal("TERM");
            assert_eq!(program.wait().code(), Some(0), "{}", program.log());
        }
    }
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its number").to_string();
    let mut command = muster(&["serve", "--http-addr", &address]);
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing").env("MUSTER_SECRET_KEY", KEY);
    let refused = run(command);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains(&address) && said.contains("--http-addr"), "{said}");
}
