//! Bad input: each is a clear 4xx that names it, and nothing is changed.

use crate::app::{Answer, TestApp};
use crate::matrix::{Fixture, Operation, assert_unchanged, campaign, operations, remember, steps, whole_campaign};
use reqwest::Method;
use serde_json::{Value, json};

/// Fails unless it is a refusal of that field, or of something within it.
#[track_caller]
fn assert_names(answer: &Answer, pointer: &str) {
    answer.assert_problem(422, "validation_failed");
    let told = answer.json["errors"].as_array().cloned().unwrap_or_default();
    let named = told.iter().any(|error| error["pointer"].as_str().is_some_and(|at| at.starts_with(pointer)));
    assert!(named, "{pointer} is not named: {answer:?}");
    for error in &told {
        for member in ["code", "detail"] {
            assert!(error[member].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
        }
    }
}

/// `body` with `value` at the pointer; null there takes the member away.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match body.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {pointer}")) {
        Value::Object(members) => {
            members.insert(name.to_owned(), value);
        }
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        _ => panic!("nothing at {parent}"),
    }
    body
}

fn long(characters: usize) -> Value {
    json!("x".repeat(characters))
}

#[tokio::test]
async fn bad_fields_of_a_campaign_are_named() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let whole = whole_campaign(&own.segment);
    let local = "a".repeat(65);
    let cases = [
        ("/name", json!(null)),
        ("/name", json!("")),
        ("/name", json!("   ")),
        ("/name", json!(7)),
        ("/name", json!(["a"])),
        ("/name", long(201)),
        ("/name", json!("a\r\nb")),
        ("/name", json!("a\u{0}b")),
        ("/name", json!("a\u{202e}b")),
        ("/fromName", json!(null)),
        ("/fromName", json!("News\r\nBcc: all@example.test")),
        ("/fromName", json!("News\n")),
        ("/fromName", json!("\u{7f}")),
        ("/fromName", json!("a\u{85}b")),
        ("/fromName", json!("a\u{2028}b")),
        ("/fromName", json!("a\u{2066}b")),
        ("/fromName", long(201)),
        ("/fromEmail", json!(null)),
        ("/fromEmail", json!("")),
        ("/fromEmail", json!("news")),
        ("/fromEmail", json!("news@")),
        ("/fromEmail", json!("@example.test")),
        ("/fromEmail", json!("a@b@example.test")),
        ("/fromEmail", json!("a b@example.test")),
        ("/fromEmail", json!("a..b@example.test")),
        ("/fromEmail", json!("a@example.test\r\nBcc: b@example.test")),
        ("/fromEmail", json!("a@example.test, b@example.test")),
        ("/fromEmail", json!("News <news@example.test>")),
        ("/fromEmail", json!("news@[127.0.0.1]")),
        ("/fromEmail", json!("news@127.0.0.1")),
        ("/fromEmail", json!("\"a b\"@example.test")),
        ("/fromEmail", json!("news@-example.test")),
        ("/fromEmail", json!("news@exa_mple.test")),
        ("/fromEmail", json!("zoë@example.test")),
        ("/fromEmail", json!("a\u{0}@example.test")),
        ("/fromEmail", json!(format!("{local}@example.test"))),
        ("/fromEmail", json!(format!("a@{}.test", "b".repeat(64)))),
        ("/fromEmail", json!(format!("a@{}test", "bbbbbbbbb.".repeat(26)))),
        ("/fromEmail", json!({"address": "a@example.test"})),
        ("/replyToEmail", json!("reply")),
        ("/replyToEmail", json!("r@example.test\nX: y")),
        ("/description", long(2001)),
        ("/description", json!("a\u{1b}[31m")),
        ("/description", json!(1)),
        ("/campaignType", json!(null)),
        ("/campaignType", json!("DRIP")),
        ("/campaignType", json!("newsletter")),
        ("/campaignType", json!(1)),
        ("/segmentId", json!(null)),
        ("/segmentId", json!("all")),
        ("/segmentId", json!(1)),
        ("/segmentId", json!("")),
        ("/segmentId", json!("0198c0de-0000-7000-8000-00000000dead")),
        ("/schedule", json!("now")),
        ("/schedule", json!([])),
        ("/schedule/startAt", json!("tomorrow")),
        ("/schedule/startAt", json!("2001-01-01T00:00:00Z")),
        ("/schedule/startAt", json!("2999-01-01T00:00:00")),
        ("/schedule/startAt", json!("2999-02-30T00:00:00Z")),
        ("/schedule/startAt", json!("+99999-01-01T00:00:00Z")),
        ("/schedule/startAt", json!(1_767_225_600)),
        ("/schedule/endAt", json!("2999-02-01T00:00:00Z")),
        ("/schedule/timezone", json!("Mars/Olympus")),
        ("/schedule/timezone", json!("")),
        ("/schedule/timezone", json!(2)),
        ("/schedule/sendStrategy", json!("recipient_local")),
        ("/schedule/sendStrategy", json!("never")),
        ("/schedule/window", json!("mornings")),
        ("/schedule/window/days", json!([])),
        ("/schedule/window/days", json!(["monday"])),
        ("/schedule/window/days/0", json!(1)),
        ("/schedule/window/from", json!("9:00")),
        ("/schedule/window/from", json!("24:00")),
        ("/schedule/window/to", json!("17:60")),
        ("/schedule/window/to", json!(17)),
        ("/schedule/blackoutDates", json!("2999-12-24")),
        ("/schedule/blackoutDates/0", json!("24.12.2999")),
        ("/schedule/blackoutDates/0", json!("2999-02-29")),
        ("/schedule/blackoutDates", json!(vec!["2999-12-24"; 1001])),
        ("/settings", json!([])),
        ("/settings/dailyLimit", json!(0)),
        ("/settings/dailyLimit", json!(-1)),
        ("/settings/dailyLimit", json!(1.5)),
        ("/settings/dailyLimit", json!("10")),
        ("/settings/dailyLimit", json!(i64::MAX)),
        ("/settings/hourlyLimit", json!(1e300)),
        ("/settings/hourlyLimit", json!(2_147_483_648_i64)),
        ("/settings/onInDoubt", json!("maybe")),
        ("/settings/unsubscribeEnabled", json!("yes")),
        ("/settings/trackOpens", json!("true")),
        ("/settings/trackClicks", json!(1)),
        ("/settings/postalAddress", json!("")),
        ("/settings/postalAddress", json!(" \n\t")),
        ("/settings/postalAddress", json!("x".repeat(501))),
        ("/settings/postalAddress", json!("Main\u{0} Street")),
        ("/settings/postalAddress", json!(["Main Street 1"])),
        ("/settings/stopOnReply", json!("yes")),
        ("/settings/guardRails", json!(true)),
        ("/settings/guardRails", json!({"minSample": 10})),
        ("/settings/guardRails/maxBounceRate", json!(1.5)),
        ("/settings/guardRails/maxComplaintRate", json!(-0.1)),
        ("/settings/guardRails/maxComplaintRate", json!("1%")),
        ("/settings/guardRails/minSample", json!(0)),
        ("/settings/guardRails/maxOpenRate", json!(0.1)),
        ("/settings/colour", json!("red")),
    ];
    let draft = format!("/api/campaigns/{}", own.draft);
    for (pointer, value) in cases {
        let body = with(&whole, pointer, value);
        assert_names(&app.post("/api/campaigns", body.clone()).await, pointer);
        let unset_by_null = body.pointer(pointer).is_some_and(Value::is_null) || pointer == "/campaignType";
        if !unset_by_null {
            let mut change = body;
            change.as_object_mut().expect("an object").remove("campaignType");
            assert_names(&app.patch(&draft, change).await, pointer);
        }
    }
    for name in ["name", "fromEmail", "fromName", "segmentId"] {
        assert_names(&app.patch(&draft, json!({ name: null })).await, &format!("/{name}"));
    }
    assert_unchanged(&app, "bad campaigns").await;
}

