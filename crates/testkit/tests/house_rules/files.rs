//! The files that the rules look at.

use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the workspace.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path from the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

/// Every Rust file of the workspace's crates.
pub(crate) fn rust_files() -> Vec<SourceFile> {
    let is_rust = |path: &Path| path.extension().is_some_and(|ending| ending == "rs");
    read_below(&root().join("crates"), &is_rust)
}

/// Every file that can be read as text: code, documents, tools.
pub(crate) fn text_files() -> Vec<SourceFile> {
    read_below(&root(), &|_| true)
}

fn read_below(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<SourceFile> {
    const NOT_OURS: [&str; 4] = [".git", "target", ".muster", "Cargo.lock"];
    let mut found = Vec::new();
    for entry in folder.read_dir().expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.file_name().is_some_and(|name| NOT_OURS.iter().any(|other| name == *other)) {
            continue;
        }
        if path.is_dir() {
            found.extend(read_below(&path, wanted));
        } else if wanted(&path)
            && let Ok(text) = fs::read_to_string(&path)
        {
            let from_root = path.strip_prefix(root()).expect("below the root");
            found.push(SourceFile { path: from_root.display().to_string(), text });
        }
    }
    found
}

/// Migrations that lack one of their two files, or have nothing in it.
pub(crate) fn one_way_migrations(migrations: &Path) -> Vec<String> {
    let mut violations = Vec::new();
    for entry in migrations.read_dir().expect("a folder of migrations") {
        let migration = entry.expect("a readable entry").path();
        for file in ["up.sql", "down.sql"] {
            let has_statement =
                |sql: &str| sql.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with("--"));
            if !fs::read_to_string(migration.join(file)).is_ok_and(|sql| has_statement(&sql)) {
                violations.push(format!("{}: no statement in {file}", migration.display()));
            }
        }
    }
    violations
}

#[test]
fn a_migration_without_a_way_back_is_found() {
    let migrations = tempfile::tempdir().unwrap();
    let (good, bad) = (migrations.path().join("0001_good"), migrations.path().join("0002_bad"));
    for migration in [&good, &bad] {
        fs::create_dir(migration).unwrap();
        fs::write(migration.join("up.sql"), "CREATE TABLE t ();").unwrap();
        fs::write(migration.join("down.sql"), "-- later\n").unwrap();
    }
    fs::write(good.join("down.sql"), "DROP TABLE t;").unwrap();
    let violations = one_way_migrations(migrations.path());
    assert_eq!(violations, [format!("{}: no statement in down.sql", bad.display())]);
}
