//! Steps: the whole sequence at once, and one at a time.

use crate::app::{Answer, Caller, TestApp};
use crate::campaigns::{draft, email, segment};
use serde_json::{Value, json};

fn wait(days: i64) -> Value {
    json!({ "stepType": "wait", "waitDuration": { "value": days, "unit": "days" } })
}

/// `step` with the fields of `more` as well.
fn with(mut step: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut step, more) else { panic!("two objects") };
    fields.extend(more);
    step
}

async fn put(caller: &Caller, id: &str, steps: Value) -> Answer {
    caller.put(&format!("/api/campaigns/{id}/steps"), json!({ "steps": steps })).await
}

/// Makes a drip with these steps; their path and what they read.
async fn drip(app: &TestApp, steps: Value) -> (String, Vec<Value>) {
    let (id, _) = draft(app).await;
    let answer = put(app, &id, steps).await;
    answer.assert_status(200);
    (format!("/api/campaigns/{id}/steps"), rows(&answer))
}

fn rows(answer: &Answer) -> Vec<Value> {
    answer.json["data"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

fn orders(steps: &[Value]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {}", step["stepOrder"], step["name"].as_str().expect("a name"))).collect()
}

#[tokio::test]
async fn every_type_of_step_reads_back_as_it_was_written() {
    let app = TestApp::start().await;
    let (path, steps) = drip(
        &app,
        json!([
            { "stepType": "email", "name": "Hello", "subjectLine": "Hi", "emailContent": "<p>x</p>", "textContent": "x" },
            { "stepType": "wait", "name": "Pause", "waitUntil": { "weekday": "mon", "timeOfDay": "09:30" } },
            { "stepType": "condition", "name": "Vip?",
              "conditionRules": { "all": [{ "field": "leadScore", "op": "gte", "value": 10 }] },
              "trueNextStepId": "tag", "falseNextStepId": "end" },
            { "stepType": "action", "key": "tag", "name": "Mark",
              "action": { "type": "set_field", "field": "customFields.plan", "value": "gold" } },
            { "stepType": "action", "name": "Out", "action": { "type": "exit" } }
        ]),
    )
    .await;
    let stats = json!({
        "emailsSent": 0, "emailsDelivered": 0, "emailsBounced": 0, "uniqueOpens": 0, "allUniqueOpens": 0,
        "uniqueClicks": 0, "allUniqueClicks": 0, "replies": 0, "spamComplaints": 0, "unsubscribes": 0
    });
    let campaign = path.split('/').nth(3).expect("an id");
    let common = |n: usize| json!({ "id": steps[n]["id"], "campaignId": campaign, "stepOrder": n + 1, "stats": stats });
    let expected = [
        json!({ "name": "Hello", "stepType": "email", "subjectLine": "Hi", "emailContent": "<p>x</p>",
                "textContent": "x", "templateId": null, "variants": [], "nextStepId": null }),
        json!({ "name": "Pause", "stepType": "wait", "waitDuration": null,
                "waitUntil": { "weekday": "mon", "timeOfDay": "09:30" }, "nextStepId": null }),
        json!({ "name": "Vip?", "stepType": "condition",
                "conditionRules": { "all": [{ "field": "leadScore", "op": "gte", "value": 10 }] },
                "trueNextStepId": steps[3]["id"], "falseNextStepId": "end" }),
        json!({ "name": "Mark", "stepType": "action", "nextStepId": null,
                "action": { "type": "set_field", "field": "customFields.plan", "value": "gold" } }),
        json!({ "name": "Out", "stepType": "action", "action": { "type": "exit" }, "nextStepId": null }),
    ];
    for (n, expected) in expected.into_iter().enumerate() {
        assert_eq!(steps[n], with(common(n), expected));
    }
    assert_eq!(rows(&app.get(&path).await), steps);
    let again = app.put(&path, json!({ "steps": steps })).await;
    again.assert_status(200);
    assert_eq!(rows(&again), steps, "what a GET gives may be sent back");
}

#[tokio::test]
async fn every_flaw_of_a_sequence_is_named_where_it_is() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let answer = put(
        &app,
        &id,
        json!([
            { "stepType": "email", "subjectLine": "Hi\nBcc: all", "emailContent": "{{ name", "nextStepId": "nowhere" },
            { "stepType": "email", "emailContent": " " },
            { "stepType": "wait", "waitDuration": { "value": 5000, "unit": "days" }, "subjectLine": "x" },
            { "stepType": "condition", "conditionRules": { "field": "shoeSize", "op": "eq", "value": 44 } },
            { "stepType": "action", "action": { "type": "add_tag", "tag": " " } },
            { "stepType": "action", "action": { "type": "set_field", "field": "email", "value": "x" } },
            { "stepType": "email", "subjectLine": "s", "emailContent": "c", "variants": [
                { "name": "A", "subjectLine": "{% include 'x' %}", "emailContent": "c" }] },
            { "name": "nothing" }
        ]),
    )
    .await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(
        answer.fields(),
        [
            "/steps/0/emailContent template_syntax",
            "/steps/0/nextStepId unknown_step",
            "/steps/0/subjectLine invalid_characters",
            "/steps/1/emailContent required",
            "/steps/1/subjectLine required",
            "/steps/2/subjectLine not_applicable",
            "/steps/2/waitDuration/value out_of_range",
            "/steps/3/conditionRules/field unknown_field",
            "/steps/4/action/tag required",
            "/steps/5/action/field unknown_field",
            "/steps/6/variants not_applicable",
            "/steps/6/variants/0/subjectLine template_forbidden",
            "/steps/7/stepType required",
        ]
    );
    app.assert_sql("NOT EXISTS (SELECT FROM campaign_steps)").await;
}

#[tokio::test]
async fn what_has_the_wrong_form_or_does_not_work_yet_is_named() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let answer = put(
        &app,
        &id,
        json!([
            { "stepType": "letter", "id": "x", "templateId": "x", "stats": {}, "color": "red" },
            { "stepType": "wait", "waitUntil": { "event": "opened", "timeOfDay": "late" } },
            { "stepType": "action", "action": { "type": "webhook" } },
            { "stepType": "wait", "waitDuration": { "value": 1.5, "unit": "years" } },
            "step"
        ]),
    )
    .await;
    assert_eq!(
        answer.fields(),
        [
            "/steps/0/color unknown_field",
            "/steps/0/id invalid_id",
            "/steps/0/stepType unknown_value",
            "/steps/0/templateId not_supported",
            "/steps/1/waitUntil/event not_supported",
            "/steps/1/waitUntil/timeOfDay invalid_time",
            "/steps/2/action/type not_supported",
            "/steps/3/waitDuration/unit unknown_value",
            "/steps/3/waitDuration/value wrong_type",
            "/steps/4 wrong_type",
        ]
    );
    assert_eq!(app.put(&format!("/api/campaigns/{id}/steps"), json!([])).await.fields(), [" wrong_type"]);
    assert_eq!(app.put(&format!("/api/campaigns/{id}/steps"), json!({})).await.fields(), ["/steps required"]);
}

