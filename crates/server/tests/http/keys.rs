//! API keys: made, shown once, listed, revoked.

use crate::app::{TestApp, provision};
use muster_domain::model::principal::Scope;
use serde_json::{Value, json};
use std::collections::HashSet;

fn key(name: &str, scopes: &[&str]) -> Value {
    json!({ "name": name, "scopes": scopes })
}

#[tokio::test]
async fn a_new_key_works_at_once_and_is_found_where_its_location_says() {
    let app = TestApp::start().await;
    let made = app.post("/api/keys", key("for the shop", &["audience:read", "admin"])).await;
    made.assert_status(201);
    assert_eq!(made.json["name"], "for the shop");
    assert_eq!(made.json["scopes"], json!(["audience:read", "admin"]));
    assert_eq!(made.json["expiresAt"], Value::Null);
    assert_eq!(made.header("location"), format!("/api/keys/{}", made.id()));
    let secret = made.json["secret"].as_str().expect("the secret");
    let prefix = made.json["prefix"].as_str().expect("the prefix");
    assert!(secret.starts_with(&format!("mk_{prefix}_")), "{secret}");

    let seen = app.with_token(secret).get(made.header("location")).await;
    seen.assert_status(200);
    let mut expected = made.json.clone();
    expected.as_object_mut().expect("an object").remove("secret");
    assert_eq!(seen.json, expected, "the same without the secret");
}

#[tokio::test]
async fn instants_are_utc_with_milliseconds() {
    let app = TestApp::start().await;
    let mut wanted = key("timed", &["admin"]);
    wanted["expiresAt"] = json!("2999-03-29T09:00:00.123987+02:00");
    let made = app.post("/api/keys", wanted).await;
    made.assert_status(201);
    assert_eq!(made.json["expiresAt"], "2999-03-29T07:00:00.123Z");
    let created_at = made.json["createdAt"].as_str().expect("an instant");
    assert!(created_at.len() == 24 && created_at.ends_with('Z') && created_at.as_bytes()[19] == b'.', "{created_at}");
}

#[tokio::test]
async fn the_secret_is_stored_nowhere() {
    let app = TestApp::start().await;
    let made = app.post_keyed("/api/keys", "once", key("secretive", &["admin"])).await;
    made.assert_status(201);
    let token = made.json["secret"].as_str().expect("the secret");
    let secret = token.rsplit('_').next().expect("three parts");
    app.assert_sql(&format!("NOT EXISTS (SELECT FROM api_keys k WHERE position('{secret}' IN k::text) > 0)")).await;
    app.assert_sql("(SELECT count(*) FROM idempotency_keys) = 1").await;
    app.assert_sql(&format!(
        "NOT EXISTS (SELECT FROM idempotency_keys WHERE position(convert_to('{secret}', 'UTF8') IN body) > 0)"
    ))
    .await;

    let again = app.post_keyed("/api/keys", "once", key("secretive", &["admin"])).await;
    again.assert_status(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.id(), made.id());
    assert_eq!(again.json.get("secret"), None, "a repeated answer has no secret");
}

#[tokio::test]
async fn a_revoked_key_is_out_at_once_and_gone_from_the_list() {
    let app = TestApp::start().await;
    let made = app.post("/api/keys", key("short-lived", &["admin"])).await;
    let holder = app.with_token(made.json["secret"].as_str().expect("the secret"));
    holder.get("/api/keys").await.assert_status(200);

    let path = format!("/api/keys/{}", made.id());
    let revoked = app.delete(&path).await;
    revoked.assert_status(204);
    assert_eq!(revoked.text, "");
    holder.get("/api/keys").await.assert_problem(401, "unauthorized");
    app.get(&path).await.assert_problem(404, "not_found");
    app.delete(&path).await.assert_problem(404, "not_found");
    let listed = app.get("/api/keys").await;
    assert!(listed.json["data"].as_array().expect("rows").iter().all(|row| row["id"] != made.json["id"]));
    app.assert_sql(&format!("(SELECT revoked_at IS NOT NULL FROM api_keys WHERE id = '{}')", made.id())).await;
}