#[tokio::test]
async fn all_bad_fields_of_a_campaign_are_named_at_once() {
    let app = TestApp::start().await;
    remember(&app).await;
    let refused = app.post("/api/campaigns", json!({})).await;
    for pointer in ["/name", "/campaignType", "/segmentId", "/fromEmail", "/fromName"] {
        assert_names(&refused, pointer);
    }
    let body = json!({
        "name": "", "campaignType": "x", "segmentId": "x", "fromEmail": "x", "fromName": "\n", "replyToEmail": 1,
        "schedule": {"timezone": "x", "window": {"days": ["x"], "from": 1}}, "settings": {"dailyLimit": 0, "x": 1}, "y": 1
    });
    let refused = app.post("/api/campaigns", body).await;
    for pointer in [
        "/name",
        "/campaignType",
        "/segmentId",
        "/fromEmail",
        "/fromName",
        "/replyToEmail",
        "/schedule/timezone",
        "/schedule/window/days/0",
        "/schedule/window/from",
        "/schedule/window/to",
        "/settings/dailyLimit",
        "/settings/x",
        "/y",
    ] {
        assert_names(&refused, pointer);
    }
    assert_unchanged(&app, "bad campaigns").await;
}

/// An e-mail step with that member.
fn email(name: &str, value: Value) -> Value {
    with(&json!({"stepType": "email", "subjectLine": "Hi", "emailContent": "<p>Hi</p>"}), &format!("/{name}"), value)
}