#[tokio::test]
async fn a_sequence_that_cannot_be_walked_is_refused() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let unreachable = put(&app, &id, json!([with(email("a"), json!({ "nextStepId": "end" })), email("b")])).await;
    assert_eq!(unreachable.fields(), ["/steps/1 unreachable"]);
    let looping = [with(email("a"), json!({ "key": "a" })), with(email("b"), json!({ "nextStepId": "a" }))];
    assert_eq!(put(&app, &id, json!(looping)).await.fields(), ["/steps/1/nextStepId loop_without_wait"]);
    let waiting = json!([looping[0], wait(1), looping[1]]);
    put(&app, &id, waiting).await.assert_status(200);
    let many: Vec<_> = (0..101).map(|_| email("x")).collect();
    assert_eq!(put(&app, &id, json!(many)).await.fields(), ["/steps too_many"]);
    put(&app, &id, json!(many[1..])).await.assert_status(200);
    put(&app, &id, json!([])).await.assert_status(200);
}

#[tokio::test]
async fn a_broadcast_has_one_email_and_an_ab_test_variants() {
    let app = TestApp::start().await;
    let segment = segment(&app).await;
    let make = async |kind: &str| -> String {
        let body = json!({ "name": kind, "campaignType": kind, "segmentId": segment,
            "fromEmail": "news@example.test", "fromName": "News" });
        app.post("/api/campaigns", body).await.id()
    };
    let broadcast = make("broadcast").await;
    let answer = put(&app, &broadcast, json!([email("a"), wait(1), email("b")])).await;
    assert_eq!(answer.fields(), ["/steps/2/stepType too_many_email_steps"]);
    put(&app, &broadcast, json!([email("a")])).await.assert_status(200);
    let more = app.post(&format!("/api/campaigns/{broadcast}/steps"), email("b")).await;
    assert_eq!(more.fields(), ["/stepType too_many_email_steps"]);
    let ab_test = make("ab_test").await;
    let variants = json!([{ "name": "B", "subjectLine": "b", "emailContent": "b" }]);
    let answer = put(&app, &ab_test, json!([with(email("a"), json!({ "variants": variants }))])).await;
    answer.assert_status(200);
    assert_eq!(answer.json["data"][0]["variants"], variants);
    let scheduled = json!({ "startAt": "2999-01-01T00:00:00Z" });
    let refused = app.post(&format!("/api/campaigns/{ab_test}/schedule"), scheduled).await;
    refused.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn steps_are_ordered_by_what_they_say_or_by_the_array() {
    let app = TestApp::start().await;
    let (path, steps) = drip(
        &app,
        json!([
            with(email("last"), json!({ "stepOrder": 30, "name": "last" })),
            with(wait(1), json!({ "stepOrder": 10, "name": "first" })),
            with(wait(2), json!({ "stepOrder": 20, "name": "middle" }))
        ]),
    )
    .await;
    assert_eq!(orders(&steps), ["1 first", "2 middle", "3 last"]);
    let between = json!([steps[0], with(wait(3), json!({ "name": "new" })), steps[1], steps[2]]);
    let answer = app.put(&path, json!({ "steps": between })).await;
    assert_eq!(orders(&rows(&answer)), ["1 first", "2 new", "3 middle", "4 last"]);
    let (id, _) = draft(&app).await;
    let twice = with(wait(1), json!({ "stepOrder": 1 }));
    let answer = put(&app, &id, json!([twice, twice])).await;
    assert_eq!(answer.fields(), ["/steps/1/stepOrder duplicate"]);
}

#[tokio::test]
async fn a_step_sent_with_its_id_stays_itself() {
    let app = TestApp::start().await;
    let (path, steps) = drip(&app, json!([email("a"), wait(1), email("b")])).await;
    let kept = with(email("b2"), json!({ "id": steps[2]["id"], "name": "kept" }));
    let answer = app.put(&path, json!({ "steps": [email("new"), kept] })).await;
    answer.assert_status(200);
    assert_eq!(answer.json["data"][1]["id"], steps[2]["id"]);
    assert_ne!(answer.json["data"][0]["id"], steps[0]["id"]);
    let unknown = with(email("x"), json!({ "id": "01890000-0000-7000-8000-000000000000" }));
    assert_eq!(app.put(&path, json!({ "steps": [unknown] })).await.fields(), ["/steps/0/id unknown_step"]);
    let other = with(wait(1), json!({ "id": steps[2]["id"] }));
    assert_eq!(app.put(&path, json!({ "steps": [other] })).await.fields(), ["/steps/0/stepType fixed"]);
}

#[tokio::test]
async fn a_launched_campaign_keeps_its_versions_and_the_numbers_of_its_steps() {
    let app = TestApp::start().await;
    let (path, steps) = drip(&app, json!([email("a"), wait(1), email("b")])).await;
    app.assert_sql("(SELECT array_agg(version) FROM sequence_versions) = '{1}'").await;
    app.put(&path, json!({ "steps": steps })).await.assert_status(200);
    app.assert_sql("(SELECT array_agg(version) FROM sequence_versions) = '{2}'").await;
    app.database
        .run_sql("UPDATE campaigns SET status = 'active', launched_at = now(), enrollment_state = 'done'")
        .await;
    app.put(&path, json!({ "steps": [steps[0]] })).await.assert_status(200);
    app.put(&path, json!({ "steps": [steps[0], email("c")] })).await.assert_status(200);
    app.assert_sql("(SELECT array_agg(version ORDER BY version) FROM sequence_versions) = '{2,3,4}'").await;
    app.assert_sql("(SELECT array_agg(step ORDER BY step) FROM campaign_steps WHERE removed) = '{2,3}'").await;
    app.assert_sql("(SELECT array_agg(step ORDER BY step) FROM campaign_steps WHERE NOT removed) = '{1,4}'").await;
    let back = app.put(&path, json!({ "steps": [steps[0], steps[1], steps[2]] })).await;
    back.assert_status(200);
    app.assert_sql("(SELECT array_agg(step ORDER BY step) FROM campaign_steps WHERE NOT removed) = '{1,2,3}'").await;
}

#[tokio::test]
async fn one_step_is_added_at_the_end_or_in_between() {
    let app = TestApp::start().await;
    let (path, steps) =
        drip(&app, json!([with(wait(1), json!({ "name": "a" })), with(wait(2), json!({ "name": "b" }))])).await;
    let added = app.post(&path, with(email("c"), json!({ "name": "c" }))).await;
    added.assert_status(201);
    assert_eq!(added.header("location"), format!("{path}/{}", added.id()));
    assert_eq!((&added.json["stepOrder"], added.header("etag")), (&json!(3), "\"3\""));
    let between = app.post(&path, with(email("m"), json!({ "name": "m", "stepOrder": 2 }))).await;
    assert_eq!(between.json["stepOrder"], 2);
    let now = rows(&app.get(&path).await);
    assert_eq!(orders(&now), ["1 a", "2 m", "3 b", "4 c"]);
    assert_eq!(now[0]["id"], steps[0]["id"]);
    let refused = app.post(&path, with(email("x"), json!({ "stepOrder": 6 }))).await;
    assert_eq!(refused.fields(), ["/stepOrder out_of_range"]);
    let refused = app.post(&path, json!({ "stepType": "email", "subjectLine": "{{", "nextStepId": "nowhere" })).await;
    assert_eq!(
        refused.fields(),
        ["/emailContent required", "/nextStepId unknown_step", "/subjectLine template_syntax"]
    );
    let named = app.post(&path, with(email("x"), json!({ "nextStepId": "end", "stepOrder": 1 }))).await;
    named.assert_problem(422, "validation_failed");
    assert_eq!(named.fields(), [" unreachable"; 4], "the others could not be reached any more");
}

#[tokio::test]
async fn one_step_is_changed_and_moved() {
    let app = TestApp::start().await;
    let (path, steps) = drip(
        &app,
        json!([with(email("a"), json!({ "name": "a", "textContent": "t" })), with(wait(1), json!({ "name": "b" }))]),
    )
    .await;
    let at = |n: usize| format!("{path}/{}", steps[n]["id"].as_str().expect("an id"));
    let changed = app.patch(&at(0), json!({ "subjectLine": "New", "textContent": null })).await;
    changed.assert_status(200);
    assert_eq!((&changed.json["subjectLine"], &changed.json["textContent"]), (&json!("New"), &Value::Null));
    assert_eq!((&changed.json["emailContent"], &changed.json["id"]), (&steps[0]["emailContent"], &steps[0]["id"]));
    let until = app.patch(&at(1), json!({ "waitUntil": { "timeOfDay": "08:00" } })).await;
    assert_eq!(until.json["waitDuration"], Value::Null);
    assert_eq!(until.json["waitUntil"], json!({ "weekday": null, "timeOfDay": "08:00" }));
    let moved = app.patch(&at(1), json!({ "stepOrder": 1 })).await;
    assert_eq!(moved.json["stepOrder"], 1);
    assert_eq!(orders(&rows(&app.get(&path).await)), ["1 b", "2 a"]);
    let refused = app.patch(&at(1), json!({ "subjectLine": "x", "stepType": "email" })).await;
    refused.assert_problem(422, "validation_failed");
    let refused = app.patch(&at(0), json!({ "subjectLine": null, "emailContent": "{% if %}" })).await;
    assert_eq!(refused.fields(), ["/emailContent template_syntax", "/subjectLine required"]);
    let nobody = format!("{path}/01890000-0000-7000-8000-000000000000");
    app.patch(&nobody, json!({ "name": "x" })).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_removed_step_closes_the_gap_unless_somebody_leads_to_it() {
    let app = TestApp::start().await;
    let (path, steps) = drip(
        &app,
        json!([
            with(email("a"), json!({ "name": "a" })),
            with(wait(1), json!({ "name": "b" })),
            { "stepType": "condition", "name": "c", "conditionRules": { "field": "tags", "op": "contains", "value": "x" },
              "trueNextStepId": "d", "falseNextStepId": "end" },
            with(email("d"), json!({ "name": "d", "key": "d" }))
        ]),
    )
    .await;
    let at = |n: usize| format!("{path}/{}", steps[n]["id"].as_str().expect("an id"));
    let refused = app.delete(&at(3)).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), [" step_in_use"]);
    assert!(refused.text.contains(steps[2]["id"].as_str().expect("an id")), "it says who");
    let gone = app.delete(&at(1)).await;
    gone.assert_status(204);
    assert_eq!(gone.header("etag"), "\"3\"");
    assert_eq!(orders(&rows(&app.get(&path).await)), ["1 a", "2 c", "3 d"]);
    app.delete(&at(1)).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_draft_can_be_rewritten_as_often_as_one_likes() {
    let app = TestApp::start().await;
    let (path, _) = drip(&app, json!([email("a")])).await;
    app.database.run_sql("UPDATE campaign_steps SET step = 32767; UPDATE campaigns SET next_step_no = 32767").await;
    app.put(&path, json!({ "steps": [email("b"), email("c")] })).await.assert_status(200);
    app.assert_sql("(SELECT array_agg(step ORDER BY step) FROM campaign_steps) = '{1,2}'").await;
    app.database
        .run_sql("UPDATE campaigns SET status = 'active', launched_at = now(), enrollment_state = 'done', next_step_no = 32767")
        .await;
    let refused = app.put(&path, json!({ "steps": [email("d"), email("e")] })).await;
    assert_eq!(refused.fields(), [" too_many"], "numbers of a launched campaign are never used again");
}
