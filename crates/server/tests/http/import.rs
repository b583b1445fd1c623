//! Importing lists.

use crate::app::{Answer, Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// As lists from elsewhere look: a byte-order mark, CRLF, quotes, columns of their own.
const FOREIGN: &str = "\u{feff}first_name,last_name,company_name,address,city,county,state,zip,phone1,email,web\r\n\
    Zoë,\"O'Hara\",\"Benton, \"\"John\"\" B Jr\",6649 N Blue Gum St,Köln,Orleans,LA,00116,504-555-0100,zoe@example.org,http://benton.example.com\r\n\
    \r\n\
    Jo,Darakjy,\"Chanay, Jeffrey A Esq\",4 B Blue Ridge Blvd,Brighton,Livingston,MI,48116,,jo@example.org,\r\n";

async fn import_as(caller: &Caller, media_type: &str, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = caller.request(Method::POST, &format!("/api/contacts/import{query}"));
    caller.send(request.header("Content-Type", media_type).body(body).timeout(Duration::from_mins(2))).await
}

async fn import(caller: &Caller, body: impl Into<reqwest::Body>) -> Answer {
    import_as(caller, "text/csv", "", body).await
}

/// `[created, updated, skipped]`.
fn counts(answer: &Answer) -> Value {
    answer.assert_status(200);
    json!([answer.json["created"], answer.json["updated"], answer.json["skipped"]])
}

/// Each error as `line column code`.
fn errors(answer: &Answer) -> Vec<String> {
    let errors = answer.json["errors"].as_array().expect("errors");
    errors
        .iter()
        .map(|error| {
            format!(
                "{} {} {}",
                error["line"],
                error["column"].as_str().unwrap_or("-"),
                error["code"].as_str().expect("a code")
            )
        })
        .collect()
}

async fn by_email(app: &TestApp, email: &str) -> Value {
    let found = app.get(&format!("/api/contacts?email={email}")).await;
    found.json["data"][0].clone()
}

#[tokio::test]
async fn a_list_from_elsewhere_is_imported_through_its_own_headers() {
    let app = TestApp::start().await;
    let done = import(&app, FOREIGN).await;
    assert_eq!((counts(&done), &done.json["errors"]), (json!([2, 0, 0]), &json!([])));
    let zoe = by_email(&app, "zoe@example.org").await;
    assert_eq!(zoe["firstName"], "Zoë");
    assert_eq!(zoe["lastName"], "O'Hara");
    assert_eq!(zoe["company"], "Benton, \"John\" B Jr");
    assert_eq!(zoe["city"], "Köln");
    let custom = json!({
        "address": "6649 N Blue Gum St", "county": "Orleans", "zip": "00116", "phone1": "504-555-0100",
        "web": "http://benton.example.com",
    });
    assert_eq!(zoe["customFields"], custom);
    let jo = by_email(&app, "jo@example.org").await;
    assert_eq!(jo["customFields"], json!({"address": "4 B Blue Ridge Blvd", "county": "Livingston", "zip": "48116"}));
}

#[tokio::test]
async fn the_list_that_is_shipped_is_imported_whole_and_sending_it_again_changes_nothing() {
    let app = TestApp::start().await;
    let list = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/contacts.csv")).expect("the list");
    let done = import(&app, list.clone()).await;
    assert_eq!((counts(&done), errors(&done)), (json!([500, 0, 0]), Vec::new()));
    assert_eq!(counts(&import(&app, list).await), json!([0, 0, 500]));
    app.assert_sql("NOT EXISTS (SELECT FROM contacts WHERE email_key !~ '@([a-z-]+\\.)*(example\\.(com|org|net)|[a-z-]+\\.test)$')").await;
}

/// A list that others use for demonstrations, where it is at hand; the two above are always read.
#[tokio::test]
async fn a_widely_used_list_of_500_is_imported_whole() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/us-500.csv");
    let Ok(list) = std::fs::read(list) else { return };
    let app = TestApp::start().await;
    let done = import(&app, list).await;
    assert_eq!((counts(&done), errors(&done)), (json!([500, 0, 0]), Vec::new()));
    app.assert_sql("(SELECT count(*) FROM contacts WHERE company IS NULL OR first_name IS NULL OR state IS NULL) = 0")
        .await;
    app.assert_sql("(SELECT count(*) FROM contact_fields WHERE name = 'zip' AND kind = 't') = 500").await;
}