#[tokio::test]
async fn bad_steps_are_named() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let kinds = [
        json!({"stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}}),
        json!({"stepType": "wait", "waitUntil": {"weekday": "mon", "timeOfDay": "09:00"}}),
        json!({"stepType": "condition", "conditionRules": {"field": "city", "op": "eq", "value": "B"}}),
        json!({"stepType": "action", "action": {"type": "set_field", "field": "city", "value": "B"}}),
    ];
    let deep = |levels: usize| format!("{}1{}", "{{ (".repeat(levels), ") }}".repeat(levels));
    let mut cases = vec![
        ("/subjectLine", email("subjectLine", json!(null))),
        ("/subjectLine", email("subjectLine", json!(""))),
        ("/subjectLine", email("subjectLine", json!("Hi\r\nBcc: all@example.test"))),
        ("/subjectLine", email("subjectLine", json!("Hi\u{0}"))),
        ("/subjectLine", email("subjectLine", json!("Hi\u{2029}"))),
        ("/subjectLine", email("subjectLine", json!("{{ firstName"))),
        ("/subjectLine", email("subjectLine", json!("{% include 'x' %}"))),
        ("/subjectLine", email("subjectLine", long(999))),
        ("/emailContent", email("emailContent", json!(null))),
        ("/emailContent", email("emailContent", json!(" "))),
        ("/emailContent", email("emailContent", json!("{% if firstName %}x"))),
        ("/emailContent", email("emailContent", json!("{{ firstName | nosuchfilter }}"))),
        ("/emailContent", email("emailContent", json!("{{ range(100000000) }}"))),
        (
            "/emailContent",
            email(
                "emailContent",
                json!("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"),
            ),
        ),
        ("/emailContent", email("emailContent", json!("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"))),
        ("/emailContent", email("emailContent", json!("{{ 'x' * 200000000 }}"))),
        ("/emailContent", email("emailContent", json!("{% extends 'base' %}"))),
        ("/emailContent", email("emailContent", json!("{% import 'a' as a %}"))),
        ("/emailContent", email("emailContent", json!("{% set x = 1 %}{{ x"))),
        ("/emailContent", email("emailContent", json!(deep(2000)))),
        ("/emailContent", email("emailContent", json!(format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000))))),
        ("/emailContent", email("emailContent", json!("<p>\u{0}</p>"))),
        ("/emailContent", email("emailContent", long(512 * 1024 + 1))),
        ("/textContent", email("textContent", json!("{{"))),
        ("/textContent", email("textContent", json!(["a"]))),
        ("/templateId", email("templateId", json!("0198c0de-0000-7000-8000-00000000dead"))),
        ("/variants", email("variants", json!([{"name": "B", "subjectLine": "s", "emailContent": "c"}]))),
        ("/variants/0", email("variants", json!(["B"]))),
        ("/name", email("name", json!("a\nb"))),
        ("/name", email("name", long(201))),
        ("/stepType", email("stepType", json!(null))),
        ("/stepType", email("stepType", json!("sms"))),
        ("/stepOrder", email("stepOrder", json!(0))),
        ("/stepOrder", email("stepOrder", json!(-1))),
        ("/stepOrder", email("stepOrder", json!(1.5))),
        ("/stepOrder", email("stepOrder", json!(1e18))),
        ("/nextStepId", email("nextStepId", json!("nowhere"))),
        ("/nextStepId", email("nextStepId", json!(1))),
        ("/trueNextStepId", email("trueNextStepId", json!("end"))),
        ("/waitDuration", email("waitDuration", json!({"value": 1, "unit": "days"}))),
        ("/waitDuration/value", with(&kinds[0], "/waitDuration/value", json!(0))),
        ("/waitDuration/value", with(&kinds[0], "/waitDuration/value", json!(-5))),
        ("/waitDuration/value", with(&kinds[0], "/waitDuration/value", json!(100_000))),
        ("/waitDuration/value", with(&kinds[0], "/waitDuration/value", json!(i64::MAX))),
        ("/waitDuration/value", with(&kinds[0], "/waitDuration/value", json!("1"))),
        ("/waitDuration/unit", with(&kinds[0], "/waitDuration/unit", json!("years"))),
        ("/waitDuration", with(&kinds[0], "/waitDuration", json!(5))),
        ("/waitDuration", json!({"stepType": "wait"})),
        ("/waitUntil", with(&kinds[0], "/waitUntil", json!({"timeOfDay": "09:00"}))),
        ("/waitUntil", with(&kinds[1], "/waitUntil", json!({}))),
        ("/waitUntil/weekday", with(&kinds[1], "/waitUntil/weekday", json!("someday"))),
        ("/waitUntil/timeOfDay", with(&kinds[1], "/waitUntil/timeOfDay", json!("25:00"))),
        ("/waitUntil/event", with(&kinds[1], "/waitUntil/event", json!("bought"))),
        ("/conditionRules", json!({"stepType": "condition"})),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!({}))),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!("city = B"))),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!({"field": "shoeSize", "op": "eq", "value": 1}))),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!({"field": "city", "op": "like", "value": "x"}))),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!({"field": "city", "op": "eq"}))),
        ("/conditionRules", with(&kinds[2], "/conditionRules", json!({"field": "city", "op": "in", "value": "x"}))),
        (
            "/conditionRules",
            with(&kinds[2], "/conditionRules", json!({"field": "leadScore", "op": "gt", "value": "x"})),
        ),
        ("/conditionRules", with(&kinds[2], "/conditionRules", nested_rule(20))),
        (
            "/conditionRules",
            with(&kinds[2], "/conditionRules", json!({"all": vec![kinds[2]["conditionRules"].clone(); 101]})),
        ),
        ("/action", json!({"stepType": "action"})),
        ("/action/type", with(&kinds[3], "/action/type", json!("shout"))),
        ("/action/type", with(&kinds[3], "/action", json!({"type": "webhook", "url": "http://example.test"}))),
        ("/action/field", with(&kinds[3], "/action/field", json!("email"))),
        ("/action/field", with(&kinds[3], "/action/field", json!("id"))),
        ("/action/value", with(&kinds[3], "/action/value", json!({"a": 1}))),
        ("/action/value", with(&kinds[3], "/action/value", long(201))),
        ("/action/value", json!({"stepType": "action", "action": {"type": "set_field", "field": "city"}})),
        ("/action/tag", json!({"stepType": "action", "action": {"type": "add_tag", "tag": "a\nb"}})),
        ("/action/tag", json!({"stepType": "action", "action": {"type": "add_tag", "tag": ""}})),
        ("/action/url", with(&kinds[3], "/action/url", json!("x"))),
    ];
    cases.extend(kinds.iter().map(|kind| ("/subjectLine", with(kind, "/subjectLine", json!("Hi")))));
    let at = format!("/api/campaigns/{}/steps", own.draft);
    for (pointer, step) in cases {
        assert_names(&app.post(&at, step.clone()).await, pointer);
        let whole = json!({"steps": [email("name", json!("First")), step]});
        assert_names(&app.put(&at, whole).await, &format!("/steps/1{pointer}"));
    }
    assert_unchanged(&app, "bad steps").await;
}