#[tokio::test]
async fn a_key_may_revoke_itself() {
    let app = TestApp::start().await;
    let listed = app.get("/api/keys").await;
    let own = listed.json["data"][0]["id"].as_str().expect("an id").to_owned();
    app.delete(&format!("/api/keys/{own}")).await.assert_status(204);
    app.get("/api/keys").await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn an_expired_key_does_not_open() {
    let app = TestApp::start().await;
    let made = app.post("/api/keys", key("expired", &["admin"])).await;
    app.database.run_sql("UPDATE api_keys SET expires_at = now() WHERE name = 'expired'").await;
    let holder = app.with_token(made.json["secret"].as_str().expect("the secret"));
    holder.get("/api/keys").await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn an_expiry_in_the_past_is_refused() {
    let app = TestApp::start().await;
    let mut wanted = key("late", &["admin"]);
    wanted["expiresAt"] = json!("2020-01-01T00:00:00Z");
    let refused = app.post("/api/keys", wanted).await;
    assert_eq!(refused.assert_problem(422, "validation_failed").fields(), ["/expiresAt in_the_past"]);
}

#[tokio::test]
async fn a_key_cannot_grant_what_it_lacks() {
    let app = TestApp::start().await;
    let keeper = app.key_with_scopes(&["admin", "audience:read"]).await;
    keeper.post("/api/keys", key("same", &["audience:read"])).await.assert_status(201);
    keeper
        .post("/api/keys", key("more", &["audience:read", "campaigns:launch"]))
        .await
        .assert_problem(403, "forbidden");
    app.assert_sql("NOT EXISTS (SELECT FROM api_keys WHERE name = 'more')").await;
}

#[tokio::test]
async fn keys_of_another_tenant_or_workspace_are_not_there() {
    let app = TestApp::start().await;
    let path = format!("/api/keys/{}", app.post("/api/keys", key("mine", &["admin"])).await.id());
    let missing = app.get("/api/keys/0198c0de-0000-7000-8000-000000000000").await;
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        let seen = stranger.get(&path).await;
        seen.assert_problem(404, "not_found");
        assert_eq!(seen.text, missing.text, "word for word as if it did not exist");
        stranger.delete(&path).await.assert_problem(404, "not_found");
        let listed = stranger.get("/api/keys").await;
        assert_eq!(listed.json["data"].as_array().map(Vec::len), Some(1), "its own and no other");
    }
    app.get(&path).await.assert_status(200);
}

#[tokio::test]
async fn every_bad_field_of_a_key_is_named_at_once() {
    let app = TestApp::start().await;
    let refused = app
        .post(
            "/api/keys",
            json!({ "name": "", "scopes": ["admin", "everything", 7], "expiresAt": "tomorrow", "secret": "mk_mine" }),
        )
        .await;
    assert_eq!(
        refused.assert_problem(422, "validation_failed").fields(),
        [
            "/expiresAt invalid_instant",
            "/name too_short",
            "/scopes/1 unknown_value",
            "/scopes/2 wrong_type",
            "/secret unknown_field"
        ]
    );
    let empty = app.post("/api/keys", json!({})).await;
    assert_eq!(empty.assert_problem(422, "validation_failed").fields(), ["/name required", "/scopes required"]);
    let long = app.post("/api/keys", key(&"x".repeat(201), &[])).await;
    assert_eq!(long.assert_problem(422, "validation_failed").fields(), ["/name too_long", "/scopes too_few_items"]);
    let odd = app.post("/api/keys", key("a\nb", &["admin"])).await;
    assert_eq!(odd.assert_problem(422, "validation_failed").fields(), ["/name invalid_characters"]);
}

#[tokio::test]
async fn two_at_once_make_one_tenant_and_two_keys() {
    let app = TestApp::start().await;
    let scopes = [Scope::Admin];
    let made = futures::future::join_all((0..6).map(|_| provision(&app.database, "initech", "main", &scopes))).await;
    assert_eq!(made.iter().collect::<HashSet<_>>().len(), 6);
    app.assert_sql("(SELECT count(*) FROM tenants WHERE name = 'initech') = 1").await;
    app.assert_sql("(SELECT count(*) FROM workspaces w JOIN tenants t USING (tenant_no) WHERE t.name = 'initech') = 1")
        .await;
    for token in made {
        app.with_token(token).get("/api/keys").await.assert_status(200);
    }
}

#[tokio::test]
async fn the_command_lines_keys_have_no_maker_and_the_apis_name_theirs() {
    let app = TestApp::start().await;
    let listed = app.get("/api/keys").await;
    assert_eq!(listed.json["data"][0]["createdBy"], Value::Null);
    let made = app.post("/api/keys", key("child", &["admin"])).await;
    assert_eq!(made.json["createdBy"], listed.json["data"][0]["id"]);
}
