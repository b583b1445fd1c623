//! What belongs to another tenant or workspace does not exist: each operation of the document, done with somebody
//! else's ids, answers as it does for ids that nothing has, and changes nothing.

use crate::app::{Answer, Caller, TestApp};
use crate::matrix::{Fixture, MISSING, MISSING_ADDRESS, assert_unchanged, campaign, operations, remember};
use reqwest::Method;
use serde_json::{Value, json};

/// All that a caller sees of an answer and that does not differ from request to request.
fn seen(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    (answer.status, answer.text.clone(), headers)
}

#[tokio::test]
async fn somebody_elses_things_are_404_as_if_they_were_not_there() {
    let app = TestApp::start().await;
    let theirs = Fixture::of(&app).await;
    let nothing = Fixture::missing();
    let strangers = [("another tenant", app.other_tenant().await), ("another workspace", app.other_workspace().await)];
    remember(&app).await;
    for operation in operations().iter().filter(|operation| operation.names_something()) {
        for (who, stranger) in &strangers {
            // Suppressions belong to the tenant, whatever the workspace.
            if operation.template.starts_with("/api/suppressions") && *who == "another workspace" {
                continue;
            }
            let answer = theirs.send(stranger, operation).await;
            answer.assert_problem(404, "not_found");
            let missing = nothing.send(stranger, operation).await;
            assert_eq!(seen(&answer), seen(&missing), "{} by {who}", operation.id);
            assert_unchanged(&app, &format!("{} by {who}", operation.id)).await;
        }
    }
}

/// The owner gets something else than 404 for the same requests: else the test above would prove nothing.
#[tokio::test]
async fn the_owner_of_the_same_things_reaches_them() {
    for operation in operations().iter().filter(|operation| operation.names_something()) {
        if operation.method == Method::GET {
            continue;
        }
        let app = TestApp::start().await;
        let own = Fixture::of(&app).await;
        remember(&app).await;
        let answer = own.send(&app, operation).await;
        assert!(answer.status < 300 || answer.status == 409, "{}: {answer:?}", operation.id);
    }
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    for operation in operations().iter().filter(|operation| operation.method == Method::GET) {
        own.send(&app, operation).await.assert_status(200);
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_404_too() {
    let app = TestApp::start().await;
    for operation in operations().iter().filter(|operation| operation.template.contains("{id}")) {
        for id in ["1", "not-an-id", "0", "-1", "%00", "..%2f..", "null", "'", "9".repeat(300).as_str()] {
            let path = operation.template.replace("{stepId}", MISSING).replace("{contactId}", MISSING);
            let path = path.replace("{id}", id);
            let answer = app.send(app.request(operation.method.clone(), &path)).await;
            assert!([404, 405].contains(&answer.status), "{} {path}: {answer:?}", operation.method);
        }
    }
}

/// Requests that name things in their body or in the second part of their address.
fn naming(own: &Fixture, step: &str, contact: &str, segment: &str) -> Vec<(Method, String, Value)> {
    let draft = format!("/api/campaigns/{}", own.draft);
    let mut created = campaign(segment);
    created["name"] = json!("Mine");
    let email =
        |next: &str| json!({"stepType": "email", "subjectLine": "s", "emailContent": "<p>c</p>", "nextStepId": next});
    let choice = |yes: &str, no: &str| {
        json!({"stepType": "condition", "conditionRules": {"field": "city", "op": "exists", "value": true},
               "trueNextStepId": yes, "falseNextStepId": no})
    };
    let with_id = |id: &str| {
        let mut step = email("end");
        step["id"] = json!(id);
        step
    };
    vec![
        (Method::POST, "/api/campaigns".into(), created),
        (Method::PATCH, draft.clone(), json!({"segmentId": segment})),
        (Method::PUT, format!("{draft}/steps"), json!({"steps": [email(step)]})),
        (Method::PUT, format!("{draft}/steps"), json!({"steps": [with_id(step)]})),
        (Method::PUT, format!("{draft}/steps"), json!({"steps": [choice(step, "end")]})),
        (Method::PUT, format!("{draft}/steps"), json!({"steps": [choice("end", step)]})),
        (Method::POST, format!("{draft}/steps"), email(step)),
        (Method::PATCH, format!("{draft}/steps/{}", own.step), json!({"nextStepId": step})),
        (Method::POST, format!("{draft}/preview"), json!({"stepId": step})),
        (Method::POST, format!("{draft}/preview"), json!({"contactId": contact})),
        (Method::POST, format!("{draft}/test"), json!({"stepId": step, "emails": ["me@example.test"]})),
        (Method::POST, format!("{draft}/test"), json!({"contactId": contact, "emails": ["me@example.test"]})),
        (Method::POST, format!("/api/segments/{}/contacts", own.segment), json!({"contactIds": [contact]})),
        (
            Method::POST,
            format!("/api/segments/{}/contacts", own.segment),
            json!({"contactIds": [own.stranger, contact]}),
        ),
        (Method::DELETE, format!("/api/segments/{}/contacts", own.segment), json!({"contactIds": [contact]})),
        (
            Method::DELETE,
            format!("/api/segments/{}/contacts", own.segment),
            json!({"contactIds": [own.contact, contact]}),
        ),
        (Method::POST, format!("/api/campaigns/{}/enrollments", own.active), json!({"contactIds": [contact]})),
        (Method::PATCH, format!("{draft}/steps/{step}"), json!({"name": "x"})),
        (Method::DELETE, format!("{draft}/steps/{step}"), Value::Null),
        (Method::GET, format!("/api/campaigns/{}/enrollments/{contact}", own.active), Value::Null),
        (Method::POST, format!("/api/campaigns/{}/enrollments/{contact}/exit", own.active), Value::Null),
    ]
}

async fn send(caller: &Caller, (method, path, body): &(Method, String, Value)) -> Answer {
    let request = caller.request(method.clone(), path);
    caller.send(if body.is_null() { request } else { request.json(body) }).await
}

#[tokio::test]
async fn somebody_elses_ids_in_a_body_are_as_if_they_were_not_there() {
    let app = TestApp::start().await;
    let theirs = Fixture::of(&app).await;
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        let own = Fixture::made_by(&stranger, &app.database).await;
        remember(&app).await;
        let ids = naming(&own, &theirs.step, &theirs.contact, &theirs.segment);
        let missing = naming(&own, MISSING, MISSING, MISSING);
        for (request, control) in ids.iter().zip(&missing) {
            let (answer, control) = (send(&stranger, request).await, send(&stranger, control).await);
            assert!([404, 422].contains(&answer.status), "{request:?}: {answer:?}");
            assert_eq!(seen(&answer), seen(&control), "{request:?}");
            assert_unchanged(&app, &format!("{} {}", request.0, request.1)).await;
        }
    }
}

/// The same requests with the caller's own ids do something: else the test above would prove nothing.
#[tokio::test]
async fn ones_own_ids_in_a_body_are_taken() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let requests = naming(&own, &own.step, &own.contact, &own.segment);
    let mut taken = 0;
    for request in &requests {
        let answer = send(&app, request).await;
        // A step that leads to itself without a wait is refused for that, and one that is gone by now for being gone.
        taken += usize::from(answer.status < 300);
    }
    assert!(taken >= 12, "{taken} of {}", requests.len());
}

