//! `muster migrate` and `muster keys create`.

use crate::program::{muster, run, text};
use muster_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use std::process::Output;

fn on(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = muster(arguments);
    command.env("DATABASE_URL", database.url().expose_secret());
    run(command)
}

#[tokio::test]
async fn keys_create_prints_the_key_and_nothing_else() {
    let database = TestDatabase::create().await;
    let made = on(&database, &["keys", "create", "--tenant", "acme", "--workspace", "main"]);
    let said = text(&made.stdout);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key = said.strip_suffix('\n').expect("a line");
    assert!(key.starts_with("mk_") && !key.contains(char::is_whitespace), "{said:?}");
    assert!(!text(&made.stderr).contains(key));
}

#[tokio::test]
async fn a_key_for_a_database_that_is_not_migrated_names_the_next_step() {
    let database = TestDatabase::create_empty().await;
    let create = ["keys", "create", "--tenant", "acme", "--workspace", "main"];
    let refused = on(&database, &create);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("muster migrate") && refused.stdout.is_empty());

    assert!(text(&on(&database, &["migrate"]).stdout).starts_with("Applied "));
    assert_eq!(text(&on(&database, &["migrate"]).stdout), "The database is up to date.\n");
    assert!(on(&database, &create).status.success());
}

#[test]
fn a_scope_that_does_not_exist_is_refused_with_those_that_do() {
    let refused = run(muster(&["keys", "create", "--tenant", "a", "--workspace", "b", "--scopes", "everything"]));
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("campaigns:launch"), "{said}");
}