fn nested_rule(levels: usize) -> Value {
    (0..levels).fold(json!({"field": "city", "op": "eq", "value": "B"}), |rule, _| json!({"not": rule}))
}

#[tokio::test]
async fn sequences_that_go_nowhere_are_refused() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let mail = |key: &str, next: &str| json!({"key": key, "stepType": "email", "subjectLine": "s", "emailContent": "c", "nextStepId": next});
    let wait = |key: &str, next: &str| json!({"key": key, "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}, "nextStepId": next});
    let ask = |key: &str, yes: &str, no: &str| {
        json!({"key": key, "stepType": "condition", "conditionRules": {"field": "city", "op": "exists", "value": true},
               "trueNextStepId": yes, "falseNextStepId": no})
    };
    let many: Vec<_> = (0..101).map(|_| email("name", json!("n"))).collect();
    let cases = [
        ("/steps/0/nextStepId", json!([mail("a", "nowhere")])),
        ("/steps/0/nextStepId", json!([mail("a", "0198c0de-0000-7000-8000-00000000dead")])),
        ("/steps/0/nextStepId", json!([mail("a", "")])),
        ("/steps/0/trueNextStepId", json!([ask("a", "nowhere", "end")])),
        ("/steps/0/falseNextStepId", json!([ask("a", "end", "nowhere")])),
        ("/steps/1", json!([mail("a", "end"), mail("b", "end")])),
        ("/steps/1", json!([mail("a", "c"), mail("b", "end"), mail("c", "end")])),
        ("/steps", json!([mail("a", "a")])),
        ("/steps", json!([mail("a", "b"), mail("b", "a")])),
        ("/steps", json!([ask("a", "b", "end"), mail("b", "c"), mail("c", "a")])),
        ("/steps", json!([wait("w", "a"), mail("a", "b"), mail("b", "a")])),
        ("/steps/1/key", json!([mail("a", "end"), mail("a", "end")])),
        ("/steps/0/key", json!([mail("", "end")])),
        ("/steps/0", json!(["mail"])),
        ("/steps/0", json!([null])),
        ("/steps", json!({"a": 1})),
        ("/steps", json!("none")),
        ("/steps", json!(null)),
        ("/steps", json!(many)),
        ("/steps", json!(vec![email("name", json!("n")); 1001])),
        ("/steps/0/id", json!([email("id", json!("x"))])),
        ("/steps/1/id", json!([email("id", json!(own.step)), email("id", json!(own.step))])),
    ];
    let at = format!("/api/campaigns/{}/steps", own.draft);
    for (pointer, steps) in cases {
        assert_names(&app.put(&at, json!({"steps": steps})).await, pointer);
    }
    assert_unchanged(&app, "sequences that go nowhere").await;
    let round = json!({"steps": [mail("a", "w"), wait("w", "a")]});
    app.put(&at, round).await.assert_status(200);
    let most: Vec<_> = (0..100).map(|_| email("name", json!("n"))).collect();
    app.put(&at, json!({ "steps": most })).await.assert_status(200);
}

#[tokio::test]
async fn bad_contacts_segments_keys_and_suppressions_are_named() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let contact = json!({"email": "x@example.test", "customFields": {}, "tags": []});
    for (pointer, value) in [
        ("/email", json!(null)),
        ("/email", json!("")),
        ("/email", json!("x")),
        ("/email", json!("x@example.test\u{0}")),
        ("/email", json!("x@example.test\r\nDATA")),
        ("/email", json!(format!("{}@example.test", "x".repeat(65)))),
        ("/email", json!(["x@example.test"])),
        ("/firstName", json!(7)),
        ("/firstName", long(201)),
        ("/firstName", json!("a\r\nb")),
        ("/lastName", json!("a\u{0}b")),
        ("/company", json!("a\u{1}b")),
        ("/jobTitle", json!({})),
        ("/timezone", json!("Nowhere/Land")),
        ("/tags", json!("vip")),
        ("/tags/0", json!([""])),
        ("/tags/0", json!([7])),
        ("/tags/0", json!(["a\nb"])),
        ("/tags/0", json!(["x".repeat(101)])),
        ("/tags", json!((0..101).map(|n| format!("t{n}")).collect::<Vec<_>>())),
        ("/leadScore", json!("high")),
        ("/leadScore", json!(1.5)),
        ("/leadScore", json!(1e300)),
        ("/leadScore", json!(1_000_000_001)),
        ("/leadScore", json!(i64::MIN)),
        ("/customFields", json!([])),
        ("/customFields", json!("x")),
        ("/customFields/a", json!({"a": {"b": 1}})),
        ("/customFields/a", json!({"a": [1]})),
        ("/customFields/a", json!({"a": "x".repeat(501)})),
        ("/customFields/a", json!({"a": "b\u{0}c"})),
        ("/customFields/a", json!({"a": 9_007_199_254_740_993_i64})),
        ("/customFields/a", json!({"a": i64::MIN})),
        ("/customFields/a", json!({"a": u64::MAX})),
        ("/customFields/a b", json!({"a b": 1})),
        ("/customFields", json!({"": 1})),
        ("/customFields", json!({"x".repeat(65): 1})),
        ("/customFields", json!((0..101).map(|n| (format!("f{n}"), json!(n))).collect::<serde_json::Map<_, _>>())),
        ("/nickname", json!("x")),
        ("/id", json!("0198c0de-0000-7000-8000-00000000dead")),
    ] {
        let body =
            with(&contact, pointer.split_inclusive('/').take(2).collect::<String>().trim_end_matches('/'), value);
        assert_names(&app.post("/api/contacts", body.clone()).await, pointer);
        assert_names(&app.post("/api/contacts?upsert=true", body.clone()).await, pointer);
        assert_names(&app.patch(&format!("/api/contacts/{}", own.contact), body).await, pointer);
    }
    let segment = json!({"name": "S", "kind": "dynamic", "rules": {"field": "city", "op": "eq", "value": "B"}});
    for (pointer, value) in [
        ("/name", json!(null)),
        ("/name", json!("a\nb")),
        ("/name", long(201)),
        ("/kind", json!("both")),
        ("/kind", json!(null)),
        ("/rules", json!(null)),
        ("/rules", json!([])),
        ("/rules", json!({})),
        ("/rules", json!({"any": "x"})),
        ("/rules", json!({"not": []})),
        ("/rules", json!({"all": [], "any": []})),
        ("/rules", json!({"field": "customFields.", "op": "eq", "value": 1})),
        ("/rules", json!({"field": "customFields.a b", "op": "eq", "value": 1})),
        ("/rules", json!({"field": "password", "op": "eq", "value": 1})),
        ("/rules", json!({"field": "city", "op": "eq", "value": {"$gt": ""}})),
        ("/rules", json!({"field": "city", "op": "eq", "value": "x", "extra": 1})),
        ("/rules", json!({"field": "city", "op": "in", "value": []})),
        ("/rules", json!({"field": "city", "op": "in", "value": vec!["x"; 2000]})),
        ("/rules", json!({"field": "leadScore", "op": "eq", "value": "NaN"})),
        ("/rules", json!({"field": "city", "op": "exists", "value": "yes"})),
        ("/rules", nested_rule(9)),
    ] {
        assert_names(&app.post("/api/segments", with(&segment, pointer, value.clone())).await, pointer);
        if pointer == "/rules" {
            assert_names(&app.post("/api/segments/preview", json!({"rules": value})).await, pointer);
        }
    }
    let static_with_rules = with(&segment, "/kind", json!("static"));
    assert_names(&app.post("/api/segments", static_with_rules).await, "/rules");
    for (pointer, value) in [
        ("/contactIds", json!(null)),
        ("/contactIds", json!([])),
        ("/contactIds", json!("x")),
        ("/contactIds/0", json!(["x"])),
        ("/contactIds/0", json!([null])),
        ("/contactIds", json!(vec![own.contact.clone(); 1001])),
    ] {
        for path in
            [format!("/api/segments/{}/contacts", own.segment), format!("/api/campaigns/{}/enrollments", own.active)]
        {
            assert_names(&app.post(&path, json!({"contactIds": value})).await, pointer);
        }
    }
    let key = json!({"name": "k", "scopes": ["admin"]});
    for (pointer, value) in [
        ("/name", json!("")),
        ("/name", json!("a\nb")),
        ("/name", json!("a\u{202e}b")),
        ("/scopes", json!([])),
        ("/scopes/0", json!(["root"])),
        ("/scopes", json!("admin")),
        ("/scopes", json!(null)),
        ("/scopes", json!(vec!["admin"; 8])),
        ("/expiresAt", json!("2001-01-01T00:00:00Z")),
        ("/expiresAt", json!("never")),
        ("/secret", json!("mk_x")),
    ] {
        let at = pointer.trim_end_matches("/0");
        assert_names(&app.post("/api/keys", with(&key, at, value)).await, pointer);
    }
    for (pointer, value) in [
        ("/email", json!("x")),
        ("/email", json!(null)),
        ("/email", json!(format!("a@{}test", "bbbbbbbbb.".repeat(26)))),
        ("/reason", json!("erased")),
        ("/reason", json!(1)),
        ("/source", json!("a\nb")),
        ("/source", long(201)),
    ] {
        let body = json!({"email": "x@example.test"});
        assert_names(&app.post("/api/suppressions", with(&body, pointer, value)).await, pointer);
    }
    assert_unchanged(&app, "bad contacts, segments, keys, suppressions").await;
}

