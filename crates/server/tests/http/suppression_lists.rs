//! The suppression list as a file: imported, exported, and imported again.

use crate::app::{Answer, Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn import_as(caller: &Caller, media_type: &str, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = caller.request(Method::POST, &format!("/api/suppressions/import{query}"));
    caller.send(request.header("Content-Type", media_type).body(body).timeout(Duration::from_mins(2))).await
}

async fn export(caller: &Caller, accept: &str) -> Answer {
    caller.send(caller.request(Method::GET, "/api/suppressions/export").header("Accept", accept)).await
}

/// `[created, updated, skipped]`.
fn counts(answer: &Answer) -> Value {
    answer.assert_status(200);
    json!([answer.json["created"], answer.json["updated"], answer.json["skipped"]])
}

#[tokio::test]
async fn a_list_is_imported_and_its_bad_rows_are_named() {
    let app = TestApp::start().await;
    let list = "Email,Domain,Reason,Created\r\nAda@x.test,,bounced,2026\r\nada@X.test,,manual,\r\n,spam.test,,\r\n\
                junk,,,\r\nb@x.test,x.test,,\r\nc@x.test,,erased,\r\n";
    let done = import_as(&app, "text/csv", "?reason=complained&source=old%20system", list).await;
    assert_eq!(counts(&done), json!([2, 0, 4]));
    let errors: Vec<_> = done.json["errors"].as_array().unwrap().iter().map(|e| (&e["line"], &e["code"])).collect();
    let expected =
        [(5, "invalid_email"), (6, "not_allowed"), (7, "unknown_value")].map(|(n, code)| (json!(n), json!(code)));
    assert_eq!(errors, expected.iter().map(|(n, code)| (n, code)).collect::<Vec<_>>());
    let listed = app.get("/api/suppressions").await;
    let shown: Vec<_> = listed.json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!([row["email"], row["domain"], row["reason"], row["source"]]))
        .collect();
    let old = "old system";
    assert_eq!(shown, [json!(["ada@x.test", null, "bounced", old]), json!([null, "spam.test", "complained", old])]);
    let again = import_as(&app, "text/csv", "", list).await;
    assert_eq!(counts(&again), json!([0, 0, 6]), "sending it again is safe");
}

#[tokio::test]
async fn a_file_that_is_no_list_is_refused_whole() {
    let app = TestApp::start().await;
    assert_eq!(import_as(&app, "text/csv", "", "name\nAda\n").await.fields(), ["/email required"]);
    assert_eq!(import_as(&app, "text/csv", "", "").await.fields(), [" required"]);
    import_as(&app, "application/json", "", "[]").await.assert_problem(415, "unsupported_media_type");
    let query = import_as(&app, "text/csv", "?reason=erased&source=&mapping=%7B%7D", "email\n").await;
    assert_eq!(query.fields(), ["/mapping unknown_field", "/reason unknown_value", "/source too_short"]);
    let reader = app.key_with_scopes(&["audience:read"]).await;
    import_as(&reader, "text/csv", "", "email\na@x.test\n").await.assert_problem(403, "forbidden");
    export(&app.with_token(""), "text/csv").await.assert_problem(401, "unauthorized");
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
}

#[tokio::test]
async fn an_export_is_a_list_that_can_be_imported_and_no_spreadsheet_runs() {
    let app = TestApp::start().await;
    for (email, source) in
        [("+ada@x.test", "=HYPERLINK(\"http://evil.test\")"), ("=1+1@x.test", "api"), ("b@x.test", "a, \"b\"")]
    {
        app.post("/api/suppressions", json!({"email": email, "source": source})).await.assert_status(201);
    }
    app.post("/api/suppressions", json!({"domain": "spam.test", "reason": "complained"})).await.assert_status(201);
    let csv = export(&app, "text/csv").await;
    csv.assert_status(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"suppressions.csv\"");
    assert_eq!(csv.header("x-content-type-options"), "nosniff");
    let mut lines = csv.text.split("\r\n");
    assert_eq!(lines.next(), Some("email,domain,reason,source,createdAt"));
    assert!(csv.text.contains("\r\n'+ada@x.test,,manual,\"'=HYPERLINK(\"\"http://evil.test\"\")\","), "{}", csv.text);
    assert!(
        csv.text.contains("\r\n'=1+1@x.test,,manual,api,") && csv.text.contains(",\"a, \"\"b\"\"\","),
        "{}",
        csv.text
    );
    let ndjson = export(&app, "application/x-ndjson").await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson; charset=utf-8");
    let listed = app.get("/api/suppressions").await;
    let rows: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(rows), listed.json["data"]);

    let other = app.other_tenant().await;
    assert_eq!(export(&other, "text/csv").await.text, "email,domain,reason,source,createdAt\r\n");
    assert_eq!(counts(&import_as(&other, "text/csv", "", csv.text.clone()).await), json!([4, 0, 0]));
    assert_eq!(counts(&import_as(&other, "application/x-ndjson", "", ndjson.text.clone()).await), json!([0, 0, 4]));
    let without_dates = |text: &str| -> Vec<Value> {
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| json!([row["email"], row["domain"], row["reason"]])).collect()
    };
    assert_eq!(without_dates(&export(&other, "*/*").await.text), without_dates(&ndjson.text));
}

#[tokio::test]
async fn a_long_list_comes_whole_and_in_order_page_by_page() {
    let app = TestApp::start().await;
    app.get("/api/suppressions").await.assert_status(200);
    app.database
        .run_sql(
            "INSERT INTO suppressions SELECT tenant_no, 'p' || n || '@x.test', 'bounced', 'api', now() \
             FROM tenants, generate_series(1, 2000) n WHERE name = 'acme'",
        )
        .await;
    let text = export(&app, "text/csv").await.text;
    assert_eq!(text.lines().count(), 2001, "a page that is full is followed by an empty one");
    app.database.run_sql("INSERT INTO suppressions SELECT tenant_no, 'q@x.test', 'bounced', 'api', now() FROM tenants WHERE name = 'acme'").await;
    let text = export(&app, "application/x-ndjson").await.text;
    let mut emails: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(emails.len(), 2001);
    emails.dedup();
    emails.sort();
    emails.dedup();
    assert_eq!(emails.len(), 2001, "each once");
}

#[tokio::test]
async fn an_imported_list_ends_what_is_open_for_its_addresses() {
    let app = TestApp::start().await;
    let contact = app.post("/api/contacts", json!({"email": "ada@x.test"})).await;
    let segment = app.post("/api/segments", json!({"name": "all", "kind": "static"})).await.id();
    app.post(&format!("/api/segments/{segment}/contacts"), json!({"contactIds": [contact.id()]})).await;
    let campaign = json!({"name": "c", "campaignType": "drip", "segmentId": segment, "fromEmail": "news@x.test", "fromName": "News"});
    let id = app.post("/api/campaigns", campaign).await.id();
    let steps = json!({"steps": [{"name": "hello", "stepType": "email", "subjectLine": "Hello", "emailContent": "<p>Hello</p>"}]});
    app.put(&format!("/api/campaigns/{id}/steps"), steps).await.assert_status(200);
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await.assert_status(200);
    assert_eq!(counts(&import_as(&app, "text/csv", "", "email\nADA@x.test\n").await), json!([1, 0, 0]));
    let way = app.get(&format!("/api/campaigns/{id}/enrollments/{}", contact.id())).await;
    assert_eq!(way.json["enrollment"]["exitReason"], "suppressed");
}
