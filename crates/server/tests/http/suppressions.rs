//! The suppression list.

use crate::app::TestApp;
use serde_json::{Value, json};

#[tokio::test]
async fn an_address_is_suppressed_once_for_the_whole_tenant() {
    let app = TestApp::start().await;
    let made = app.post("/api/suppressions", json!({"email": "Ada+news@Example.test"})).await;
    made.assert_status(201);
    assert_eq!(made.header("location"), "/api/suppressions/ada%2Bnews%40example.test");
    assert_eq!(made.json["email"], "ada+news@example.test");
    assert_eq!((&made.json["reason"], &made.json["source"]), (&json!("manual"), &json!("api")));
    assert!(made.json["createdAt"].as_str().is_some_and(|at| at.ends_with('Z')));

    let again = app.other_workspace().await;
    let again = again
        .post("/api/suppressions", json!({"email": "ADA+NEWS@example.test", "reason": "bounced", "source": "x"}))
        .await;
    again.assert_status(200);
    assert_eq!(again.json, made.json, "it keeps its reason and source");

    let listed = app.other_workspace().await.get("/api/suppressions").await;
    assert_eq!(listed.json["data"], json!([made.json]));
    assert_eq!(app.other_tenant().await.get("/api/suppressions").await.json["data"], json!([]));
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_by_address() {
    let app = TestApp::start().await;
    for (email, reason) in [("c@x.test", "bounced"), ("a@x.test", "complained"), ("b@x.test", "unsubscribed")] {
        app.post("/api/suppressions", json!({"email": email, "reason": reason, "source": "import"}))
            .await
            .assert_status(201);
    }
    let emails = |listing: &Value| -> Vec<String> {
        let rows = listing["data"].as_array().expect("a list");
        rows.iter().map(|row| row["email"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let first = app.get("/api/suppressions?limit=2").await;
    assert_eq!(emails(&first.json), ["a@x.test", "b@x.test"]);
    let cursor = first.json["pagination"]["nextCursor"].as_str().expect("a cursor");
    assert_eq!(emails(&app.get(&format!("/api/suppressions?limit=2&cursor={cursor}")).await.json), ["c@x.test"]);
    let one = app.get("/api/suppressions?email=C%40X.test").await;
    assert_eq!(emails(&one.json), ["c@x.test"]);
    assert_eq!(one.json["data"][0]["source"], "import");
    assert_eq!(emails(&app.get("/api/suppressions?email=none%40x.test").await.json), Vec::<String>::new());
    assert_eq!(app.get("/api/suppressions?email=junk").await.fields(), ["/email invalid_email"]);
}

#[tokio::test]
async fn an_address_is_taken_off_by_path_and_by_query() {
    let app = TestApp::start().await;
    for (email, address) in [
        ("a/b@x.test", "/api/suppressions/a%2Fb%40x.test"),
        ("50%25off@x.test", "/api/suppressions/50%2525off%40x.test"),
        ("a+b@x.test", "/api/suppressions/A%2BB@x.test"),
        ("a+b@x.test", "/api/suppressions?email=a%2Bb%40X.test"),
    ] {
        app.post("/api/suppressions", json!({ "email": email })).await.assert_status(201);
        app.other_tenant().await.delete(address).await.assert_problem(404, "not_found");
        app.delete(address).await.assert_status(204);
        app.delete(address).await.assert_problem(404, "not_found");
    }
    app.delete("/api/suppressions/junk").await.assert_problem(404, "not_found");
    assert_eq!(app.delete("/api/suppressions").await.fields(), ["/email required"]);
}

#[tokio::test]
async fn every_flaw_of_a_suppression_is_named() {
    let app = TestApp::start().await;
    let refused = app.post("/api/suppressions", json!({"email": "junk"})).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/email invalid_email"]);
    let refused = app.post("/api/suppressions", json!({"reason": "erased", "source": "", "extra": 1})).await;
    assert_eq!(
        refused.fields(),
        ["/email required", "/extra unknown_field", "/reason unknown_value", "/source too_short"]
    );
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_was() {
    let app = TestApp::start().await;
    let body = json!({"email": "ada@x.test"});
    let first = app.post_keyed("/api/suppressions", "k1", body.clone()).await;
    let again = app.post_keyed("/api/suppressions", "k1", body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json, first.json);
}

#[tokio::test]
async fn the_list_is_of_the_audience() {
    let app = TestApp::start().await;
    let reader = app.key_with_scopes(&["audience:read"]).await;
    reader.get("/api/suppressions").await.assert_status(200);
    reader.post("/api/suppressions", json!({"email": "a@x.test"})).await.assert_problem(403, "forbidden");
    reader.delete("/api/suppressions/a@x.test").await.assert_problem(403, "forbidden");
    app.with_token("").get("/api/suppressions").await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_domain_is_suppressed_found_and_taken_off_like_an_address() {
    let app = TestApp::start().await;
    let made = app.post("/api/suppressions", json!({"domain": "@Example.COM", "reason": "complained"})).await;
    made.assert_status(201);
    assert_eq!(made.header("location"), "/api/suppressions/example.com");
    assert_eq!((&made.json["email"], &made.json["domain"]), (&json!(null), &json!("example.com")));
    app.post("/api/suppressions", json!({"domain": "example.com"})).await.assert_status(200);
    app.post("/api/suppressions", json!({"email": "a@example.com"})).await.assert_status(201);
    assert_eq!(app.get("/api/suppressions").await.json["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(app.get("/api/suppressions?domain=EXAMPLE.com").await.json["data"], json!([made.json]));
    assert_eq!(app.get("/api/suppressions?domain=sub.example.com").await.json["data"], json!([]));
    app.delete("/api/suppressions/example.com").await.assert_status(204);
    app.delete("/api/suppressions?domain=example.com").await.assert_problem(404, "not_found");
    assert_eq!(app.get("/api/suppressions").await.json["data"][0]["email"], "a@example.com");
    for (body, fields) in [
        (json!({}), vec!["/email required"]),
        (json!({"domain": "example"}), vec!["/domain invalid_domain"]),
        (json!({"domain": ""}), vec!["/domain required"]),
        (json!({"email": "a@b.test", "domain": "b.test"}), vec!["/domain not_allowed"]),
        (json!({"domain": "a@b.test", "reason": "x"}), vec!["/reason unknown_value"]),
    ] {
        assert_eq!(app.post("/api/suppressions", body.clone()).await.fields(), fields, "{body}");
    }
    let both = app.get("/api/suppressions?email=a%40b.test&domain=b.test").await;
    assert_eq!(both.fields(), ["/domain not_allowed"]);
}

#[tokio::test]
async fn whoever_was_erased_is_found_and_lifted_by_the_address_alone() {
    let app = TestApp::start().await;
    let contact = app.post("/api/contacts", json!({"email": "Ada@x.test"})).await;
    app.post("/api/suppressions", json!({"email": "ada@x.test", "source": "said ada@x.test"})).await.assert_status(201);
    app.delete(&format!("/api/contacts/{}", contact.id())).await.assert_status(204);
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
    let found = app.get("/api/suppressions?email=ADA%40x.test").await;
    assert_eq!(found.json["data"][0]["email"], "ada@x.test");
    assert_eq!(
        (&found.json["data"][0]["reason"], &found.json["data"][0]["source"]),
        (&json!("manual"), &json!("erasure"))
    );
    let again = app.post("/api/suppressions", json!({"email": "ada@x.test"})).await;
    again.assert_status(200);
    assert_eq!(again.json, found.json["data"][0]);
    app.delete("/api/suppressions?email=ada%40x.test").await.assert_status(204);
    app.delete("/api/suppressions/ada%40x.test").await.assert_problem(404, "not_found");
    assert_eq!(app.get("/api/suppressions?email=ada%40x.test").await.json["data"], json!([]));
}