#[tokio::test]
async fn bad_rows_are_named_and_never_stop_good_ones() {
    let app = TestApp::start().await;
    let list = [
        &b"email;First Name;leadScore;tags;timezone\n"[..],
        b"a@example.org;A;5;x,Y|z;Europe/Berlin\n",
        b";B;;;\n",
        b"secret-person@;C;;;\n",
        b"d@example.org;D\0;ten;;Mars\n",
        b"e@example.org;\xff\xfe;;;\n",
        b"\n",
        b"f@example.org;F;;;;surplus\n",
        b"A@example.org;Anna;6;;\n",
        b"g@example.org;\"two\nlines\";;;\n",
        b"h@example.org;H;;;\n",
        b"i@example.org;\"open\n",
    ]
    .concat();
    let done = import(&app, list).await;
    assert_eq!(counts(&done), json!([2, 1, 7]));
    let expected = [
        "3 email required",
        "4 email invalid_email",
        "5 First Name invalid_characters",
        "5 leadScore wrong_type",
        "5 timezone unknown_timezone",
        "6 First Name invalid_utf8",
        "8 - too_many_cells",
        "10 First Name invalid_characters",
        "13 - unclosed_quote",
    ];
    assert_eq!(errors(&done), expected);
    assert!(!done.text.contains("secret-person") && !done.text.contains("example.org"), "{}", done.text);
    let anna = by_email(&app, "a@example.org").await;
    assert_eq!(
        (&anna["firstName"], &anna["leadScore"], &anna["tags"]),
        (&json!("Anna"), &json!(6), &json!(["x", "y", "z"]))
    );
}

