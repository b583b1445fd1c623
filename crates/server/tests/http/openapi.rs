//! The document keeps its promises: what operations answer is what it says, and what it does not name is refused.

use crate::app::{Answer, TestApp};
use crate::matrix::{Fixture, Operation, assert_unchanged, document, operations, remember};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashSet};

/// Where the document is kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_kept_document_is_what_the_program_says() {
    let text = muster_api::to_json(&muster_api::openapi());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(KEPT, &text).expect("written");
    }
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    assert!(kept == text, "docs/openapi.json is out of date: run 'just openapi'");
}

#[test]
fn every_operation_says_what_all_have_in_common() {
    let mut ids = HashSet::new();
    for operation in operations() {
        let entry = &operation.entry;
        assert!(ids.insert(operation.id.clone()), "{} is there twice", operation.id);
        assert!(entry["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{}: no summary", operation.id);
        assert_eq!(entry["security"], json!([{"apiKey": []}]), "{}", operation.id);
        let mut statuses = vec!["401", "403", "500", "503"];
        if operation.names_something() {
            statuses.push("404");
        }
        if operation.takes_json() {
            statuses.extend(["400", "413", "415", "422"]);
        }
        for status in statuses {
            let kind = &entry["responses"][status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(kind, "#/components/schemas/Problem", "{} {status}", operation.id);
        }
        let parameters = entry["parameters"].as_array().cloned().unwrap_or_default();
        let repeatable = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        let ought = operation.method == "POST" && !operation.id.starts_with("import_");
        assert_eq!(repeatable, ought, "{}", operation.id);
    }
}

/// Objects whose members are written down have no others, in requests and in answers.
#[test]
fn every_object_is_closed() {
    fn look(at: &str, schema: &Value) {
        match schema {
            Value::Object(members) => {
                if members.contains_key("properties") && members["properties"].is_object() {
                    assert!(members.contains_key("additionalProperties"), "{at} is open");
                }
                assert!(!members.contains_key("allOf"), "{at}: parts of an allOf cannot be closed");
                members.iter().for_each(|(name, value)| look(&format!("{at}/{name}"), value));
            }
            Value::Array(items) => items.iter().for_each(|item| look(at, item)),
            _ => {}
        }
    }
    look("", &document()["components"]["schemas"]);
}

#[test]
fn every_member_has_a_name_in_camel_case() {
    fn look(schema: &Value) {
        match schema {
            Value::Object(members) => {
                for name in members.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
                        && name.chars().all(|c| c.is_ascii_alphanumeric());
                    assert!(fits, "{name}");
                }
                members.values().for_each(look);
            }
            Value::Array(items) => items.iter().for_each(look),
            _ => {}
        }
    }
    look(&document());
}

#[tokio::test]
async fn what_is_made_is_found_where_its_location_says() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let mut made = 0;
    for operation in operations() {
        let created = &operation.entry["responses"]["201"];
        if !created.is_object() {
            continue;
        }
        made += 1;
        assert!(created["headers"]["Location"].is_object(), "{}: no Location in the document", operation.id);
        let answer = own.send(&app, &operation).await;
        let location = answer.assert_status(201).header("location").to_owned();
        let there = app.get(&location).await;
        assert_eq!(there.status, 200, "{} {location}: {there:?}", operation.id);
        let shown = there.json.get("campaign").unwrap_or(&there.json);
        for member in ["id", "email"] {
            assert_eq!(shown.get(member), answer.json.get(member), "{location}");
        }
        assert_eq!(answer.json.get("data"), None, "{}: the resource itself, not wrapped", operation.id);
    }
    assert!(made >= 7, "{made}");
}

#[tokio::test]
async fn every_list_has_the_same_envelope() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let mut lists = 0;
    for operation in operations() {
        let parameters = operation.entry["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|parameter| parameter["name"] == "cursor") {
            continue;
        }
        lists += 1;
        let list = own.send(&app, &operation).await;
        list.assert_status(200);
        let members: Vec<_> = list.json.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["data", "pagination"], "{}", operation.id);
        assert!(list.json["data"].as_array().is_some_and(|rows| !rows.is_empty()), "{}", operation.id);
        assert_eq!(list.json["pagination"], json!({"limit": 20, "nextCursor": null, "hasMore": false}));
    }
    assert!(lists >= 7, "{lists}");
}

