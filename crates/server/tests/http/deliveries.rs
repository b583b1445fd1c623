//! Mails one by one: listing them, settling those in doubt, beginning again what did not arrive.

use crate::app::TestApp;
use crate::matrix::Fixture;
use serde_json::{Value, json};

/// What the books say of the launched campaign's first step.
async fn first_step(app: &TestApp, own: &Fixture) -> Value {
    let books = app.get(&format!("/api/campaigns/{}/balance", own.active)).await;
    books.assert_status(200).json["steps"][0].clone()
}

#[tokio::test]
async fn a_delivery_in_doubt_is_shown_with_what_is_known_of_it() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let listed = app.get("/api/deliveries?state=inDoubt").await;
    let [delivery] = listed.assert_status(200).json["data"].as_array().expect("rows").as_slice() else {
        panic!("one is in doubt: {listed:?}")
    };
    for (member, value) in [
        ("id", json!(own.delivery)),
        ("campaignId", json!(own.active)),
        ("contactId", json!(own.contact)),
        ("stepId", json!(own.active_step)),
        ("state", json!("inDoubt")),
        ("attempts", json!(1)),
        ("detail", json!("no reply after the final dot")),
    ] {
        assert_eq!(delivery[member], value, "{member}");
    }
    assert!(delivery["messageId"].as_str().is_some_and(|id| id.starts_with('<') && id.ends_with("@example.test>")));
    assert_eq!(app.get("/api/deliveries?state=failed").await.json["data"], json!([]));
    let refused = app.get("/api/deliveries?state=lost&campaignId=7").await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/campaignId invalid_id", "/state unknown_value"]);
}

#[tokio::test]
async fn a_doubt_is_settled_once_and_by_a_known_outcome() {
    for (outcome, state, term) in
        [("sent", "sent", "sent"), ("resend", "pending", "pending"), ("drop", "cancelled", "cancelled")]
    {
        let app = TestApp::start().await;
        let own = Fixture::of(&app).await;
        let path = format!("/api/deliveries/{}/resolve", own.delivery);
        for bad in [json!({}), json!({"outcome": "failed"}), json!({"outcome": "sent", "why": "so"})] {
            app.post(&path, bad).await.assert_problem(422, "validation_failed");
        }
        let settled = app.post(&path, json!({"outcome": outcome})).await;
        assert_eq!((settled.status, &settled.json["state"]), (200, &json!(state)), "{settled:?}");
        app.post(&path, json!({"outcome": outcome})).await.assert_problem(409, "conflict");
        let books = first_step(&app, &own).await;
        assert_eq!((&books[term], &books["inDoubt"]), (&json!(1), &json!(0)), "{books}");
        let way = app.get(&format!("/api/campaigns/{}/enrollments/{}", own.active, own.contact)).await;
        let told = way.json["events"].as_array().expect("events").iter().any(|event| {
            event["type"].as_str().is_some_and(|kind| ["email_resolved", "email_retried"].contains(&kind))
                && event["reason"] == "hand"
        });
        assert!(told, "{way:?}");
    }
}

#[tokio::test]
async fn what_is_no_delivery_is_not_found() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    for id in ["x", "0198c0de-0000-7000-8000-00000000dead", &own.delivery[1..], &own.delivery.to_uppercase()] {
        let answer = app.post(&format!("/api/deliveries/{id}/resolve"), json!({"outcome": "sent"})).await;
        answer.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_retry_begins_exactly_the_asked_for_again() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let path = format!("/api/campaigns/{}/retry", own.active);
    for (bad, field) in [
        (json!({}), "/states required"),
        (json!({"states": []}), "/states too_few_items"),
        (json!({"states": ["sent"]}), "/states/0 unknown_value"),
        (json!({"states": "failed"}), "/states wrong_type"),
    ] {
        let refused = app.post(&path, bad).await;
        refused.assert_problem(422, "validation_failed");
        assert_eq!(refused.fields(), [field]);
    }
    assert_eq!(app.post(&path, json!({"states": ["failed"]})).await.assert_status(200).json["retried"], 0);
    let first = app.post_keyed(&path, "again", json!({"states": ["failed", "inDoubt"]})).await;
    assert_eq!((first.status, &first.json["retried"]), (200, &json!(1)), "{first:?}");
    assert_eq!((&first.json["success"], &first.json["campaign"]["status"]), (&json!(true), &json!("active")));
    let repeated = app.post_keyed(&path, "again", json!({"states": ["failed", "inDoubt"]})).await;
    assert_eq!((repeated.header("idempotency-replayed"), &repeated.text), ("true", &first.text));
    let books = first_step(&app, &own).await;
    assert_eq!((&books["pending"], &books["inDoubt"]), (&json!(1), &json!(0)), "{books}");
}

#[tokio::test]
async fn a_campaign_that_was_never_launched_has_nothing_to_retry() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let refused = app.post(&format!("/api/campaigns/{}/retry", own.draft), json!({"states": ["failed"]})).await;
    refused.assert_problem(409, "conflict");
}