#[tokio::test]
async fn bad_actions_and_ranges_are_named() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let draft = format!("/api/campaigns/{}", own.draft);
    for (action, pointer, body) in [
        ("schedule", "/startAt", json!({"startAt": "2001-01-01T00:00:00Z"})),
        ("schedule", "/startAt", json!({"startAt": 1})),
        ("schedule", "/startAt", json!({})),
        ("schedule", "/at", json!({"at": "2999-01-01T00:00:00Z"})),
        ("launch", "/now", json!({"now": true})),
        ("resume", "/catchUp", json!({"catchUp": "skip"})),
        ("clone", "/name", json!({"name": "a\nb"})),
        ("clone", "/name", json!({"name": ""})),
        ("clone", "/name", json!({"name": 1})),
        ("preview", "/stepId", json!({"stepId": "first"})),
        ("preview", "/contactId", json!({"contactId": 1})),
        ("preview", "/contact", json!({"contactId": own.contact, "contact": {}})),
        ("preview", "/contact/email", json!({"contact": {"email": "x"}})),
        ("preview", "/contact/id", json!({"contact": {"id": own.contact}})),
        ("preview", "/contact/customFields", json!({"contact": {"customFields": 1}})),
        ("test", "/emails", json!({})),
        ("test", "/emails", json!({"emails": []})),
        ("test", "/emails", json!({"emails": vec!["a@example.test"; 6]})),
        ("test", "/emails/1", json!({"emails": ["a@example.test", "b@example.test\r\nRCPT TO:<c@example.test>"]})),
        ("test", "/emails/0", json!({"emails": [1]})),
    ] {
        assert_names(&app.post(&format!("{draft}/{action}"), body).await, pointer);
    }
    let ranges = [
        ("startDate=2026-02-01&endDate=2026-01-01", "/"),
        ("startDate=2026-01-01", "/endDate"),
        ("endDate=2026-01-01", "/startDate"),
        ("startDate=2026-02-30&endDate=2026-03-01", "/startDate"),
        ("startDate=1.1.2026&endDate=2026-01-01", "/startDate"),
        ("startDate=2026-1-1&endDate=2026-01-01", "/startDate"),
        ("startDate=-9999-01-01&endDate=-9999-01-02", "/startDate"),
        ("startDate=%2B12026-01-01&endDate=2026-01-01", "/startDate"),
        ("startDate=0001-01-01&endDate=9999-12-31", "/"),
        ("startDate=2026-01-01&endDate=2026-01-02&timezone=Mars", "/timezone"),
        ("startDate=2026-01-01&endDate=2026-01-02&startDate=2026-01-01", "/startDate"),
        ("startDate=2026-01-01&endDate=2026-01-02&from=x", "/from"),
        ("startDate=2026-01-01&endDate=2026-01-02&groupBy=weekday", "/groupBy"),
        ("startDate=2026-01-01&endDate=2026-01-02&groupBy=", "/groupBy"),
        ("startDate=2026-01-01&endDate=2026-01-02&groupBy=day,step", "/groupBy"),
    ];
    for (query, pointer) in ranges {
        assert_names(&app.get(&format!("{draft}/analytics?{query}")).await, pointer);
    }
    assert_unchanged(&app, "bad actions").await;
}