#[tokio::test]
async fn lists_filters_and_cursors_show_nothing_of_others() {
    let app = TestApp::start().await;
    let theirs = Fixture::of(&app).await;
    app.post("/api/segments", json!({"name": "More", "kind": "static"})).await.assert_status(201);
    let lists = ["contacts", "segments", "campaigns", "keys", "suppressions"];
    app.post("/api/suppressions", json!({"email": "gone2@example.test"})).await.assert_status(201);
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        for list in lists {
            let path = format!("/api/{list}?limit=1");
            let their_page = app.get(&path).await;
            let cursor = their_page.json["pagination"]["nextCursor"].as_str().expect("there are two of each");
            for path in [format!("/api/{list}"), format!("/api/{list}?cursor={cursor}")] {
                let mine = stranger.get(&path).await;
                let text = &mine.text;
                for private in [&theirs.contact, &theirs.segment, &theirs.draft, &theirs.active, &theirs.key] {
                    assert!(!text.contains(private.as_str()), "{path}: {text}");
                }
                assert!(!text.contains("anna@"), "{path}: {text}");
            }
        }
        assert_eq!(stranger.get("/api/contacts?email=anna@example.test").await.json["data"], json!([]));
        assert_eq!(stranger.get("/api/campaigns?q=Welcome").await.json["data"], json!([]));
    }
    let elsewhere = app.other_tenant().await;
    assert_eq!(elsewhere.get("/api/suppressions").await.json["data"], json!([]));
    elsewhere.delete(&format!("/api/suppressions?email={MISSING_ADDRESS}")).await.assert_problem(404, "not_found");
    elsewhere.delete(&format!("/api/suppressions?email={}", theirs.suppressed)).await.assert_problem(404, "not_found");
}

/// The same address may be a contact of two tenants: whether it is one elsewhere cannot be found out.
#[tokio::test]
async fn what_is_unique_is_so_within_its_workspace_only() {
    let app = TestApp::start().await;
    Fixture::of(&app).await;
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        stranger.post("/api/contacts", json!({"email": "anna@example.test"})).await.assert_status(201);
    }
    app.post("/api/contacts", json!({"email": "ANNA@example.test"})).await.assert_problem(409, "conflict");
}
