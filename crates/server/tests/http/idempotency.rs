//! `Idempotency-Key`: the effect once, the answer as often as it is asked for.

use crate::app::TestApp;
use reqwest::Method;
use serde_json::{Value, json};

fn key(name: &str) -> Value {
    json!({ "name": name, "scopes": ["admin"] })
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_happens_once() {
    let app = TestApp::start().await;
    let first = app.post_keyed("/api/keys", "k1", key("once")).await;
    first.assert_status(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let second = app.post_keyed("/api/keys", "k1", key("once")).await;
    let third = app.post_keyed("/api/keys", "k1", key("once")).await;
    second.assert_status(201);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(second.text, third.text, "byte for byte");
    app.assert_sql("(SELECT count(*) FROM api_keys WHERE name = 'once') = 1").await;
}

#[tokio::test]
async fn a_key_for_another_body_path_or_query_is_refused() {
    let app = TestApp::start().await;
    app.post_keyed("/api/keys", "k1", key("first")).await.assert_status(201);
    app.post_keyed("/api/keys", "k1", key("second")).await.assert_problem(422, "idempotency_key_reused");
    app.post_keyed("/api/keys?x=1", "k1", key("first")).await.assert_problem(422, "idempotency_key_reused");
    app.assert_sql("NOT EXISTS (SELECT FROM api_keys WHERE name = 'second')").await;
}

#[tokio::test]
async fn a_refusal_past_validation_is_replayed_too() {
    let app = TestApp::start().await;
    let weak = app.key_with_scopes(&["admin"]).await;
    let wanted = json!({ "name": "more", "scopes": ["campaigns:launch"] });
    let first = weak.post_keyed("/api/keys", "k1", wanted.clone()).await;
    first.assert_problem(403, "forbidden");
    assert_eq!(first.header("idempotency-replayed"), "");
    // A caller that has the scope gets the stored refusal all the same: the request was answered.
    let again = app.post_keyed("/api/keys", "k1", wanted).await;
    again.assert_problem(403, "forbidden");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, first.text);
}

#[tokio::test]
async fn a_request_that_was_not_valid_can_be_mended_under_the_same_key() {
    let app = TestApp::start().await;
    app.post_keyed("/api/keys", "k1", json!({ "name": "x" })).await.assert_problem(422, "validation_failed");
    let late = json!({ "name": "x", "scopes": ["admin"], "expiresAt": "2020-01-01T00:00:00Z" });
    app.post_keyed("/api/keys", "k1", late).await.assert_problem(422, "validation_failed");
    app.post_keyed("/api/keys", "k1", key("x")).await.assert_status(201);
}

#[tokio::test]
async fn many_at_once_happen_once() {
    let app = TestApp::start().await;
    let answers = futures::future::join_all((0..12).map(|_| app.post_keyed("/api/keys", "k1", key("raced")))).await;
    let fresh = answers.iter().filter(|a| a.status == 201 && a.header("idempotency-replayed").is_empty()).count();
    assert_eq!(fresh, 1);
    for answer in &answers {
        match answer.status {
            201 => {}
            _ => drop(answer.assert_problem(409, "conflict")),
        }
    }
    app.assert_sql("(SELECT count(*) FROM api_keys WHERE name = 'raced') = 1").await;
}

#[tokio::test]
async fn keys_are_per_workspace_and_tenant() {
    let app = TestApp::start().await;
    let first = app.post_keyed("/api/keys", "k1", key("a")).await;
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        let made = stranger.post_keyed("/api/keys", "k1", key("b")).await;
        made.assert_status(201);
        assert_eq!(made.header("idempotency-replayed"), "");
        assert_ne!(made.id(), first.id());
    }
}

#[tokio::test]
async fn after_a_day_a_key_is_new_again_and_the_old_answers_are_swept_out() {
    let app = TestApp::start().await;
    let first = app.post_keyed("/api/keys", "k1", key("a")).await;
    app.post_keyed("/api/keys", "k2", key("b")).await.assert_status(201);
    app.database.run_sql("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours'").await;
    let second = app.post_keyed("/api/keys", "k1", key("other")).await;
    second.assert_status(201);
    assert_ne!(first.id(), second.id());
    app.assert_sql("(SELECT array_agg(key) FROM idempotency_keys) = ARRAY['k1']").await;
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_other_methods_pay_it_no_heed() {
    let app = TestApp::start().await;
    for bad in ["", "with space", &"x".repeat(256)] {
        let refused = app.post_keyed("/api/keys", bad, key("a")).await;
        assert_eq!(
            refused.assert_problem(422, "validation_failed").fields(),
            ["/Idempotency-Key invalid_key"],
            "{bad}"
        );
    }
    app.post_keyed("/api/keys", &"x".repeat(255), key("a")).await.assert_status(201);
    let id = app.post("/api/keys", key("b")).await.id();
    let delete = app.request(Method::DELETE, &format!("/api/keys/{id}")).header("Idempotency-Key", "with space");
    app.send(delete).await.assert_status(204);
}
