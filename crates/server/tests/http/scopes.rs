//! Who may call what: each operation of the document without a key, and with keys that lack a scope.

use crate::app::{Caller, TestApp};
use crate::matrix::{Fixture, Operation, assert_unchanged, operations, remember};
use reqwest::Method;
use std::collections::BTreeMap;

const SCOPES: [&str; 7] = [
    "campaigns:read",
    "campaigns:write",
    "campaigns:launch",
    "audience:read",
    "audience:write",
    "events:write",
    "admin",
];

/// What starts, stops or begins mail.
const LAUNCHING: [&str; 10] = [
    "launch_campaign",
    "pause_campaign",
    "resume_campaign",
    "complete_campaign",
    "schedule_campaign",
    "unschedule_campaign",
    "enroll_contacts",
    "exit_enrollment",
    "retry_deliveries",
    "resolve_delivery",
];

/// Which scope an operation ought to need.
fn needed(operation: &Operation) -> &'static str {
    let reads = operation.method == Method::GET || operation.id.starts_with("preview_");
    match operation.template.split('/').nth(2) {
        Some("keys" | "hooks") => "admin",
        Some("campaigns" | "deliveries") if LAUNCHING.contains(&operation.id.as_str()) => "campaigns:launch",
        Some("campaigns" | "deliveries") if reads => "campaigns:read",
        Some("campaigns") => "campaigns:write",
        Some("contacts" | "segments" | "suppressions") if reads => "audience:read",
        Some("contacts" | "segments" | "suppressions") => "audience:write",
        _ => panic!("{}: say here which scope it needs", operation.template),
    }
}

#[tokio::test]
async fn without_a_key_every_operation_is_401_and_changes_nothing() {
    let app = TestApp::start().await;
    let fixture = Fixture::of(&app).await;
    remember(&app).await;
    let nobody = app.with_token("");
    let junk = app.with_token(format!("mk_{}_{}", "a".repeat(12), "b".repeat(32)));
    for operation in operations() {
        for caller in [&nobody, &junk] {
            let refused = fixture.send(caller, &operation).await;
            refused.assert_problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), "Bearer", "{}", operation.id);
        }
        let path = fixture.path(&operation);
        for method in [Method::OPTIONS, Method::HEAD, Method::TRACE, Method::from_bytes(b"BREW").unwrap()] {
            let refused = nobody.send(nobody.request(method.clone(), &path)).await;
            assert_eq!(refused.status, 401, "{method} {path}");
        }
        nobody.get(&format!("{}/and/more", operation.template)).await.assert_problem(401, "unauthorized");
    }
    assert_unchanged(&app, "callers without a key").await;
}

#[tokio::test]
async fn a_key_that_lacks_the_one_scope_an_operation_needs_is_403_and_changes_nothing() {
    let app = TestApp::start().await;
    let fixture = Fixture::of(&app).await;
    let lacking = keys_that_lack_one(&app).await;
    remember(&app).await;
    for operation in operations() {
        let scope = needed(&operation);
        let refused = fixture.send(&lacking[scope], &operation).await;
        refused.assert_problem(403, "forbidden");
        assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.contains(scope)), "{refused:?}");
        assert_unchanged(&app, &format!("{} without {scope}", operation.id)).await;
    }
}

/// The other way around: nothing needs a second scope. Done to things that are not there, so that nothing happens.
#[tokio::test]
async fn a_key_with_the_one_scope_an_operation_needs_passes() {
    let app = TestApp::start().await;
    let nothing = Fixture::missing();
    let mut holding: BTreeMap<&str, Caller> = BTreeMap::new();
    for scope in SCOPES {
        holding.insert(scope, app.key_with_scopes(&[scope]).await);
    }
    for operation in operations() {
        let answer = nothing.send(&holding[needed(&operation)], &operation).await;
        let of_its_own = operation.id == "create_key";
        assert_ne!(answer.status, 401, "{} {answer:?}", operation.id);
        assert!(answer.status != 403 || of_its_own, "{} {answer:?}", operation.id);
        assert!(answer.status < 500, "{} {answer:?}", operation.id);
    }
}

async fn keys_that_lack_one(app: &TestApp) -> BTreeMap<&'static str, Caller> {
    let mut keys = BTreeMap::new();
    for lacking in SCOPES {
        let others: Vec<_> = SCOPES.into_iter().filter(|scope| *scope != lacking).collect();
        keys.insert(lacking, app.key_with_scopes(&others).await);
    }
    keys
}
