//! `muster up`.

use crate::program::{Program, database_server, lives, muster, run, state_folder, text, until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Everything, on a free port.
fn up(state: &Path, more: &[&str]) -> Command {
    let state = state.to_str().expect("a path in UTF-8");
    muster(&[&["up", "--http-addr", "127.0.0.1:0", "--state-dir", state], more].concat())
}

/// Starts it and waits until it says that it is up.
fn started(state: &Path, more: &[&str]) -> Program {
    let mut program = Program::start(up(state, more));
    program.wait_for("Ctrl-C stops it.");
    program
}

/// What it said after `name`.
fn told(program: &Program, name: &str) -> String {
    let line = program.said.iter().find(|line| line.trim().starts_with(name)).expect("it tells");
    line.split_whitespace().nth(1).expect("a value").to_owned()
}

/// Pastes a command into a shell; what came back, as JSON.
fn paste(line: &str) -> Value {
    let pasted = Command::new("sh").arg("-c").arg(line).output().expect("a shell");
    let said = text(&pasted.stdout);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{line}: {said}{}", text(&pasted.stderr)))
}

fn assert_gone(server: u32) {
    until("the end of the database server", || !lives(server));
}

#[test]
fn up_prints_three_commands_that_work_when_pasted_and_ends_in_order() {
    let folder = state_folder();
    let mut program = started(folder.path(), &[]);
    let commands: Vec<String> =
        program.said.iter().filter_map(|line| line.strip_prefix("  curl")).map(|rest| format!("curl{rest}")).collect();
    assert_eq!(commands.len(), 3, "{:#?}", program.said);
    for _again in 0..2 {
        let answers: Vec<Value> = commands.iter().map(|command| paste(command)).collect();
        assert_eq!(answers[0]["firstName"], "Ada", "{answers:#?}");
        assert_eq!(answers[1]["name"], "Friends", "{answers:#?}");
        assert!(answers[2]["data"].is_array(), "{answers:#?}");
    }
    let page = Command::new("curl").args(["-sS", &told(&program, "Mail")]).output().expect("curl");
    assert!(text(&page.stdout).contains("<html"), "the catcher has a page");

    let server = database_server(folder.path());
    assert!(lives(server));
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0), "{}", program.log());
    assert!(!lives(server), "the database server was stopped before the end");
}

#[test]
fn after_a_kill_nothing_is_left_and_the_next_up_goes_on_with_the_same_key() {
    let folder = state_folder();
    let mut killed = started(folder.path(), &[]);
    let (key, server) = (told(&killed, "Key"), database_server(folder.path()));
    let contacts =
        |program: &Program| format!("curl -sS '{}/contacts' -H 'Authorization: Bearer {key}'", told(program, "API"));
    let first = killed.said.iter().find(|line| line.contains("contacts?upsert")).expect("a command").clone();
    let id = paste(first.trim())["id"].clone();
    killed.signal("KILL");
    killed.wait();
    assert_gone(server);

    let mut next = started(folder.path(), &[]);
    assert_eq!(told(&next, "Key"), key);
    assert_eq!(paste(&contacts(&next))["data"][0]["id"], id);
    next.signal("INT");
    assert_eq!(next.wait().code(), Some(0), "{}", next.log());
}

#[test]
fn a_second_up_on_the_same_folder_names_the_first() {
    let folder = state_folder();
    let first = started(folder.path(), &[]);
    let refused = run(up(folder.path(), &[]));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another Muster") && said.contains(&first.pid().to_string()), "{said}");
}

#[test]
fn a_database_server_that_dies_is_started_again() {
    let folder = state_folder();
    let program = started(folder.path(), &[]);
    let server = database_server(folder.path());
    let killed = Command::new("sh").arg("-c").arg(format!("kill -KILL {server}")).status().expect("a shell");
    assert!(killed.success());
    program.wait_for_log("started again");
    let list =
        format!("curl -sS '{}/contacts' -H 'Authorization: Bearer {}'", told(&program, "API"), told(&program, "Key"));
    until("an answer with a list", || paste(&list)["data"].is_array());
}

#[test]
fn time_lapse_is_refused_where_campaigns_run_in_real_time_and_remembered_where_it_began() {
    let folder = state_folder();
    let mut program = started(folder.path(), &[]);
    let (api, key) = (told(&program, "API"), told(&program, "Key"));
    let post = |path: &str, body: &str| {
        paste(&format!(
            "curl -sS -X POST '{api}/{path}' -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{body}'"
        ))
    };
    let rules = r#"{"field":"email","op":"exists","value":true}"#;
    let segment = post("segments", &format!(r#"{{"name":"All","kind":"dynamic","rules":{rules}}}"#));
    let campaign = format!(
        r#"{{"name":"One","campaignType":"drip","segmentId":{},"fromName":"A","fromEmail":"a@example.test"}}"#,
        segment["id"]
    );
    assert_eq!(post("campaigns", &campaign)["status"], "draft");
    program.signal("TERM");
    program.wait();
    let refused = run(up(folder.path(), &["--time-lapse", "60"]));
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("--state-dir"), "{said}");

    let other = state_folder();
    for more in [&["--time-lapse", "86400"][..], &[]] {
        let mut program = started(other.path(), more);
        assert!(program.said.iter().any(|line| line.contains("86400 times faster")), "{:#?}", program.said);
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0));
    }
}
