//! Health, figures and the document.

use crate::app::TestApp;
use muster_adapters::embedded::Shutdown;
use muster_testkit::database::{TestCluster, TestDatabase};
use serde_json::Value;

#[tokio::test]
async fn a_server_with_its_database_is_alive_and_ready() {
    let app = TestApp::start().await;
    let nobody = app.with_token("");
    nobody.get("/healthz").await.assert_status(200);
    nobody.get("/readyz").await.assert_status(200);
}

#[tokio::test]
async fn without_its_database_a_server_is_alive_not_ready_and_answers_503() {
    let cluster = TestCluster::start().await;
    let app = TestApp::start_on(cluster.database().await).await;
    app.get("/api/keys").await.assert_status(200);
    cluster.stop(Shutdown::Immediate).await;
    app.get("/healthz").await.assert_status(200);
    for path in ["/readyz", "/api/keys"] {
        let away = app.get(path).await;
        away.assert_problem(503, "unavailable");
        assert!(away.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{away:?}");
    }
    cluster.start_again().await;
    app.get("/readyz").await.assert_status(200);
    app.get("/api/keys").await.assert_status(200);
}

#[tokio::test]
async fn a_server_whose_migrations_are_missing_is_not_ready() {
    let app = TestApp::start().await;
    app.database.run_sql("DELETE FROM __diesel_schema_migrations WHERE version = '0005'").await;
    app.get("/readyz").await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn figures_are_told_by_route_and_never_by_path() {
    let app = TestApp::start().await;
    let id = "0198c0de-1234-7000-8000-000000000000";
    app.get(&format!("/api/keys/{id}")).await.assert_status(404);
    app.get("/nothing/of/the/kind?email=anna@example.com").await.assert_status(404);
    let figures = app.with_token("").get("/metrics").await;
    figures.assert_status(200);
    assert!(figures.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(
        figures.text.lines().any(|line| line.starts_with("muster_http_requests_total")
            && line.contains(r#"route="/api/keys/{id}""#)
            && line.contains(r#"method="GET""#)
            && line.contains(r#"status="404""#)),
        "{}",
        figures.text
    );
    assert!(figures.text.contains("muster_http_request_duration_seconds_bucket"));
    for private in [id, "/nothing", "anna"] {
        assert!(!figures.text.contains(private), "{private}");
    }
}

#[tokio::test]
async fn the_document_lists_every_route_that_answers_and_no_other() {
    let app = TestApp::start().await;
    let document = app.with_token("").get("/openapi.json").await;
    document.assert_status(200);
    assert_eq!(document.header("content-type"), "application/json");
    let paths = document.json["paths"].as_object().expect("paths");
    let methods = ["get", "post", "put", "patch", "delete"];
    for (path, item) in paths {
        let concrete = path.split('/').map(|part| match part.split_once('}') {
            Some((_, end)) => format!("0198c0de-0000-7000-8000-000000000000{end}"),
            None => part.to_owned(),
        });
        let concrete = concrete.collect::<Vec<_>>().join("/");
        for method in methods {
            let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let answer = app.send(app.request(verb, &concrete)).await;
            let documented = item.get(method).is_some();
            assert_eq!(answer.status != 405, documented, "{method} {path}: {answer:?}");
            assert!(answer.status < 500, "{method} {path}: {answer:?}");
            if documented {
                let responses = item[method]["responses"].as_object().expect("responses");
                assert!(
                    responses.contains_key(&answer.status.to_string()),
                    "{method} {path}: {} is not documented",
                    answer.status
                );
            }
        }
    }
}

#[tokio::test]
async fn the_document_names_each_operation_once_secures_it_and_closes_its_schemas() {
    let document: Value = serde_json::from_str(&muster_api::to_json(&muster_api::openapi())).expect("JSON");
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            assert_eq!(path.starts_with("/api"), operation.get("security").is_some(), "{method} {path}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["apiKey"]["scheme"], "bearer");
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        if schema["properties"].is_object() {
            assert!(schema.get("additionalProperties").is_some(), "{name} is open");
        }
    }
    assert_eq!(muster_api::to_json(&muster_api::openapi()), muster_api::to_json(&muster_api::openapi()), "stable");
}

/// Every `$ref` below `value`.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&muster_api::to_json(&muster_api::openapi())).expect("JSON");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn the_page_works_without_anything_from_elsewhere() {
    let app = TestApp::start().await;
    let nobody = app.with_token("");
    let moved = nobody.get("/docs").await;
    assert_eq!((moved.status, moved.header("location")), (302, "/docs/"));
    let page = nobody.get("/docs/").await;
    page.assert_status(200);
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    for (part, kind) in
        [("swagger-ui-bundle.js", "javascript"), ("swagger-ui.css", "css"), ("swagger-initializer.js", "javascript")]
    {
        assert!(page.text.contains(part), "{part} in {}", page.text);
        let file = nobody.get(&format!("/docs/{part}")).await;
        file.assert_status(200);
        assert!(file.header("content-type").contains(kind), "{file:?}");
    }
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    assert!(nobody.get("/docs/swagger-initializer.js").await.text.contains("/openapi.json"));
    nobody.get("/docs/nothing.js").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_not_ready() {
    let database = TestDatabase::create_empty().await;
    let store = crate::app::store(&database);
    let ready = muster_domain::ports::readiness::Readiness::check(&store).await;
    assert!(
        matches!(ready, Err(muster_domain::ports::readiness::NotReady::MigrationsMissing { missing }) if missing > 0)
    );
}
