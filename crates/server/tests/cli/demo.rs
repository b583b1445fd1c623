//! `muster demo`.

use crate::program::{Program, muster, run, text};
use std::path::Path;

/// A list in somebody's own words, with what lists have: another order, a double, a row without an address.
const LIST: &str = "first_name,last_name,city,email,shoe size\r\n\
    Ada,Lovelace,London,ada@example.test,38\r\n\
    Grace,\"Hopper, R. Adm.\",Arlington,Grace@example.test,\r\n\
    Zoë,,,zoe@example.test,40\r\n\
    ,,Ulm,nobody@example.test,\r\n\
    Ada,Lovelace,London,ADA@example.test,38\r\n\
    Nobody,At,All,,\r\n\
    \"<b>Bob</b>\",O'Neil,\"Bath & Wells\",bob@example.test,44\r\n\
    Mary,Shelley,Bath,mary@example.test,37\r\n";

fn list(folder: &Path) -> String {
    let path = folder.join("list.csv");
    std::fs::write(&path, LIST).expect("a file");
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn the_demo_ends_with_books_that_balance() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = run(muster(&["demo", "--csv", &list(folder.path())]));
    let said = text(&demo.stdout);
    assert!(demo.status.success(), "{said}{}", text(&demo.stderr));
    assert!(said.ends_with("The books balance.\n"), "{said}");
    for told in
        ["6 contacts imported", "none went out", "6 enrolled = 0 open + 6 completed + 0 exited", "18 mails caught"]
    {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn a_list_that_cannot_be_read_is_named() {
    let demo = run(muster(&["demo", "--csv", "/nonexistent/list.csv"]));
    let said = text(&demo.stderr);
    assert!(demo.status.code() == Some(1) && said.contains("cannot read /nonexistent/list.csv"), "{said}");
}

#[test]
fn a_demo_that_is_interrupted_cleans_up() {
    let throwaway = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a folder");
    let mut command = muster(&["demo"]);
    command.env("TMPDIR", throwaway.path());
    let mut demo = Program::start(command);
    demo.wait_for("mail is caught");
    demo.signal("TERM");
    assert_eq!(demo.wait().code(), Some(130), "{}", demo.log());
    assert_eq!(throwaway.path().read_dir().expect("the folder").count(), 0);
}