#[tokio::test]
async fn every_list_refuses_bad_limits_filters_and_cursors() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let lists = operations().into_iter().filter(|operation| {
        let parameters = operation.entry["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| parameter["name"] == "cursor")
    });
    let mut seen = 0;
    for list in lists {
        seen += 1;
        let path = own.path(&list);
        for limit in
            ["0", "-1", "101", "1e9", "1000000000", "99999999999999999999", "ten", "", "1.5", "0x10", "+", "%00"]
        {
            assert_names(&app.get(&format!("{path}?limit={limit}")).await, "/limit");
        }
        for cursor in ["", "x", "eyJpZCI6MX0", "AAAAAAAAAAAAAAAAAAAAAAAA", "%00", "%F0%9F%92%A9", &"A".repeat(2000)] {
            assert_names(&app.get(&format!("{path}?cursor={cursor}")).await, "/cursor");
        }
        assert_names(&app.get(&format!("{path}?offset=5")).await, "/offset");
        assert_names(&app.get(&format!("{path}?limit=5&limit=5")).await, "/limit");
        assert_names(&app.get(&format!("{path}?tenantId={}", own.segment)).await, "/tenantId");
        app.get(&format!("{path}?limit=1")).await.assert_status(200);
        app.get(&format!("{path}?limit=100")).await.assert_status(200);
    }
    assert!(seen >= 7, "{seen}");
    for (query, pointer) in [
        ("status=running", "/status"),
        ("campaignType=x", "/campaignType"),
        ("sort=email", "/sort"),
        ("sort=name;DROP%20TABLE%20campaigns", "/sort"),
        (&format!("q={}", "x".repeat(201)), "/q"),
        ("q=%00", "/q"),
    ] {
        assert_names(&app.get(&format!("/api/campaigns?{query}")).await, pointer);
    }
    for q in ["%25", "_", "%5C", "'", "%22", "%25%25%25", "%5C%25"] {
        assert_eq!(app.get(&format!("/api/campaigns?q={q}")).await.assert_status(200).json["data"], json!([]), "{q}");
    }
}

