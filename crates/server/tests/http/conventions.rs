//! What is true of every endpoint.

use crate::app::TestApp;
use reqwest::Method;
use serde_json::json;
use std::collections::HashSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn json_body(app: &crate::app::Caller, body: impl Into<String>) -> reqwest::RequestBuilder {
    app.request(Method::POST, "/api/keys").header("Content-Type", "application/json").body(body.into())
}

#[tokio::test]
async fn without_a_key_everything_below_api_is_401_whatever_is_there() {
    let app = TestApp::start().await;
    let nobody = app.with_token("");
    for path in ["/api", "/api/", "/api/keys", "/api/keys/x", "/api/nothing/here"] {
        let refused = nobody.get(path).await;
        refused.assert_problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    nobody.post("/api/keys", json!({ "nonsense": 1 })).await.assert_problem(401, "unauthorized");
    nobody.patch("/api/keys", json!({})).await.assert_problem(401, "unauthorized");
    nobody.send(json_body(&nobody, "{{{")).await.assert_problem(401, "unauthorized");
    nobody.send(nobody.request(Method::OPTIONS, "/api/keys")).await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn every_wrong_token_gets_the_same_answer() {
    let app = TestApp::start().await;
    let (prefix, secret) = app.token.rsplit_once('_').expect("a token");
    let mut other_secret = secret.to_owned();
    other_secret.replace_range(..1, if secret.starts_with('a') { "b" } else { "a" });
    let wrong_secret = format!("{prefix}_{other_secret}");
    let unknown = format!("mk_{}_{secret}", "a".repeat(12));
    let mut answers = HashSet::new();
    for token in
        [wrong_secret.as_str(), &unknown, "mk_", "mk__", "x", "mk_aaaaaaaaaaaa", &app.token[1..], prefix, secret]
    {
        let refused = app.with_token(token).get("/api/keys").await;
        refused.assert_problem(401, "unauthorized");
        answers.insert(refused.text);
    }
    assert_eq!(answers.len(), 1, "nothing tells what was wrong");
    for header in [app.token.clone(), format!("Basic {}", app.token), format!("Bearer {0} {0}", app.token)] {
        let request = app.with_token("").request(Method::GET, "/api/keys").header("Authorization", header);
        app.send(request).await.assert_problem(401, "unauthorized");
    }
    let lower =
        app.with_token("").request(Method::GET, "/api/keys").header("Authorization", format!("bearer {}", app.token));
    app.send(lower).await.assert_status(200);
}

#[tokio::test]
async fn a_missing_scope_is_403_before_the_request_is_looked_at() {
    let app = TestApp::start().await;
    let weak = app.key_with_scopes(&["campaigns:read"]).await;
    weak.get("/api/keys").await.assert_problem(403, "forbidden");
    weak.get("/api/keys?limit=junk").await.assert_problem(403, "forbidden");
    weak.post("/api/keys", json!({ "nonsense": 1 })).await.assert_problem(403, "forbidden");
    weak.delete("/api/keys/0198c0de-0000-7000-8000-000000000000").await.assert_problem(403, "forbidden");
    weak.get("/api/nothing").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_wrong_method_405_with_allow() {
    let app = TestApp::start().await;
    for path in
        ["/", "/nothing", "/api", "/api/nothing", "/api/keys/", "/api/keys/not-an-id", "/api/keys/1/2", "/apikeys"]
    {
        app.get(path).await.assert_problem(404, "not_found");
    }
    let wrong = app.patch("/api/keys", json!({})).await;
    assert_eq!(wrong.assert_problem(405, "method_not_allowed").header("allow"), "GET, POST, HEAD, OPTIONS");
    let wrong = app.post("/api/keys/0198c0de-0000-7000-8000-000000000000", json!({})).await;
    assert_eq!(wrong.assert_problem(405, "method_not_allowed").header("allow"), "GET, DELETE, HEAD, OPTIONS");
    let wrong = app.post("/healthz", json!({})).await;
    assert_eq!(wrong.assert_problem(405, "method_not_allowed").header("allow"), "GET, HEAD, OPTIONS");
    let odd = app.send(app.request(Method::from_bytes(b"BREW").unwrap(), "/api/keys")).await;
    odd.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn head_is_a_get_without_a_body_and_options_tells_the_methods() {
    let app = TestApp::start().await;
    let full = app.get("/api/keys").await;
    let head = app.send(app.request(Method::HEAD, "/api/keys")).await;
    head.assert_status(200);
    assert_eq!((head.text.as_str(), head.header("content-length")), ("", full.text.len().to_string().as_str()));
    let options = app.send(app.request(Method::OPTIONS, "/api/keys")).await;
    options.assert_status(204);
    assert_eq!(options.header("allow"), "GET, POST, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400_and_says_where() {
    let app = TestApp::start().await;
    for body in ["", "{", "nope", "{\"name\":}", "{\"a\":1}x", "{'a':1}", "\"\\ud800\"", "[1,]", "{\"a\":1e999}"] {
        app.send(json_body(&app, body)).await.assert_problem(400, "malformed_json");
    }
    let not_utf8 =
        app.request(Method::POST, "/api/keys").header("Content-Type", "application/json").body(vec![b'"', 0xff, b'"']);
    app.send(not_utf8).await.assert_problem(400, "malformed_json");
    for body in ["[]", "7", "null", "\"text\"", "true"] {
        let refused = app.send(json_body(&app, body)).await;
        assert_eq!(refused.assert_problem(422, "validation_failed").fields(), [" wrong_type"], "{body}");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_is_415() {
    let app = TestApp::start().await;
    let body = json!({ "name": "a", "scopes": ["admin"] }).to_string();
    let post = || app.request(Method::POST, "/api/keys").body(body.clone());
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=utf-16"]
    {
        app.send(post().header("Content-Type", kind)).await.assert_problem(415, "unsupported_media_type");
    }
    app.send(post()).await.assert_problem(415, "unsupported_media_type");
    let zipped = post().header("Content-Type", "application/json").header("Content-Encoding", "gzip");
    app.send(zipped).await.assert_problem(415, "unsupported_media_type");
    app.send(post().header("Content-Type", "Application/JSON; charset=UTF-8")).await.assert_status(201);
}

#[tokio::test]
async fn a_body_larger_than_a_mebibyte_is_413_announced_or_not() {
    let app = TestApp::start().await;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024));
    app.send(json_body(&app, large.clone())).await.assert_problem(413, "payload_too_large");
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        large.as_bytes().chunks(64 * 1024).map(|c| Ok(c.to_vec())).collect();
    let streamed = app
        .request(Method::POST, "/api/keys")
        .header("Content-Type", "application/json")
        .body(reqwest::Body::wrap_stream(futures::stream::iter(chunks)));
    app.send(streamed).await.assert_problem(413, "payload_too_large");
    let fits = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024 - 11));
    app.send(json_body(&app, fits)).await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn nesting_arrays_and_nul_have_limits() {
    let app = TestApp::start().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    assert_eq!(app.send(json_body(&app, deep)).await.assert_problem(422, "validation_failed").fields(), [" too_deep"]);
    let deeper = "[".repeat(500_000);
    app.send(json_body(&app, deeper)).await.assert_problem(422, "validation_failed");
    let refused =
        app.post("/api/keys", json!({ "name": "a\0b", "scopes": vec!["admin"; 1001], "x": { "y\0": 1 } })).await;
    let fields = refused.assert_problem(422, "validation_failed").fields();
    for expected in ["/name invalid_characters", "/scopes too_many_items", "/x unknown_field", "/x invalid_characters"]
    {
        assert!(fields.contains(&expected.to_owned()), "{expected} in {fields:?}");
    }
}

#[tokio::test]
async fn query_parameters_are_checked_all_at_once() {
    let app = TestApp::start().await;
    for bad in ["0", "101", "-1", "1e9", "", "ten", "1.5", "99999999999999999999"] {
        let refused = app.get(&format!("/api/keys?limit={bad}")).await;
        assert!(refused.assert_problem(422, "validation_failed").fields()[0].starts_with("/limit "), "{bad}");
    }
    let refused = app.get("/api/keys?limit=0&colour=red&cursor=&limit=5&a%00b=%00").await;
    let fields = refused.assert_problem(422, "validation_failed").fields();
    for expected in ["/limit repeated", "/colour unknown_field", "/cursor too_short"] {
        assert!(fields.contains(&expected.to_owned()), "{expected} in {fields:?}");
    }
    app.get("/api/keys?limit=100").await.assert_status(200);
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_and_each_row_is_seen_once() {
    let app = TestApp::start().await;
    for n in 0..6 {
        app.post("/api/keys", json!({ "name": format!("k{n}"), "scopes": ["admin"] })).await.assert_status(201);
    }
    let (mut names, mut path, mut pages) = (Vec::new(), "/api/keys?limit=3".to_owned(), 0);
    loop {
        let page = app.get(&path).await;
        page.assert_status(200);
        pages += 1;
        names.extend(page.json["data"].as_array().expect("rows").iter().map(|row| row["name"].clone()));
        let pagination = &page.json["pagination"];
        assert_eq!(pagination["limit"], 3);
        let Some(cursor) = pagination["nextCursor"].as_str() else {
            assert_eq!((&pagination["hasMore"], &pagination["nextCursor"]), (&json!(false), &json!(null)));
            break;
        };
        assert_eq!(pagination["hasMore"], true);
        path = format!("/api/keys?limit=3&cursor={cursor}");
    }
    assert_eq!(pages, 3);
    assert_eq!(names, ["k5", "k4", "k3", "k2", "k1", "k0", "test"], "the newest first");
    let all = app.get("/api/keys").await;
    assert_eq!(all.json["pagination"], json!({ "limit": 20, "nextCursor": null, "hasMore": false }));
}

#[tokio::test]
async fn a_cursor_that_was_changed_is_refused() {
    let app = TestApp::start().await;
    app.post("/api/keys", json!({ "name": "second", "scopes": ["admin"] })).await.assert_status(201);
    let cursor =
        app.get("/api/keys?limit=1").await.json["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    for at in [0, cursor.len() / 2, cursor.len() - 1] {
        let mut changed = cursor.clone();
        changed.replace_range(at..=at, if &cursor[at..=at] == "A" { "Q" } else { "A" });
        let refused = app.get(&format!("/api/keys?cursor={changed}")).await;
        assert_eq!(refused.assert_problem(422, "validation_failed").fields(), ["/cursor invalid_cursor"]);
    }
    app.get("/api/keys?cursor=eyJpZCI6MX0").await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn answers_carry_safe_headers_and_a_request_id_of_their_own() {
    let app = TestApp::start().await;
    let mut ids = HashSet::new();
    for path in ["/api/keys", "/api/nothing", "/healthz", "/nothing"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        ids.insert(answer.header("x-request-id").to_owned());
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn headers_and_addresses_have_limits() {
    let app = TestApp::start().await;
    let large = app.request(Method::GET, "/api/keys").header("X-Large", "x".repeat(17 * 1024));
    app.send(large).await.assert_problem(431, "headers_too_large");
    app.get(&format!("/api/keys?cursor={}", "x".repeat(9000))).await.assert_problem(414, "uri_too_long");
}

#[tokio::test]
async fn a_request_that_is_not_http_gets_no_stack_and_no_server_name() {
    let app = TestApp::start().await;
    let address = app.url("").replace("http://", "");
    let mut socket = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    socket.write_all(b"GET / HTTP/9.9\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("read");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(!answer.to_lowercase().contains("server:"), "{answer}");
}
