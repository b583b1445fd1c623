//! `docs/lifecycle.md` says what the code does: it is rendered from it. `UPDATE=1` writes it again.

use muster_domain::model::lifecycle::{Action, Status, mermaid, target};
use muster_domain::model::transitions::{delivery_mermaid, enrollment_mermaid};
use std::fmt::Write;
use std::path::PathBuf;

const ABOUT: &str = "# The life of a campaign

This page is rendered from `crates/domain/src/model/lifecycle.rs`, the only source of the status graph, and a test
compares the two. After a change of the code: `UPDATE=1 cargo test -p muster-domain --test lifecycle_doc`.
";

const MEANING: &str = "
A command that the status forbids is refused with 409 `invalid_transition`, which says `from`, `action` and `allowed`.
The database repeats the graph in CHECK constraints, and a test tries every combination against it.

- **schedule** needs steps that could be launched now, and a start: its own, or `schedule.startAt`. When the time has
  come the campaign is launched; if that is refused, for want of an audience, it is a draft again and `lastProblem`
  says why. **unschedule** takes the start away.
- **launch** makes it active at once and enrolls the audience; nothing is sent before everybody is in.
- **pause** halts every delivery that has not begun; **resume** lets every contact go on from its current step.
- **complete** ends it early: what has not begun is cancelled. A campaign whose last contact has walked to the end
  completes by itself. Completed is final.
- **change_audience** changes `segmentId`; **edit** everything else, and the steps. Steps that are changed after the
  launch are for those who enter later.
- **enroll** adds named contacts.
- **Cloning** is allowed in every status and does not touch the original.
";

const ENROLLMENTS: &str = "
## The life of an enrollment

Rendered from `crates/domain/src/model/transitions.rs`, like the next. Pausing moves nobody.
";

const DELIVERIES: &str = "
## The life of a delivery

The first three states are rows of the outbox, the others of the messages. These are all steps there are: the models
explore them, and a test compares with them every step that the code takes on a real database (see [models](models.md)).
";

fn page() -> String {
    let mut page = format!("{ABOUT}\n```mermaid\n{}```\n\n## What each status allows\n\n", mermaid());
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let heads = Status::ALL.iter().map(|status| status.as_str().to_owned());
    page.push_str(&row([String::new()].into_iter().chain(heads).collect()));
    page.push_str(&row(vec!["---".to_owned(); Status::ALL.len() + 1]));
    for action in Action::ALL {
        let leads = |from: Status| match (action, target(from, action)) {
            (_, None) => String::new(),
            (Action::Delete, Some(_)) => "gone".to_owned(),
            (_, Some(to)) if to == from => "allowed".to_owned(),
            (_, Some(to)) => format!("→ {}", to.as_str()),
        };
        let cells = [format!("`{}`", action.as_str())].into_iter().chain(Status::ALL.map(leads));
        page.push_str(&row(cells.collect()));
    }
    let drawn = |about: &str, diagram: String| format!("{about}\n```mermaid\n{diagram}```\n");
    let (enrollment, delivery) = (drawn(ENROLLMENTS, enrollment_mermaid()), drawn(DELIVERIES, delivery_mermaid()));
    write!(page, "{MEANING}{enrollment}{delivery}").expect("a String takes everything");
    page
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycle.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/lifecycle.md is out of date: run with UPDATE=1 to write it again");
}
