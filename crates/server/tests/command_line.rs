//! The program as a person at a terminal meets it.

use std::process::{Command, Output};

/// Runs the program with nothing of the test's own environment but `variables`.
fn muster(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env_clear().env("HOME", "/nonexistent").args(arguments).envs(variables.iter().copied());
    command.output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("what it says is UTF-8")
}

#[test]
fn help_names_every_command_and_each_shows_an_example() {
    let help = muster(&["--help"], &[]);
    assert!(help.status.success());
    for command in ["migrate", "doctor"] {
        assert!(text(&help.stdout).contains(command), "{command}");
        let own = text(&muster(&[command, "--help"], &[]).stdout);
        assert!(own.contains(&format!("  muster {command}")), "{own}");
    }
}

#[test]
fn secrets_in_the_environment_are_not_shown_in_help() {
    let secret = [("DATABASE_URL", "postgres://u:hunter2@h/d"), ("MUSTER_SECRET_KEY", "hunter2")];
    let help = text(&muster(&["doctor", "--help"], &secret).stdout);
    assert!(help.contains("DATABASE_URL") && !help.contains("hunter2"), "{help}");
}

#[test]
fn a_command_without_its_database_names_the_next_step() {
    let refused = muster(&["migrate"], &[]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--database-url (DATABASE_URL): is missing") && said.contains("muster up"), "{said}");
}

#[test]
fn a_flag_wins_over_its_variable() {
    let said = |arguments: &[&str]| {
        let key = ("MUSTER_SECRET_KEY", "short");
        text(&muster(&[&["doctor"], arguments].concat(), &[key]).stdout)
    };
    assert!(said(&[]).contains("has 5 characters"));
    assert!(said(&["--secret-key", &"ab".repeat(32)]).contains("well-formed"));
}

#[test]
fn a_variable_that_means_nothing_is_warned_of_and_does_no_harm() {
    let variables = [("MUSTER_STATE_DIRECTORY", "/tmp"), ("DATABASE_URL", "nonsense")];
    let said = text(&muster(&["migrate", "--log", "json"], &variables).stderr);
    let log = said.lines().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).unwrap();
    assert_eq!(log["level"], "WARN");
    assert_eq!(log["target"], "muster");
    assert!(log["message"].as_str().unwrap().contains("did you mean MUSTER_STATE_DIR?"), "{log}");
    assert!(said.contains("is no PostgreSQL address"), "the command still ran: {said}");
}

#[test]
fn the_doctor_exits_as_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let state = ["--state-dir", folder.path().to_str().unwrap(), "--http-addr", "127.0.0.1:0"];
    let path = std::env::var("PATH").unwrap();
    let programs = std::env::var("MUSTER_PG_BIN").unwrap_or_default();
    let places = [("PATH", path.as_str()), ("MUSTER_PG_BIN", programs.as_str())];
    let healthy = muster(&[&["doctor"], &state[..]].concat(), &places);
    let said = text(&healthy.stdout);
    assert!(healthy.status.success() && said.contains("✓ PostgreSQL"), "{said}");
    let ill = muster(&[&["doctor", "--public-url", "x"], &state[..]].concat(), &places);
    let said = text(&ill.stdout);
    assert!(ill.status.code() == Some(1) && said.contains("✗ Public address") && said.contains("→"), "{said}");
}

#[test]
fn a_wrong_command_line_is_refused_with_help() {
    for arguments in [&["fly"][..], &["migrate", "--loud"], &["migrate", "--log", "loud"]] {
        let refused = muster(arguments, &[]);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains("--help"), "{arguments:?}");
    }
}
