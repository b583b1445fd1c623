//! What stands below a mail: the postal address and the unsubscribe link.

use crate::app::TestApp;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use muster_testkit::database::TestDatabase;
use serde_json::{Value, json};

/// A draft with one mail to one contact.
async fn draft(app: &TestApp, settings: Value, html: &str, text: Option<&str>) -> String {
    let contact = app.post("/api/contacts", json!({"email": "ada@x.test", "firstName": "Ada"})).await;
    let segment = app.post("/api/segments", json!({"name": "all", "kind": "static"})).await.id();
    app.post(&format!("/api/segments/{segment}/contacts"), json!({"contactIds": [contact.id()]})).await;
    let campaign = json!({"name": "c", "campaignType": "broadcast", "segmentId": segment, "fromEmail": "news@x.test",
        "fromName": "News", "settings": settings});
    let made = app.post("/api/campaigns", campaign).await;
    made.assert_status(201);
    let step = json!({"name": "hello", "stepType": "email", "subjectLine": "Hello", "emailContent": html, "textContent": text});
    app.put(&format!("/api/campaigns/{}/steps", made.id()), json!({"steps": [step]})).await.assert_status(200);
    made.id()
}

const ADDRESS: &str = "Ex & Co\n1 Main Street";

#[tokio::test]
async fn a_postal_address_is_kept_and_shown_below_the_mail() {
    let app = TestApp::start().await;
    let settings = json!({"postalAddress": format!(" {ADDRESS}\n")});
    let id = draft(&app, settings, "<html><body><p>Hi {{ firstName }}</p></body></html>", Some("Hi")).await;
    let campaign = app.get(&format!("/api/campaigns/{id}")).await;
    assert_eq!(campaign.json["campaign"]["settings"]["postalAddress"], ADDRESS);
    let preview = app.post(&format!("/api/campaigns/{id}/preview"), json!({"contact": {"firstName": "Ada"}})).await;
    let written = json!(["<html><body><p>Hi Ada</p></body></html>", "Hi"]);
    assert_eq!(json!([preview.json["html"], preview.json["text"]]), written, "a preview is of the step");
    app.post(&format!("/api/campaigns/{id}/test"), json!({"emails": ["me@x.test"]})).await.assert_status(200);
    let sent = app.sink.messages().pop().expect("a mail");
    let data = String::from_utf8_lossy(&sent.data).replace("=\r\n", "");
    let signature = "Hi\r\n\r\n--=20\r\nEx & Co\r\n1 Main Street\r\nUnsubscribe: http://muster.test/u/test\r\n";
    assert!(data.contains(signature), "{data}");
    let below = "Ex &amp; Co<br>1 Main Street<br><a href=3D\"http://muster.test/u/test\"";
    assert!(data.contains("<html><body><p>Hi </p><div ") && data.contains(below), "{data}");
    assert!(data.contains("</div></body></html>") && !data.contains("List-Unsubscribe"), "{data}");
    app.patch(&format!("/api/campaigns/{id}"), json!({"settings": {"postalAddress": null}})).await.assert_status(200);
    let campaign = app.get(&format!("/api/campaigns/{id}")).await;
    assert_eq!(campaign.json["campaign"]["settings"]["postalAddress"], json!(null));
}

#[tokio::test]
async fn an_author_places_the_link_or_leaves_it_out() {
    let app = TestApp::start().await;
    let html = "<p>Hi</p><a href=\"{{ unsubscribeUrl }}\">Abmelden</a>";
    let id = draft(&app, json!({}), html, Some("Abmelden: {{ unsubscribeUrl }}")).await;
    let preview = async || app.post(&format!("/api/campaigns/{id}/preview"), json!({})).await.json;
    let shown = preview().await;
    assert_eq!(shown["html"], "<p>Hi</p><a href=\"http://muster.test/u/test\">Abmelden</a>");
    assert_eq!(shown["text"], "Abmelden: http://muster.test/u/test");
    app.patch(&format!("/api/campaigns/{id}"), json!({"settings": {"unsubscribeEnabled": false}}))
        .await
        .assert_status(200);
    let shown = preview().await;
    assert_eq!(
        (shown["html"].as_str(), shown["text"].as_str()),
        (Some("<p>Hi</p><a href=\"\">Abmelden</a>"), Some("Abmelden: "))
    );
}

#[tokio::test]
async fn a_launch_without_a_postal_address_is_warned_of() {
    let app = TestApp::start().await;
    let id = draft(&app, json!({}), "<p>Hi</p>", None).await;
    let launched = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    launched.assert_status(200);
    assert_eq!((&launched.json["success"], &launched.json["enrolled"]), (&json!(true), &json!(1)));
    assert_eq!(launched.json["warnings"][0]["pointer"], "/settings/postalAddress");
    assert_eq!(launched.json["warnings"][0]["code"], "required");
    let app = TestApp::start().await;
    let id = draft(&app, json!({"postalAddress": ADDRESS}), "<p>Hi</p>", None).await;
    let launched = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    launched.assert_status(200);
    assert_eq!(launched.json.get("warnings"), None);
}

#[tokio::test]
async fn where_it_is_required_a_launch_without_a_postal_address_is_refused() {
    let app = TestApp::start_with(TestDatabase::create().await, PostalAddressRule::Required).await;
    let id = draft(&app, json!({}), "<p>Hi</p>", None).await;
    let refused = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/settings/postalAddress required"]);
    app.assert_sql("(SELECT status FROM campaigns) = 'draft' AND NOT EXISTS (SELECT FROM enrollments)").await;
    app.put(&format!("/api/campaigns/{id}/steps"), json!({"steps": []})).await.assert_status(200);
    let refused = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    assert_eq!(refused.fields(), ["/settings/postalAddress required", "/steps no_steps"], "all at once");
    let steps = json!({"steps": [{"name": "m", "stepType": "email", "subjectLine": "S", "emailContent": "<p>Hi</p>"}]});
    app.put(&format!("/api/campaigns/{id}/steps"), steps).await.assert_status(200);
    app.patch(&format!("/api/campaigns/{id}"), json!({"settings": {"postalAddress": ADDRESS}}))
        .await
        .assert_status(200);
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await.assert_status(200);
}