#[tokio::test]
async fn ndjson_is_imported_by_the_same_rules() {
    let app = TestApp::start().await;
    let list = "{\"email\":\"a@example.org\",\"first_name\":\"A\",\"tags\":[\"X\"],\"leadScore\":3,\"customFields\":{\"seats\":2},\"vip\":true}\n\
        {\"email\":\n\
        [1,2]\n\
        {\"email\":\"b@example.org\",\"city\":null}\r\n\
        {\"city\":\"Bath\"}\n\
        {\"email\":\"A@example.org\",\"city\":\"Bath\"}";
    let done = import_as(&app, "application/x-ndjson", "", list).await;
    assert_eq!(counts(&done), json!([2, 1, 3]));
    assert_eq!(errors(&done), ["2 - malformed_json", "3 - malformed_json", "5 email required"]);
    let a = by_email(&app, "a@example.org").await;
    assert_eq!((&a["firstName"], &a["city"], &a["leadScore"]), (&json!("A"), &json!("Bath"), &json!(3)));
    assert_eq!(a["customFields"], json!({"seats": 2, "vip": true}));
    assert_eq!(counts(&import_as(&app, "application/x-ndjson", "", "").await), json!([0, 0, 0]));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused_whole_and_changes_nothing() {
    let app = TestApp::start().await;
    for (list, field) in [
        ("name,city\nA,Bath\n", "/email required"),
        ("a@example.org,A\nb@example.org,B\n", "/email required"),
        ("email,First Name,first_name\na@example.org,A,A\n", " duplicate_column"),
        ("", " required"),
        ("email,\"city\na@example.org,Bath\n", " unclosed_quote"),
    ] {
        let refused = import(&app, list).await;
        assert_eq!(refused.assert_problem(422, "validation_failed").fields(), [field], "{list}");
        assert!(!refused.text.contains("@example.org"), "{}", refused.text);
    }
    let wide = format!("email{}\na@example.org\n", ",c".repeat(1000));
    assert_eq!(import(&app, wide).await.assert_problem(422, "validation_failed").fields(), [" too_many_columns"]);
    let named: String = (0..101).map(|n| format!(",c{n}")).collect::<Vec<_>>().concat();
    let many = import(&app, format!("email{named}\na@example.org\n")).await;
    assert_eq!(many.assert_problem(422, "validation_failed").fields(), ["/customFields too_many"]);
    for media_type in ["application/json", "text/plain", "multipart/form-data", "text/csv; charset=utf-16"] {
        import_as(&app, media_type, "", "email\na@example.org\n").await.assert_problem(415, "unsupported_media_type");
    }
    app.assert_sql("(SELECT count(*) FROM contacts) = 0").await;
}

#[tokio::test]
async fn a_mapping_says_which_column_is_which_field() {
    let app = TestApp::start().await;
    let mapping = r#"{"Kontakt":"email","Stadt":"city","Tarif":"customFields.plan","Notiz":""}"#;
    let query = format!("?mapping={}", urlencode(mapping));
    let done = import_as(&app, "text/csv", &query, "Kontakt,Stadt,Tarif,Notiz\na@example.org,Köln,gold,geheim\n").await;
    assert_eq!(counts(&done), json!([1, 0, 0]));
    let contact = by_email(&app, "a@example.org").await;
    assert_eq!((&contact["city"], &contact["customFields"]), (&json!("Köln"), &json!({"plan": "gold"})));
    for (mapping, field) in [
        ("{", "/mapping malformed_json"),
        (r#"{"email":"nickname"}"#, "/mapping/email unknown_field"),
        (r#"{"mial":"city"}"#, "/mapping/mial unknown_column"),
    ] {
        let refused =
            import_as(&app, "text/csv", &format!("?mapping={}", urlencode(mapping)), "email\na@example.org\n").await;
        assert_eq!(refused.assert_problem(422, "validation_failed").fields(), [field]);
    }
}

#[tokio::test]
async fn everybody_imported_is_put_into_a_static_segment() {
    let app = TestApp::start().await;
    let ids = [1, 2, 3].map(|n| format!("01890000-0000-7000-8000-00000000000{n}"));
    app.other_tenant().await;
    app.database
        .run_sql(&format!(
            "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, rules, created_at, updated_at) \
             SELECT w.tenant_no, w.workspace_no, v.id, v.kind, v.kind, v.rules, now(), now() \
             FROM (VALUES ('acme', '{}'::uuid, 'static', NULL), ('acme', '{}', 'dynamic', '{{\"all\": []}}'::jsonb), \
             ('globex', '{}', 'static', NULL)) v(tenant, id, kind, rules) \
             JOIN tenants t ON t.name = v.tenant JOIN workspaces w USING (tenant_no)",
            ids[0], ids[1], ids[2]
        ))
        .await;
    import(&app, "email\nknown@example.org\n").await.assert_status(200);
    let list = "email\nknown@example.org\nnew@example.org\nbad@\n";
    let done = import_as(&app, "text/csv", &format!("?segmentId={}", ids[0]), list).await;
    assert_eq!(counts(&done), json!([1, 0, 2]));
    app.assert_sql("(SELECT count(*) FROM segment_members) = 2").await;
    let dynamic = import_as(&app, "text/csv", &format!("?segmentId={}", ids[1]), list).await;
    assert_eq!(dynamic.assert_problem(422, "validation_failed").fields(), ["/segmentId not_static"]);
    for unknown in [ids[2].as_str(), "01890000-0000-7000-8000-000000000009"] {
        import_as(&app, "text/csv", &format!("?segmentId={unknown}"), list).await.assert_problem(404, "not_found");
    }
    let no_id = import_as(&app, "text/csv", "?segmentId=x", list).await;
    assert_eq!(no_id.assert_problem(422, "validation_failed").fields(), ["/segmentId invalid_id"]);
    app.assert_sql("(SELECT count(*) FROM segment_members) = 2").await;
}

#[tokio::test]
async fn a_list_larger_than_any_other_body_is_imported_in_batches() {
    let app = TestApp::start().await;
    let rows: String =
        (0..12_000).map(|n| format!("p{n}@example.org,{}\n", "x".repeat(190))).collect::<Vec<_>>().concat();
    assert!(rows.len() > 2 * 1024 * 1024);
    let done = import(&app, format!("email,city\n{rows}p7@example.org,Bath\n")).await;
    assert_eq!(counts(&done), json!([12_000, 1, 0]));
    assert_eq!(by_email(&app, "p7@example.org").await["city"], "Bath", "the last row that names somebody counts");
}

#[tokio::test]
async fn a_row_that_does_not_end_is_passed_over() {
    let app = TestApp::start().await;
    let list = format!("email,city\na@example.org,x\nb@example.org,{}\nc@example.org,y\n", "x".repeat(5_000_000));
    let done = import(&app, list).await;
    assert_eq!((counts(&done), errors(&done)), (json!([2, 0, 1]), vec!["3 - row_too_long".to_owned()]));
}

#[tokio::test]
async fn the_first_thousand_errors_are_told_and_all_are_counted() {
    let app = TestApp::start().await;
    let done = import(&app, format!("email\n{}ok@example.org\n", "bad@\n".repeat(2500))).await;
    assert_eq!(counts(&done), json!([1, 0, 2500]));
    let errors = errors(&done);
    assert_eq!(errors.len(), 1000);
    assert_eq!((errors[0].as_str(), errors[999].as_str()), ("2 email invalid_email", "1001 email invalid_email"));
}

#[tokio::test]
async fn what_was_stored_stays_when_the_caller_goes_away() {
    let app = TestApp::start().await;
    let list: String =
        std::iter::once("email\n".to_owned()).chain((0..4500).map(|n| format!("p{n}@example.org\n"))).collect();
    let address = app.url("").replace("http://", "");
    let mut connection = std::net::TcpStream::connect(address).expect("a connection");
    write!(
        connection,
        "POST /api/contacts/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n{list}",
        app.token
    )
    .expect("sent");
    tokio::time::timeout(Duration::from_secs(20), async {
        while app.get("/api/contacts?limit=1").await.json["data"] == json!([]) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a batch is stored while the list still arrives");
    drop(connection);
    let done = import(&app, list).await;
    done.assert_status(200);
    let (created, skipped) =
        (done.json["created"].as_u64().expect("a number"), done.json["skipped"].as_u64().expect("a number"));
    assert_eq!(created + skipped, 4500);
    assert!(skipped > 0, "the first batches were there");
    app.assert_sql("(SELECT count(*) FROM contacts) = 4500").await;
}

#[tokio::test]
async fn importing_needs_its_scope_and_stays_in_its_workspace() {
    let app = TestApp::start().await;
    let list = "email\na@example.org\n";
    let reader = app.key_with_scopes(&["audience:read"]).await;
    import(&reader, list).await.assert_problem(403, "forbidden");
    import(&app.with_token(""), list).await.assert_problem(401, "unauthorized");
    assert_eq!(counts(&import(&app, list).await), json!([1, 0, 0]));
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        assert_eq!(counts(&import(&stranger, list).await), json!([1, 0, 0]));
    }
    app.get("/api/contacts/import").await.assert_problem(405, "method_not_allowed");
}

fn urlencode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
