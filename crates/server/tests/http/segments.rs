//! Segments: rules, members, preview.

use crate::app::{Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

async fn contact(app: &Caller, email: &str, more: Value) -> String {
    let mut body = json!({ "email": email });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let made = app.post("/api/contacts", body).await;
    made.assert_status(201);
    made.id()
}

fn in_berlin() -> Value {
    json!({"all": [{"field": "city", "op": "eq", "value": "berlin"}]})
}

fn emails(listing: &Value) -> Vec<&str> {
    listing.as_array().expect("a list").iter().filter_map(|contact| contact["email"].as_str()).collect()
}

#[tokio::test]
async fn a_dynamic_segment_has_whoever_its_rules_hold_for_now() {
    let app = TestApp::start().await;
    contact(&app, "ada@example.test", json!({"city": "Berlin"})).await;
    let bob = contact(&app, "bob@example.test", json!({"city": "Bonn"})).await;
    let made = app.post("/api/segments", json!({"name": " In Berlin ", "kind": "dynamic", "rules": in_berlin()})).await;
    made.assert_status(201);
    let path = format!("/api/segments/{}", made.id());
    assert_eq!(made.header("location"), path);
    assert_eq!(made.json["name"], "In Berlin");
    assert_eq!(made.json["kind"], "dynamic");
    assert_eq!(made.json["rules"], in_berlin());
    assert_eq!(made.json["createdAt"], made.json["updatedAt"]);
    assert_eq!(app.get(&path).await.json["contactCount"], 1);

    app.patch(&format!("/api/contacts/{bob}"), json!({"city": "BERLIN"})).await.assert_status(200);
    assert_eq!(app.get(&path).await.json["contactCount"], 2);
    let members = app.get(&format!("{path}/contacts")).await;
    assert_eq!(emails(&members.json["data"]), ["ada@example.test", "bob@example.test"]);
    assert_eq!(members.json["data"][1]["id"], bob);
}

#[tokio::test]
async fn members_come_page_by_page_in_the_order_of_their_creation() {
    let app = TestApp::start().await;
    for n in 0..5 {
        contact(&app, &format!("c{n}@example.test"), json!({})).await;
    }
    let made = app.post("/api/segments", json!({"name": "all", "kind": "dynamic", "rules": {"all": []}})).await;
    let path = format!("/api/segments/{}/contacts", made.id());
    let first = app.get(&format!("{path}?limit=3")).await;
    assert_eq!(emails(&first.json["data"]), ["c0@example.test", "c1@example.test", "c2@example.test"]);
    assert_eq!(first.json["pagination"]["hasMore"], true);
    let cursor = first.json["pagination"]["nextCursor"].as_str().expect("a cursor");
    let second = app.get(&format!("{path}?limit=3&cursor={cursor}")).await;
    assert_eq!(emails(&second.json["data"]), ["c3@example.test", "c4@example.test"]);
    assert_eq!(second.json["pagination"], json!({"limit": 3, "nextCursor": null, "hasMore": false}));

    let other = app.post("/api/segments", json!({"name": "other", "kind": "dynamic", "rules": {"all": []}})).await;
    let elsewhere = app.get(&format!("/api/segments/{}/contacts?cursor={cursor}", other.id())).await;
    elsewhere.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn contacts_are_put_on_a_static_list_and_taken_off() {
    let app = TestApp::start().await;
    let ada = contact(&app, "ada@example.test", json!({})).await;
    let bob = contact(&app, "bob@example.test", json!({})).await;
    let list = app.post("/api/segments", json!({"name": "list", "kind": "static"})).await;
    list.assert_status(201);
    assert_eq!(list.json["rules"], Value::Null);
    let path = format!("/api/segments/{}/contacts", list.id());

    let added = app.post(&path, json!({"contactIds": [ada, bob, ada]})).await;
    added.assert_status(200);
    assert_eq!(added.json, json!({"added": 2}));
    assert_eq!(app.post(&path, json!({"contactIds": [ada]})).await.json, json!({"added": 0}));
    assert_eq!(emails(&app.get(&path).await.json["data"]).len(), 2);

    let removed = app.send(app.request(Method::DELETE, &path).json(&json!({"contactIds": [ada]}))).await;
    removed.assert_status(200);
    assert_eq!(removed.json, json!({"removed": 1}));
    assert_eq!(emails(&app.get(&path).await.json["data"]), ["bob@example.test"]);

    app.delete(&format!("/api/contacts/{bob}")).await.assert_status(204);
    assert_eq!(app.get(&format!("/api/segments/{}", list.id())).await.json["contactCount"], 0, "erased");
}

#[tokio::test]
async fn one_unknown_contact_leaves_the_list_as_it_was() {
    let app = TestApp::start().await;
    let ada = contact(&app, "ada@example.test", json!({})).await;
    let foreign = contact(&app.other_workspace().await, "ada@example.test", json!({})).await;
    let list = app.post("/api/segments", json!({"name": "list", "kind": "static"})).await;
    let path = format!("/api/segments/{}/contacts", list.id());
    let unknown = "01890000-0000-7000-8000-000000000000";
    let refused = app.post(&path, json!({"contactIds": [unknown, ada, foreign]})).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/contactIds/0 not_found", "/contactIds/2 not_found"]);
    assert_eq!(app.get(&path).await.json["data"], json!([]));
    assert_eq!(app.post(&path, json!({"contactIds": []})).await.fields(), ["/contactIds too_few_items"]);
}

#[tokio::test]
async fn a_dynamic_segment_has_no_list_to_change() {
    let app = TestApp::start().await;
    let ada = contact(&app, "ada@example.test", json!({})).await;
    let made = app.post("/api/segments", json!({"name": "n", "kind": "dynamic", "rules": in_berlin()})).await;
    let path = format!("/api/segments/{}/contacts", made.id());
    let ids = json!({"contactIds": [ada]});
    app.post(&path, ids.clone()).await.assert_problem(409, "conflict");
    app.send(app.request(Method::DELETE, &path).json(&ids)).await.assert_problem(409, "conflict");
}

#[tokio::test]
async fn a_preview_counts_and_shows_ten_at_most() {
    let app = TestApp::start().await;
    for n in 0..12 {
        let more = json!({"tags": ["VIP"], "customFields": {"seats": n}, "leadScore": n});
        contact(&app, &format!("c{n}@example.test"), more).await;
    }
    let rules = json!({"all": [
        {"field": "tags", "op": "contains", "value": "vip"},
        {"field": "customFields.seats", "op": "gte", "value": 1},
        {"not": {"field": "leadScore", "op": "in", "value": [99]}},
    ]});
    let preview = app.post("/api/segments/preview", json!({ "rules": rules })).await;
    preview.assert_status(200);
    assert_eq!(preview.json["count"], 11);
    assert_eq!(preview.json["sample"].as_array().map(Vec::len), Some(10));
    assert_eq!(preview.json["sample"][0]["email"], "c1@example.test");
    assert_eq!(app.get("/api/segments").await.json["data"], json!([]), "nothing is stored");
}

#[tokio::test]
async fn every_flaw_of_a_request_is_named() {
    let app = TestApp::start().await;
    let rules = json!({"all": [{"field": "shoeSize", "op": "eq", "value": 1}, {"field": "city", "op": "near", "value": 1}, {"x": 1}]});
    let refused = app.post("/api/segments", json!({"name": "n", "kind": "dynamic", "rules": rules})).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(
        refused.fields(),
        [
            "/rules/all/0/field unknown_field",
            "/rules/all/1/op unknown_op",
            "/rules/all/2 required",
            "/rules/all/2/x unknown_field"
        ]
    );
    let empty = app.post("/api/segments", json!({"rules": 7, "colour": "red"})).await;
    assert_eq!(empty.fields(), ["/colour unknown_field", "/kind required", "/name required"]);
    let kind = app.post("/api/segments", json!({"name": "n", "kind": "magic"})).await;
    assert_eq!(kind.fields(), ["/kind unknown_value"]);
    let without = app.post("/api/segments", json!({"name": "n", "kind": "dynamic"})).await;
    assert_eq!(without.fields(), ["/rules required"]);
    let with = app.post("/api/segments", json!({"name": "n", "kind": "static", "rules": in_berlin()})).await;
    assert_eq!(with.fields(), ["/rules not_applicable"]);
    let preview =
        app.post("/api/segments/preview", json!({"rules": {"field": "city", "op": "eq", "value": "a\u{0}"}})).await;
    preview.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn name_and_rules_change_and_the_kind_stays() {
    let app = TestApp::start().await;
    let made = app.post("/api/segments", json!({"name": "n", "kind": "dynamic", "rules": in_berlin()})).await;
    let path = format!("/api/segments/{}", made.id());
    let rules = json!({"field": "tags", "op": "exists", "value": true});
    let changed = app.patch(&path, json!({"name": "m", "rules": rules})).await;
    changed.assert_status(200);
    assert_eq!((&changed.json["name"], &changed.json["rules"]), (&json!("m"), &rules));
    assert_eq!(app.get(&path).await.json["rules"], rules);
    assert_eq!(app.patch(&path, json!({"kind": "static"})).await.fields(), ["/kind unknown_field"]);
    assert_eq!(app.patch(&path, json!({"rules": null})).await.fields(), ["/rules required"]);
    assert_eq!(app.patch(&path, json!({"name": "", "rules": {}})).await.status, 422);
    let fixed = app.post("/api/segments", json!({"name": "n", "kind": "static"})).await;
    let refused = app.patch(&format!("/api/segments/{}", fixed.id()), json!({"rules": rules})).await;
    assert_eq!(refused.fields(), ["/rules not_applicable"]);
}

#[tokio::test]
async fn a_segment_is_listed_and_deleted() {
    let app = TestApp::start().await;
    let one = app.post("/api/segments", json!({"name": "one", "kind": "static"})).await.id();
    let two = app.post("/api/segments", json!({"name": "two", "kind": "static"})).await.id();
    let listed = app.get("/api/segments").await;
    let ids: Vec<_> = listed.json["data"].as_array().expect("a list").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [json!(two), json!(one)], "the newest first");
    let path = format!("/api/segments/{one}");
    app.delete(&path).await.assert_status(204);
    app.delete(&path).await.assert_problem(404, "not_found");
    app.get(&path).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn nobody_else_sees_or_touches_a_segment() {
    let app = TestApp::start().await;
    let made = app.post("/api/segments", json!({"name": "ours", "kind": "static"})).await;
    let path = format!("/api/segments/{}", made.id());
    let members = format!("{path}/contacts");
    let ids = json!({"contactIds": ["01890000-0000-7000-8000-000000000000"]});
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        stranger.get(&path).await.assert_problem(404, "not_found");
        stranger.get(&members).await.assert_problem(404, "not_found");
        stranger.patch(&path, json!({"name": "theirs"})).await.assert_problem(404, "not_found");
        stranger.delete(&path).await.assert_problem(404, "not_found");
        stranger.post(&members, ids.clone()).await.assert_problem(404, "not_found");
        assert_eq!(stranger.get("/api/segments").await.json["data"], json!([]));
    }
    let reader = app.key_with_scopes(&["audience:read"]).await;
    reader.get(&path).await.assert_status(200);
    reader.post("/api/segments/preview", json!({"rules": in_berlin()})).await.assert_status(200);
    reader.delete(&path).await.assert_problem(403, "forbidden");
    reader.post("/api/segments", json!({"name": "n", "kind": "static"})).await.assert_problem(403, "forbidden");
    let writer = app.key_with_scopes(&["campaigns:read"]).await;
    writer.get(&path).await.assert_problem(403, "forbidden");
    assert_eq!(app.get(&path).await.json["name"], "ours");
}
