//! The rules on single files.

use super::files::SourceFile;
use super::source::{code_only, words};
use std::path::Path;

/// Who may read the computer's clock, and why. Business time is the database's: see `muster_now` in the migrations.
const CLOCK_READERS: [(&str, &str); 6] = [
    ("crates/adapters/tests/postgres/deliver/begin.rs", "its window is about today, on the database's clock"),
    ("crates/adapters/tests/postgres/deliver/claim.rs", "its blackout date is about today, on the database's clock"),
    ("crates/adapters/tests/postgres/engagement_rules.rs", "its periods end now, on the database's clock"),
    ("crates/server/src/catcher/smtp_session.rs", "it stamps what arrives, as every mail server does"),
    ("crates/server/tests/http/tracking.rs", "it asks for the figures of today"),
    ("crates/testkit/src/database/template.rs", "it compares the ages of files"),
];

/// Names that fit every file and so tell nothing.
const EMPTY_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "manager", "data", "info", "misc"];

/// In `domain`: `model` knows nothing around it, `ports` know neither `authoring` nor `usecases`.
pub(crate) fn outward_in_domain(file: &SourceFile) -> Vec<String> {
    let outer: &[&str] =
        match file.path.strip_prefix("crates/domain/src/").and_then(|rest| rest.split(['/', '.']).next()) {
            Some("model") => &["ports", "authoring", "usecases"],
            Some("ports") => &["authoring", "usecases"],
            _ => return Vec::new(),
        };
    lines_of_code(file, |line| words(line).any(|word| outer.contains(&word)))
}

/// Readings of the computer's clock. `Instant` is not one: it measures a span and knows no date.
pub(crate) fn clock_reading(file: &SourceFile) -> Vec<String> {
    if CLOCK_READERS.iter().any(|(path, _reason)| *path == file.path) {
        return Vec::new();
    }
    lines_of_code(file, |line| {
        ["Utc::now", "Local::now", "SystemTime::now"].iter().any(|reading| line.contains(reading))
    })
}

/// Statements that ask for business time otherwise than `SELECT muster_now()`: in a condition or beside columns it would be
/// worked out for each row, and in a time lapse it reads a table.
pub(crate) fn business_time_by_row(file: &SourceFile) -> Vec<String> {
    if !file.path.starts_with("crates/adapters/src/") {
        return Vec::new();
    }
    lines(file, &file.text, |line| {
        let declared = line.contains("fn muster_now()") || line.contains("diesel::select(muster_now())");
        !declared && line.replace("SELECT muster_now()", "").contains("muster_now()")
    })
}

/// Stubs, tests that do not run, and lints that are silenced without a reason.
pub(crate) fn unfinished(file: &SourceFile) -> Vec<String> {
    let marks = ["todo!", "unimplemented!", "#[ignore", "#[allow(", "#![allow("];
    lines_of_code(file, |line| marks.iter().any(|mark| line.contains(mark)))
}

/// Printing outside the program and outside tests.
pub(crate) fn printing(file: &SourceFile) -> Vec<String> {
    let is_library = file.path.contains("/src/") && !file.path.starts_with("crates/server/");
    if !is_library {
        return Vec::new();
    }
    let without_tests = file.text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let file = SourceFile { path: file.path.clone(), text: without_tests };
    let prints = ["print!(", "println!(", "dbg!("];
    lines_of_code(&file, |line| prints.iter().any(|print| line.contains(print)))
}

/// Files that do not say what they are, by their first line or by their name.
pub(crate) fn anonymous(file: &SourceFile) -> Vec<String> {
    let mut violations = Vec::new();
    if !file.text.starts_with("//!") {
        violations.push(format!("{}: does not begin with //!", file.path));
    }
    if Path::new(&file.path).file_stem().is_some_and(|name| EMPTY_NAMES.iter().any(|empty| name == *empty)) {
        violations.push(format!("{}: the name fits every file", file.path));
    }
    violations
}

/// Absolute paths of a machine somebody worked on, in whatever kind of file.
pub(crate) fn machine_paths(file: &SourceFile) -> Vec<String> {
    // Put together here, so that this file does not break the rule itself.
    let machine =
        [["", "work", "main"].join("/"), ["", "work", "shared"].join("/"), ["", "tmp", "muster", ""].join("/")];
    lines(file, &file.text, |line| machine.iter().any(|path| line.contains(path.as_str())))
}