/// What is sent as it is, for what no JSON library would write.
async fn raw(app: &TestApp, operation: &Operation, path: &str, body: Vec<u8>) -> Answer {
    let request = app.request(operation.method.clone(), path).header("Content-Type", "application/json");
    app.send(request.body(body)).await
}

#[tokio::test]
async fn bodies_that_are_no_proper_json_are_refused_everywhere() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let writes = operations().into_iter().filter(|operation| operation.takes_json() || operation.method == "POST");
    for operation in writes.filter(|operation| !operation.id.starts_with("import_")) {
        let path = own.path(&operation);
        let malformed: [&[u8]; 14] = [
            b"{",
            b"{\"a\":1",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"nul",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\\udc00\\ud800\"}",
            b"{\"a\":1e400}",
            b"{\"a\":-1e400}",
            b"{\"a\":01}",
            b"{\"a\":NaN}",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"{\"a\":\"\n\"}",
        ];
        for body in malformed {
            raw(&app, &operation, &path, body.to_vec()).await.assert_problem(400, "malformed_json");
        }
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(60_000), "]".repeat(60_000));
        raw(&app, &operation, &path, deep.into()).await.assert_problem(422, "validation_failed");
        let twice = raw(&app, &operation, &path, b"{\"name\":\"a\",\"name\":\"b\"}".to_vec()).await;
        assert!(twice.fields().contains(&"/name repeated".to_owned()), "{}: {twice:?}", operation.id);
        let nul = raw(&app, &operation, &path, b"{\"name\\u0000\":1}".to_vec()).await;
        nul.assert_problem(422, "validation_failed");
        for body in ["[]", "null", "7", "\"a\"", "true", "[{}]"] {
            raw(&app, &operation, &path, body.into()).await.assert_problem(422, "validation_failed");
        }
        let request = app.request(operation.method.clone(), &path).header("Content-Type", "text/plain").body("{}");
        app.send(request).await.assert_problem(415, "unsupported_media_type");
    }
    assert_unchanged(&app, "bodies that are no JSON").await;
}

