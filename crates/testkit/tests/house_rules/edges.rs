//! Which crates may know which: the fence that Cargo itself keeps, checked to be where it was designed.

use super::files;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The workspace's crates, each with the crates it may name outside of its tests.
const DESIGNED: [(&str, &[&str]); 8] = [
    ("muster-domain", &[]),
    ("muster-adapters", &["muster-domain"]),
    ("muster-api", &["muster-domain"]),
    ("muster-worker", &["muster-domain"]),
    ("muster-models", &["muster-domain"]),
    ("muster-server", &["muster-adapters", "muster-api", "muster-domain", "muster-worker"]),
    ("muster-testkit", &["muster-adapters", "muster-domain"]),
    ("muster-bench", &["muster-adapters", "muster-domain", "muster-worker"]),
];

/// What only tests may name.
const FOR_TESTS: [&str; 2] = ["muster-domain", "muster-testkit"];

/// Libraries that belong to one layer, with the crates that may name them.
const LAYERED: [(&[&str], &[&str]); 5] = [
    (&["diesel", "diesel-async", "diesel_migrations", "deadpool"], &["muster-adapters", "muster-testkit"]),
    (&["actix-web", "utoipa", "utoipa-actix-web"], &["muster-api", "muster-server", "muster-bench"]),
    (&["lettre", "minijinja"], &["muster-adapters"]),
    (
        &["tokio", "reqwest"],
        &["muster-adapters", "muster-api", "muster-worker", "muster-server", "muster-testkit", "muster-bench"],
    ),
    (&["anyhow"], &["muster-server", "muster-testkit", "muster-bench"]),
];

/// What one crate's manifest names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) normal: BTreeSet<String>,
    pub(crate) for_tests: BTreeSet<String>,
}

/// Every crate of the workspace and what its manifest names.
pub(crate) type Workspace = BTreeMap<String, Names>;

/// The workspace as its manifests are.
pub(crate) fn of_this_workspace() -> Workspace {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let said = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(files::root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&said.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut workspace = Workspace::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let names = workspace.entry(text(&package["name"])).or_default();
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let is_for_tests = dependency["kind"] == "dev";
            let set = if is_for_tests { &mut names.for_tests } else { &mut names.normal };
            set.insert(text(&dependency["name"]));
        }
    }
    workspace
}

/// Edges between the workspace's crates that are missing, too many, or only for tests.
pub(crate) fn wrong_edges(workspace: &Workspace) -> Vec<String> {
    let mut violations = Vec::new();
    let designed: BTreeSet<&str> = DESIGNED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = workspace.keys().map(String::as_str).collect();
    if designed != found {
        violations.push(format!("the crates are {found:?}, designed are {designed:?}"));
    }
    for (name, edges) in DESIGNED {
        let Some(names) = workspace.get(name) else { continue };
        let ours = |set: &BTreeSet<String>| set.iter().filter(|name| name.starts_with("muster-")).cloned().collect();
        let (normal, for_tests): (BTreeSet<String>, BTreeSet<String>) = (ours(&names.normal), ours(&names.for_tests));
        let edges: BTreeSet<String> = edges.iter().map(ToString::to_string).collect();
        if normal != edges {
            violations.push(format!("{name} names {normal:?}, designed is {edges:?}"));
        }
        violations.extend(
            for_tests
                .iter()
                .filter(|other| !FOR_TESTS.contains(&other.as_str()))
                .map(|other| format!("tests of {name} name {other}")),
        );
    }
    violations
}

/// Libraries named by a crate of another layer, tests aside.
pub(crate) fn forbidden_libraries(workspace: &Workspace) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, names) in workspace {
        for (libraries, owners) in LAYERED {
            let strays =
                libraries.iter().filter(|library| names.normal.contains(**library) && !owners.contains(&name.as_str()));
            violations.extend(strays.map(|library| format!("{name} names {library}")));
        }
    }
    violations
}

#[test]
fn a_short_cut_between_crates_is_found() {
    let mut workspace = of_this_workspace();
    let api = workspace.get_mut("muster-api").unwrap();
    api.normal.insert("muster-adapters".to_owned());
    api.normal.insert("diesel".to_owned());
    workspace.get_mut("muster-worker").unwrap().for_tests.insert("muster-api".to_owned());
    workspace.get_mut("muster-server").unwrap().normal.insert("muster-testkit".to_owned());
    workspace.insert("muster-extra".to_owned(), Names::default());

    let wrong = wrong_edges(&workspace);
    for expected in
        ["muster-api names", "tests of muster-worker name muster-api", "muster-server names", "the crates are"]
    {
        assert!(wrong.iter().any(|violation| violation.starts_with(expected)), "{expected}: {wrong:?}");
    }
    assert_eq!(wrong.len(), 4, "{wrong:?}");
    assert_eq!(forbidden_libraries(&workspace), ["muster-api names diesel"]);
}