/// Places of a page that were to be filled in: a line, or a cell of a table, that is one word of capitals.
pub(crate) fn unfilled(file: &SourceFile) -> Vec<String> {
    let place = |cell: &str| cell.len() > 4 && cell.bytes().all(|letter| letter.is_ascii_uppercase());
    lines(file, &file.text, |line| line.split('|').any(|cell| place(cell.trim())))
}

fn lines_of_code(file: &SourceFile, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    lines(file, &code_only(&file.text), is_wrong)
}

fn lines(file: &SourceFile, text: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let wrong = text.lines().enumerate().filter(|(_, line)| is_wrong(line));
    wrong.map(|(index, line)| format!("{}:{}: {}", file.path, index + 1, line.trim())).collect()
}

mod bad_examples {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_model_that_knows_a_port_is_found() {
        let bad = "//! Doc of ports.\nuse crate::ports::Clock;\nuse crate::{model::Id, usecases};\n";
        assert_eq!(outward_in_domain(&file("crates/domain/src/model/id.rs", bad)).len(), 2);
        assert_eq!(outward_in_domain(&file("crates/domain/src/ports/clock.rs", bad)).len(), 1);
        assert_eq!(outward_in_domain(&file("crates/domain/src/usecases/pause.rs", bad)).len(), 0);
    }

    #[test]
    fn a_reading_of_the_clock_is_found_and_a_mention_of_it_is_not() {
        let bad = "// never Utc::now()\nlet now = chrono::Utc::now();\nlet at = Instant::now();\n";
        let found = clock_reading(&file("crates/worker/src/lib.rs", bad));
        assert_eq!(found, ["crates/worker/src/lib.rs:2: let now = chrono::Utc::now();"]);
        assert!(clock_reading(&file("crates/testkit/src/database/template.rs", bad)).is_empty());
    }

    #[test]
    fn business_time_that_is_asked_for_each_row_is_found() {
        let bad = "\"SELECT muster_now() AS now\"\n\"due_at <= (SELECT muster_now())\"\n\"due_at <= muster_now()\"\n";
        let found = business_time_by_row(&file("crates/adapters/src/postgres/due.rs", bad));
        assert_eq!(found, ["crates/adapters/src/postgres/due.rs:3: \"due_at <= muster_now()\""]);
    }

    #[test]
    fn unfinished_work_is_found() {
        let bad = "fn a() { todo!() }\nfn b() { unimplemented!(\"later\") }\n#[ignore = \"slow\"]\n#[allow(dead_code)]\n#[expect(dead_code)]\n";
        assert_eq!(unfinished(&file("crates/api/src/lib.rs", bad)).len(), 4);
    }

    #[test]
    fn a_print_in_a_library_is_found_but_not_in_the_program_nor_in_tests() {
        let bad = "fn a() { if !b { println!(\"x\") } }\nlet c = dbg!(d);\nfn printer() -> bool { !e }\n#[cfg(test)]\nfn t() { print!(\"\") }\n";
        assert_eq!(printing(&file("crates/api/src/lib.rs", bad)).len(), 2);
        assert_eq!(printing(&file("crates/server/src/main.rs", bad)).len(), 0);
        assert_eq!(printing(&file("crates/api/tests/it.rs", bad)).len(), 0);
    }

    #[test]
    fn a_file_without_doc_or_with_an_empty_name_is_found() {
        assert_eq!(anonymous(&file("crates/api/src/utils.rs", "use a;\n")).len(), 2);
        assert_eq!(anonymous(&file("crates/api/src/routes.rs", "//! Routes.\n")).len(), 0);
    }

    #[test]
    fn a_path_of_somebodys_machine_is_found_even_in_a_comment() {
        let bad = format!("# see {}/design.md\n", ["", "work", "shared"].join("/"));
        assert_eq!(machine_paths(&file("justfile", &bad)).len(), 1);
    }

    #[test]
    fn a_place_that_nobody_filled_in_is_found() {
        let bad = "# States\n\nSTATES\n\n| pauses | FIGURE | 2 s |\n| SIGTERM under load | C0 |\n";
        assert_eq!(unfilled(&file("docs/models.md", bad)).len(), 2);
    }
}
