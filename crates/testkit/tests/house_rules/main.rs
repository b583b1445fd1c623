//! The house rules that no compiler and no linter checks. Each rule is also seen to fail on a bad example.

mod edges;
mod files;
mod source;
mod text_rules;

use files::SourceFile;
use std::path::Path;

/// Fails with every violation at once, one a line.
fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}\n", violations.join("\n  "));
}

/// Applies a rule to every Rust file of the workspace.
fn check_rust(rule: &str, violations_of: impl Fn(&SourceFile) -> Vec<String>) {
    let files = files::rust_files();
    assert!(files.len() > 20, "the rules look at the wrong folder: {} files", files.len());
    assert_none(rule, &files.iter().flat_map(violations_of).collect::<Vec<_>>());
}

#[test]
fn crates_depend_on_each_other_exactly_as_designed() {
    assert_none("edges between crates", &edges::wrong_edges(&edges::of_this_workspace()));
}

#[test]
fn no_crate_names_a_library_that_its_layer_must_not_know() {
    assert_none("libraries", &edges::forbidden_libraries(&edges::of_this_workspace()));
}

#[test]
fn inside_the_domain_dependencies_point_inwards() {
    check_rust("model knows no ports and no use cases, ports know no use cases", text_rules::outward_in_domain);
}

#[test]
fn nobody_reads_the_clock_but_the_database() {
    check_rust("business time comes in as `now`", text_rules::clock_reading);
}

#[test]
fn a_statement_asks_for_business_time_once() {
    check_rust("(SELECT muster_now()), not muster_now()", text_rules::business_time_by_row);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    check_rust("no stubs, no skipped tests, #[expect] instead of #[allow]", text_rules::unfinished);
}

#[test]
fn only_the_program_prints() {
    check_rust("only crates/server prints", text_rules::printing);
}

#[test]
fn every_file_says_what_it_is_and_has_a_name_of_its_own() {
    check_rust("//! on top, and no name that fits every file", text_rules::anonymous);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let files = files::text_files();
    assert_none("absolute paths", &files.iter().flat_map(text_rules::machine_paths).collect::<Vec<_>>());
}

#[test]
fn no_page_has_places_to_be_filled_in() {
    let is_page = |file: &&SourceFile| Path::new(&file.path).extension().is_some_and(|ending| ending == "md");
    let files = files::text_files();
    let pages: Vec<_> = files.iter().filter(is_page).collect();
    assert!(!pages.is_empty());
    assert_none("places to be filled in", &pages.into_iter().flat_map(text_rules::unfilled).collect::<Vec<_>>());
}

#[test]
fn every_migration_can_be_undone() {
    let migrations = files::root().join("migrations");
    let found = migrations.read_dir().expect("a folder of migrations").count();
    assert!(found > 0);
    assert_none("up.sql and down.sql", &files::one_way_migrations(&migrations));
}
