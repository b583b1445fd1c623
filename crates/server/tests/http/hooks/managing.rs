//! Making, listing and revoking hooks.

use super::{Hook, Scene, assert_tally};
use crate::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_hook_shows_its_secret_once_and_its_addresses_always() {
    let app = TestApp::start().await;
    let made = app.post_keyed("/api/hooks", "once", json!({"name": "Postfix"})).await;
    made.assert_status(201);
    assert_eq!(made.header("location"), format!("/api/hooks/{}", made.id()));
    assert!(made.json["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{made:?}");
    let again = app.post_keyed("/api/hooks", "once", json!({"name": "Postfix"})).await;
    assert_eq!((again.id(), again.json.get("secret")), (made.id(), None));
    let listed = app.get("/api/hooks").await;
    let hook = &listed.json["data"][0];
    assert_eq!((&hook["id"], &hook["urls"], hook.get("secret")), (&made.json["id"], &made.json["urls"], None));
    assert_eq!(&app.get(made.header("location")).await.json, hook);
    let secret = made.json["secret"].as_str().unwrap();
    app.assert_sql(&format!(
        "NOT EXISTS (SELECT FROM idempotency_keys WHERE position('{secret}'::bytea IN body) > 0) \
         AND NOT EXISTS (SELECT FROM hooks h WHERE h::text LIKE '%{}%')",
        &secret[6..20]
    ))
    .await;
    for bad in [json!({}), json!({"name": ""}), json!({"name": "a\u{7}"}), json!({"name": "x".repeat(201)})] {
        app.post("/api/hooks", bad).await.assert_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn what_is_reported_to_a_revoked_hook_counts_for_nothing() {
    let scene = Scene::with(1).await;
    let other = Hook::create(&scene.app).await;
    scene.app.delete(&format!("/api/hooks/{}", scene.hook.id)).await.assert_status(204);
    scene.app.delete(&format!("/api/hooks/{}", scene.hook.id)).await.assert_problem(404, "not_found");
    let before = scene.everything().await;
    scene.post("mta", "one", &scene.bounce(0, "5.1.1")).await.assert_problem(404, "not_found");
    assert_eq!(scene.everything().await, before);
    let signed = scene.signed(&other, "mta", "one", scene.seconds().await, &scene.bounce(0, "5.1.1"));
    assert_tally(&scene.app.send(signed).await, 1, 0, 0);
}
