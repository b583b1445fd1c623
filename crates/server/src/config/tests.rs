//! The settings of whole commands, read from their flags; the environment of the test is left out.

use super::{ConfigProblems, Setting, Surroundings};
use crate::cli::Cli;
use crate::commands::demo::DemoArgs;
use crate::commands::keys::CreateKeyArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::up::UpArgs;
use crate::commands::work::WorkArgs;
use clap::{Args, Command, CommandFactory, FromArgMatches};
use muster_api::DoNotTrack;
use muster_domain::model::principal::Scope;
use secrecy::ExposeSecret;
use std::path::Path;

const DATABASE: [&str; 2] = ["--database-url", "postgres://muster:hunter2@db.example.test/muster"];
const KEY: [&str; 2] = ["--secret-key", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"];
const MAIL: [&str; 2] = ["--smtp-url", "smtp://ada:hunter2@mail.example.test:587"];

fn parse<T: Args + FromArgMatches>(flags: &[&[&str]]) -> T {
    try_parse(flags).unwrap_or_else(|error| panic!("{error}"))
}

fn try_parse<T: Args + FromArgMatches>(flags: &[&[&str]]) -> Result<T, clap::Error> {
    let command = T::augment_args(Command::new("muster")).no_binary_name(true).mut_args(|arg| arg.env(None));
    T::from_arg_matches(&command.try_get_matches_from(flags.concat())?)
}

fn at_home() -> Surroundings {
    Surroundings { home: Some("/home/ada".into()), ..Surroundings::default() }
}

fn said<T>(result: Result<T, ConfigProblems>) -> String {
    result.err().expect("a problem").to_string()
}

#[test]
fn serve_takes_what_it_needs_and_knows_the_rest() {
    let config = parse::<ServeArgs>(&[&DATABASE, &KEY]).resolve().unwrap();
    assert_eq!(config.database_url.expose_secret(), DATABASE[1]);
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:8080");
    assert_eq!(config.secret_key.expose()[..2], [0x01, 0x23]);
    assert!(config.public_url.is_none() && config.smtp.is_none());
}

#[test]
fn keys_that_were_in_use_before_are_kept_in_their_order() {
    let keys = format!("{}, {}", "0a".repeat(32), "0b".repeat(32));
    let config = parse::<ServeArgs>(&[&DATABASE, &KEY, &["--secret-key-previous", &keys]]).resolve().unwrap();
    let first: Vec<u8> = config.previous_keys.iter().map(|key| key.expose()[0]).collect();
    assert_eq!(first, [10, 11]);
    let short = "5ecre7".repeat(4);
    let said = said(parse::<ServeArgs>(&[&DATABASE, &KEY, &["--secret-key-previous", &short]]).resolve());
    assert!(said.contains("--secret-key-previous (MUSTER_SECRET_KEY_PREVIOUS)") && !said.contains(&short), "{said}");
}

#[test]
fn everything_that_is_missing_is_said_at_once_with_the_next_step() {
    let said = said(parse::<WorkArgs>(&[]).resolve(&at_home()));
    assert!(said.starts_with("3 settings are missing or not usable:\n"), "{said}");
    for part in [
        "--database-url (DATABASE_URL): is missing",
        "muster up",
        "--smtp-url (MUSTER_SMTP_URL)",
        "openssl rand -hex 32",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn everything_that_is_wrong_is_named_and_no_secret_is_shown() {
    let wrong: [&[&str]; 6] = [
        &["--database-url", "mysql://root:hunter2@db"],
        &["--http-addr", "8080"],
        &["--public-url", "mail.example.com"],
        &["--smtp-url", "http://ada:hunter2@mail"],
        &["--secret-key", "hunter2"],
        &["--state-dir", "/srv/muster"],
    ];
    let said = said(parse::<WorkArgs>(&wrong).resolve(&at_home()));
    assert!(said.starts_with("5 settings"), "{said}");
    for setting in
        [Setting::DATABASE_URL, Setting::HTTP_ADDR, Setting::PUBLIC_URL, Setting::SMTP_URL, Setting::SECRET_KEY]
    {
        assert!(said.contains(&format!("\n  {setting}: ")), "{setting} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn debug_output_shows_no_secret() {
    let args = parse::<WorkArgs>(&[&DATABASE, &KEY, &MAIL]);
    let config = args.resolve(&at_home()).unwrap();
    let shown = format!("{args:?} {config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn work_builds_links_on_the_address_of_serve_unless_told_otherwise() {
    let public = |flags: &[&str]| {
        let args = parse::<WorkArgs>(&[&DATABASE, &KEY, &MAIL, flags]);
        args.resolve(&at_home()).unwrap().public_url.to_string()
    };
    assert_eq!(public(&[]), "http://127.0.0.1:8080");
    assert_eq!(public(&["--http-addr", "127.0.0.1:9000"]), "http://127.0.0.1:9000");
    assert_eq!(public(&["--public-url", "https://mail.example.com/"]), "https://mail.example.com");
}

#[test]
fn mails_come_back_to_the_sender_unless_a_domain_is_made_for_it() {
    let resolved = |flags: &[&str]| parse::<WorkArgs>(&[&DATABASE, &KEY, &MAIL, flags]).resolve(&at_home());
    assert_eq!(resolved(&[]).unwrap().bounce_domain, None);
    let named = resolved(&["--bounce-domain", " Bounces.Example.com "]).unwrap();
    assert_eq!(named.bounce_domain.as_deref(), Some("bounces.example.com"));
    let long = format!("{}.example", "a.".repeat(100));
    for bad in ["bounces@example.com", "@example.com", "localhost", "b c.example", "https://example.com", &long] {
        let said = said(resolved(&["--bounce-domain", bad]));
        assert!(said.contains("--bounce-domain (MUSTER_BOUNCE_DOMAIN): is"), "{bad}: {said}");
    }
}

#[test]
fn events_are_kept_for_ever_unless_days_are_named() {
    let resolved = |flags: &[&str]| parse::<WorkArgs>(&[&DATABASE, &KEY, &MAIL, flags]).resolve(&at_home());
    assert_eq!(resolved(&[]).unwrap().keep_events, None);
    assert_eq!(resolved(&["--event-retention-days", " 400 "]).unwrap().keep_events, Some(400));
    for bad in ["0", "29", "36501", "-5", "ninety", "1.5"] {
        let said = said(resolved(&[&format!("--event-retention-days={bad}")]));
        assert!(said.contains("--event-retention-days (MUSTER_EVENT_RETENTION_DAYS): is no number"), "{bad}: {said}");
    }
    assert_eq!(
        parse::<UpArgs>(&[&["--event-retention-days", "30"]]).resolve(&at_home()).unwrap().keep_events,
        Some(30)
    );
}

#[test]
fn who_asks_not_to_be_followed_is_not_unless_that_is_said() {
    let rule = |flags: &[&str]| parse::<UpArgs>(&[flags]).resolve(&at_home()).unwrap().do_not_track;
    assert_eq!(rule(&[]), DoNotTrack::Respected);
    assert_eq!(rule(&["--ignore-do-not-track"]), DoNotTrack::Ignored);
    assert_eq!(rule(&["--ignore-do-not-track=no"]), DoNotTrack::Respected);
}

#[test]
fn up_and_demo_need_nothing() {
    let up = parse::<UpArgs>(&[]).resolve(&at_home()).unwrap();
    assert_eq!(up.state_dir.path(), Path::new("/home/ada/.local/state/muster"));
    assert!(up.database_url.is_none() && up.smtp.is_none() && up.secret_key.is_none() && up.time_lapse.is_none());
    let demo = parse::<DemoArgs>(&[]).resolve().unwrap();
    assert!(demo.database_url.is_none() && demo.smtp.is_none() && demo.csv.is_none());
}

#[test]
fn a_setting_that_is_empty_is_not_given() {
    let empty: [&[&str]; 6] = [
        &["--database-url", ""],
        &["--http-addr", " "],
        &["--public-url", ""],
        &["--smtp-url", ""],
        &["--secret-key", ""],
        &["--state-dir", ""],
    ];
    let up = parse::<UpArgs>(&empty).resolve(&at_home()).unwrap();
    assert!(up.database_url.is_none() && up.smtp.is_none() && up.secret_key.is_none());
    assert_eq!(up.http_addr.port(), 8080);
    assert!(said(parse::<ServeArgs>(&empty[..5]).resolve()).contains("--database-url (DATABASE_URL): is missing"));
}

#[test]
fn a_factor_is_a_number_in_range() {
    assert_eq!(parse::<UpArgs>(&[&["--time-lapse", "86400"]]).time_lapse, Some(86400.0));
    for wrong in ["0", "0.5", "-3", "NaN", "inf", "fast", "2000000"] {
        assert!(try_parse::<UpArgs>(&[&[&format!("--time-lapse={wrong}")]]).is_err(), "{wrong}");
    }
}

#[test]
fn programs_that_are_not_there_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--pg-bin", folder.path().to_str().unwrap()];
    assert!(
        said(parse::<UpArgs>(&[&flags]).resolve(&at_home())).contains("--pg-bin (MUSTER_PG_BIN): there is no initdb")
    );
    std::fs::write(folder.path().join("initdb"), "").unwrap();
    std::fs::write(folder.path().join("postgres"), "").unwrap();
    let config = parse::<UpArgs>(&[&flags]).resolve(&at_home()).unwrap();
    assert_eq!(config.pg_bin.as_deref(), Some(folder.path()));
}

#[test]
fn scopes_are_repeated_or_joined_and_all_when_none_is_named() {
    let scopes = |flags: &[&str]| {
        let place = ["--tenant", "acme", "--workspace", "main"];
        parse::<CreateKeyArgs>(&[&DATABASE, &place, flags]).resolve().unwrap().scopes
    };
    assert_eq!(scopes(&[]), Scope::ALL);
    let three = [Scope::CampaignsRead, Scope::AudienceRead, Scope::Admin];
    assert_eq!(scopes(&["--scopes", "admin,campaigns:read", "--scopes", "audience:read,admin"]), three);
    let wrong: [&[&str]; 2] = [&["--tenant", "a", "--workspace", "b"], &["--scopes", "campaigns:fly"]];
    let error = try_parse::<CreateKeyArgs>(&wrong).err().unwrap().to_string();
    assert!(error.contains("campaigns:launch"), "{error}");
    assert!(try_parse::<CreateKeyArgs>(&[&["--tenant", " ", "--workspace", "b"]]).is_err());
}

#[test]
fn every_flag_with_a_variable_is_a_known_setting() {
    let mut commands = vec![
        Cli::command(),
        ServeArgs::augment_args(Command::new("serve")),
        WorkArgs::augment_args(Command::new("work")),
        CreateKeyArgs::augment_args(Command::new("create")),
        UpArgs::augment_args(Command::new("up")),
        DemoArgs::augment_args(Command::new("demo")),
    ];
    commands.extend(Cli::command().get_subcommands().cloned());
    let mut seen: Vec<(String, String)> = commands
        .iter()
        .flat_map(Command::get_arguments)
        .filter_map(|arg| Some((format!("--{}", arg.get_long()?), arg.get_env()?.to_str()?.to_owned())))
        .collect();
    seen.sort();
    seen.dedup();
    let mut known = Setting::ALL.map(|setting| (setting.flag.to_owned(), setting.variable.to_owned()));
    known.sort();
    assert_eq!(seen, known);
}

#[test]
fn help_shows_no_value_of_a_secret_variable() {
    for command in [WorkArgs::augment_args(Command::new("work")), UpArgs::augment_args(Command::new("up"))] {
        for arg in command.get_arguments().filter(|arg| {
            let name = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            ["DATABASE_URL", "MUSTER_SMTP_URL", "MUSTER_SECRET_KEY"].contains(&name)
        }) {
            assert!(arg.is_hide_env_values_set(), "{arg}");
        }
    }
}