#[tokio::test]
async fn a_campaigns_version_is_its_etag_and_guards_its_changes() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let path = format!("/api/campaigns/{}", own.draft);
    let before = app.get(&path).await;
    let tag = before.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", before.json["campaign"]["version"]));
    assert_eq!(app.get(&format!("{path}/steps")).await.header("etag"), tag);
    let change =
        |tag: &str| app.request(reqwest::Method::PATCH, &path).header("If-Match", tag).json(&json!({"name": "B"}));
    let changed = app.send(change(&tag)).await;
    assert_eq!(changed.assert_status(200).header("etag"), format!("\"{}\"", changed.json["version"]));
    assert_ne!(changed.header("etag"), tag);
    app.send(change(&tag)).await.assert_problem(412, "version_mismatch");
    app.send(change("*")).await.assert_status(200);
    let created_by = &before.json["campaign"]["createdBy"];
    assert!(uuid::Uuid::try_parse(created_by.as_str().expect("an id")).is_ok_and(|id| !id.is_nil()), "{created_by}");
}

#[tokio::test]
async fn what_each_operation_answers_is_what_the_document_says() {
    let document = document();
    let mut app = TestApp::start().await;
    let mut own = Fixture::of(&app).await;
    for operation in operations() {
        let answer = own.send(&app, &operation).await;
        assert!(answer.status < 300 || answer.status == 409, "{}: {answer:?}", operation.id);
        conforms(&document, &operation, &answer);
        conforms(&document, &operation, &Fixture::missing().send(&app, &operation).await);
        if operation.method != "GET" {
            // Others look at what this one may have ended.
            app = TestApp::start().await;
            own = Fixture::of(&app).await;
        }
    }
}

/// Fails unless status, headers and body are as the document has them.
fn conforms(document: &Value, operation: &Operation, answer: &Answer) {
    let said = &operation.entry["responses"][answer.status.to_string()];
    assert!(said.is_object(), "{}: {} is not in the document: {answer:?}", operation.id, answer.status);
    for header in said["headers"].as_object().into_iter().flat_map(Map::keys) {
        assert!(!answer.header(header).is_empty(), "{}: no {header} in {answer:?}", operation.id);
    }
    let kind = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
    match said["content"].as_object() {
        None => assert_eq!(answer.text, "", "{}", operation.id),
        Some(kinds) => {
            let schema = kinds.get(&kind).unwrap_or_else(|| panic!("{}: {kind} is not in the document", operation.id));
            let mut faults = Vec::new();
            // What is no JSON document is a text to a schema, lines of JSON too.
            let body = if kind.ends_with("json") && kind != "application/x-ndjson" {
                answer.json.clone()
            } else {
                Value::from(answer.text.as_str())
            };
            check(document, &schema["schema"], &body, "", &mut faults);
            assert_eq!(faults, Vec::<String>::new(), "{}: {}", operation.id, answer.text);
        }
    }
}