/// What each field of each body is replaced by in turn.
fn junk() -> Vec<Value> {
    let mut junk = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!([[]]),
        json!([null]),
        json!({}),
        json!({"a": {"b": []}}),
        json!([{"a": 1}]),
    ];
    let texts = [
        "",
        " ",
        "x",
        "\u{0}",
        "a\r\nb",
        "\u{202e}x",
        "💥",
        "{{ 7*7 }}",
        "{% raw %}",
        "end",
        "null",
        "../../etc",
        "'; --",
    ];
    junk.extend(texts.map(Value::from));
    junk.push(long(5_000));
    junk.push(long(600_000));
    junk
}

/// Every place in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.to_owned());
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(name, one)| places(one, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, one)| places(one, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

/// Whatever stands in whatever field: it is taken, or refused by name; nothing breaks.
#[tokio::test]
async fn junk_in_any_field_of_any_operation_breaks_nothing() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    for operation in operations().into_iter().filter(Operation::takes_json) {
        let mut body = own.body(&operation);
        match operation.id.as_str() {
            "replace_steps" => body["steps"] = steps(),
            "add_step" | "change_step" => body = email("textContent", json!("Hi")),
            "change_campaign" => {
                body = whole_campaign(&own.segment);
                body.as_object_mut().expect("an object").remove("campaignType");
            }
            _ => {}
        }
        let (path, mut found) = (own.path(&operation), Vec::new());
        places(&body, "", &mut found);
        for at in found {
            for value in junk() {
                let sent = with(&body, &at, value.clone());
                let answer = app.send(app.request(operation.method.clone(), &path).json(&sent)).await;
                let told = || format!("{} {at} = {:.80}: {:.600}", operation.id, value.to_string(), answer.text);
                match answer.status {
                    200 | 201 | 404 | 409 => {}
                    422 => {
                        answer.assert_problem(422, "validation_failed");
                        let errors = answer.json["errors"].as_array().cloned().unwrap_or_default();
                        assert!(!errors.is_empty(), "{}", told());
                    }
                    _ => panic!("{}", told()),
                }
            }
        }
    }
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    remember(&app).await;
    let draft = format!("/api/campaigns/{}", own.draft);
    for tag in ["03", "\"1\", \"2\"", "\"1", "x", "W/1"] {
        let request = app.request(Method::PATCH, &draft).header("If-Match", tag).json(&json!({"name": "New"}));
        assert_names(&app.send(request).await, "/If-Match");
    }
    for tag in ["99", "\"99\"", "\"x\"", "W/\"1\"", "\"0\"", "\"-1\"", "\"99999999999999999999\""] {
        for (method, path, body) in [
            (Method::PATCH, draft.clone(), json!({"name": "New"})),
            (Method::DELETE, draft.clone(), json!(null)),
            (Method::PUT, format!("{draft}/steps"), json!({"steps": steps()})),
            (Method::POST, format!("{draft}/steps"), email("name", json!("New"))),
            (Method::PATCH, format!("{draft}/steps/{}", own.step), json!({"name": "New"})),
            (Method::DELETE, format!("{draft}/steps/{}", own.step), json!(null)),
        ] {
            let request = app.request(method, &path).header("If-Match", tag);
            let request = if body.is_null() { request } else { request.json(&body) };
            app.send(request).await.assert_problem(412, "version_mismatch");
        }
    }
    for key in ["", " ", "a b", "é", &"k".repeat(256)] {
        let request = app.request(Method::POST, "/api/campaigns").header("Idempotency-Key", key.as_bytes());
        let answer = app.send(request.json(&campaign(&own.segment))).await;
        assert_names(&answer, "/Idempotency-Key");
    }
    assert_unchanged(&app, "bad headers").await;
}
