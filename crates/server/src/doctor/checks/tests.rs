//! The checks against real sockets, folders and a real database.

use super::{Check, database, http, key, links, mail, programs, state};
use crate::catcher::{Catcher, CatcherOptions};
use crate::commands::doctor::DoctorArgs;
use crate::config::Surroundings;
use crate::doctor::Verdict;
use clap::{Args, Command, FromArgMatches};
use std::net::TcpListener;

fn args(flags: &[&str]) -> DoctorArgs {
    let command = DoctorArgs::augment_args(Command::new("doctor")).no_binary_name(true).mut_args(|arg| arg.env(None));
    DoctorArgs::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap()
}

#[track_caller]
fn expect(check: &Check, verdict: Verdict, found: &str) {
    assert!(check.verdict == verdict && check.found.contains(found), "{check:?}");
    assert_eq!(check.mend.is_none(), verdict == Verdict::Good, "what is not good says how to mend it: {check:?}");
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_mail_server_has_to_greet() {
    expect(&mail(&args(&[])).await, Verdict::Optional, "not named");
    expect(&mail(&args(&["--smtp-url", "mail.example.test"])).await, Verdict::Bad, "smtp://");
    let nobody = format!("smtp://127.0.0.1:{}", free_port());
    expect(&mail(&args(&["--smtp-url", &nobody])).await, Verdict::Bad, "unavailable");
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let there = format!("smtp://{}", catcher.smtp_addr());
    expect(&mail(&args(&["--smtp-url", &there])).await, Verdict::Good, "greets");
    catcher.stop().await;
}

#[tokio::test]
async fn an_address_is_free_or_taken_or_already_served() {
    let free = format!("127.0.0.1:{}", free_port());
    expect(&http(&args(&["--http-addr", &free])).await, Verdict::Good, "free");
    expect(&http(&args(&["--http-addr", "here"])).await, Verdict::Bad, "HOST:PORT");
    expect(&http(&args(&["--http-addr", "192.0.2.1:8080"])).await, Verdict::Bad, "cannot be listened on");

    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let taken = catcher.http_addr().to_string();
    expect(&http(&args(&["--http-addr", &taken])).await, Verdict::Bad, "another program");
    catcher.stop().await;

    let server = actix_web::HttpServer::new(|| {
        actix_web::App::new().route("/healthz", actix_web::web::get().to(actix_web::HttpResponse::Ok))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let served = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    expect(&http(&args(&["--http-addr", &served])).await, Verdict::Good, "served already");
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}

#[test]
fn the_state_folder_has_to_be_writable_or_possible() {
    let nowhere = Surroundings::default();
    expect(&state(&args(&[]), &nowhere), Verdict::Bad, "HOME");
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().to_str().unwrap().to_owned();
    expect(&state(&args(&["--state-dir", &there]), &nowhere), Verdict::Good, "is writable");
    let below = format!("{there}/a/b");
    expect(&state(&args(&["--state-dir", &below]), &nowhere), Verdict::Good, "is made when");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the doctor leaves nothing behind");
    expect(&state(&args(&["--state-dir", "/proc/muster"]), &nowhere), Verdict::Bad, "not writable");
}

#[test]
fn a_key_is_well_formed_or_explained() {
    expect(&key(&args(&[])), Verdict::Optional, "not given");
    expect(&key(&args(&["--secret-key", "short"])), Verdict::Bad, "64 hex digits");
    expect(&key(&args(&["--secret-key", &"ab".repeat(32)])), Verdict::Good, "well-formed");
}

#[test]
fn links_are_judged_by_where_they_lead() {
    expect(&links(&args(&[])), Verdict::Doubtful, "this machine only");
    expect(&links(&args(&["--public-url", "http://mail.example.com"])), Verdict::Doubtful, "plain http");
    expect(&links(&args(&["--public-url", "https://mail.example.com"])), Verdict::Good, "https://mail.example.com");
    expect(&links(&args(&["--public-url", "mail"])), Verdict::Bad, "web address");
    expect(&links(&args(&["--http-addr", "x"])), Verdict::Bad, "HTTP address");
}

#[tokio::test]
async fn programs_are_needed_only_without_a_database() {
    let empty = tempfile::tempdir().unwrap();
    let bin = empty.path().to_str().unwrap();
    expect(&programs(&args(&["--pg-bin", bin])).await, Verdict::Bad, "no initdb");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_reported_without_its_password() {
    let checks = database(&args(&[])).await;
    expect(&checks[0], Verdict::Optional, "not named");
    let checks = database(&args(&["--database-url", "nonsense"])).await;
    expect(&checks[0], Verdict::Bad, "postgres://");
    let url = format!("postgres://ada:hunter2@127.0.0.1:{}/muster", free_port());
    let checks = database(&args(&["--database-url", &url])).await;
    expect(&checks[0], Verdict::Bad, "cannot be reached");
    assert!(checks.len() == 1 && !format!("{checks:?}").contains("hunter2"), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_migrations_are_counted() {
    use muster_testkit::database::TestDatabase;
    use secrecy::ExposeSecret;
    let migrated = TestDatabase::create().await;
    let checks = database(&args(&["--database-url", migrated.url().expose_secret()])).await;
    expect(&checks[0], Verdict::Good, "answers");
    expect(&checks[1], Verdict::Good, "up to date");
    expect(&checks[2], Verdict::Good, "in English");

    let empty = TestDatabase::create_empty().await;
    let checks = database(&args(&["--database-url", empty.url().expose_secret()])).await;
    expect(&checks[0], Verdict::Good, "answers");
    expect(&checks[1], Verdict::Bad, "to apply");
    assert_eq!(checks[1].mend.as_deref(), Some("muster migrate"));
}