/// As much of JSON Schema as the document uses.
fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(place) = schema["$ref"].as_str() {
        return check(document, document.pointer(&place[1..]).expect("a schema of that name"), value, at, faults);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |choice: &&Value| {
            let mut wrong = Vec::new();
            check(document, choice, value, at, &mut wrong);
            wrong.is_empty()
        };
        let fitting = choices.iter().filter(fits).count();
        if fitting != 1 {
            faults.push(format!("{at}: fits {fitting} of the {} choices", choices.len()));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let fits = kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number"));
    if !kinds.is_empty() && !fits {
        faults.push(format!("{at}: {kind} is none of {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !value.is_null() && !words.contains(value)) {
        faults.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if let Some(text) = value.as_str() {
        let fits = match schema["format"].as_str() {
            Some("uuid") => uuid::Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text),
            Some("date-time") => text.len() == 24 && text.ends_with('Z') && text.as_bytes()[19] == b'.',
            Some("date") => text.len() == 10,
            _ => true,
        };
        if !fits {
            faults.push(format!("{at}: {text} is no {}", schema["format"]));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{at}/{index}"), faults);
    }
    let Some(members) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            faults.push(format!("{at}/{name}: is missing"));
        }
    }
    for (name, member) in members {
        let known = &schema["properties"][name];
        if !known.is_null() {
            check(document, known, member, &format!("{at}/{name}"), faults);
        } else if schema["additionalProperties"] == json!(false) {
            faults.push(format!("{at}/{name}: is not in the document"));
        }
    }
}

/// Every member of every answer, and what is nobody's to say.
fn members_of_answers(document: &Value) -> BTreeSet<String> {
    fn collect(document: &Value, schema: &Value, seen: &mut HashSet<String>, names: &mut BTreeSet<String>) {
        match schema {
            Value::Object(members) => {
                if let Some(place) = members.get("$ref").and_then(Value::as_str)
                    && seen.insert(place.to_owned())
                {
                    collect(document, &document.pointer(&place[1..]).cloned().unwrap_or_default(), seen, names);
                }
                for (name, member) in members {
                    if name == "properties" {
                        names.extend(member.as_object().into_iter().flat_map(Map::keys).cloned());
                    }
                    collect(document, member, seen, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(document, item, seen, names)),
            _ => {}
        }
    }
    let mut names: BTreeSet<_> =
        ["tenantNo", "tenant_id", "workspaceNo", "createdById", "isAdmin", "__proto__", "constructor", ""]
            .map(str::to_owned)
            .into();
    for operation in operations() {
        for (status, response) in operation.entry["responses"].as_object().expect("responses") {
            if status.starts_with('2') {
                collect(document, response, &mut HashSet::new(), &mut names);
            }
        }
    }
    names
}

/// Adds to every object of `value` whose members the schema lists all `names` that it does not list.
fn overload(
    document: &Value,
    schema: &Value,
    value: &mut Value,
    at: &str,
    names: &BTreeSet<String>,
    added: &mut Vec<String>,
) {
    if let Some(place) = schema["$ref"].as_str() {
        let named = document.pointer(&place[1..]).expect("a schema of that name");
        return overload(document, named, value, at, names, added);
    }
    for choice in schema["oneOf"].as_array().into_iter().flatten().filter(|choice| choice["$ref"].is_string()) {
        overload(document, choice, value, at, names, added);
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                overload(document, &schema["items"], item, &format!("{at}/{index}"), names, added);
            }
        }
        Value::Object(members) => {
            let Some(known) = schema["properties"].as_object() else { return };
            for (name, member) in members.iter_mut() {
                overload(document, &known[name], member, &format!("{at}/{name}"), names, added);
            }
            for name in names.iter().filter(|name| !known.contains_key(name.as_str())) {
                members.insert(name.clone(), json!("mine"));
                added.push(format!("{at}/{name} unknown_field"));
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_only_answers_have_cannot_be_written() {
    let document = document();
    let names = members_of_answers(&document);
    for name in ["id", "tenantId", "status", "version", "createdAt", "totalContacts", "secret", "createdBy", "stats"] {
        assert!(names.contains(name), "{name}");
    }
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let writes = operations().into_iter().filter(|operation| operation.takes_json() || operation.method == "POST");
    for operation in writes.filter(|operation| !operation.id.starts_with("import_")) {
        let (mut body, mut added) = (json!({}), Vec::new());
        if operation.takes_json() {
            body = own.body(&operation);
            let content = &operation.entry["requestBody"]["content"]["application/json"]["schema"];
            overload(&document, content, &mut body, "", &names, &mut added);
        } else {
            body["status"] = json!("active");
            added.push("/status unknown_field".to_owned());
        }
        assert!(!added.is_empty(), "{}", operation.id);
        let refused = app.send(app.request(operation.method.clone(), &own.path(&operation)).json(&body)).await;
        refused.assert_problem(422, "validation_failed");
        let told = refused.fields();
        for field in &added {
            let later = field.replace("unknown_field", "not_supported");
            assert!(told.contains(field) || told.contains(&later), "{}: {field} was taken: {told:?}", operation.id);
        }
        assert_unchanged(&app, &operation.id).await;
    }
}
