//! Campaigns: made, read, listed, changed, scheduled, copied, tried out, removed.

use crate::app::{Answer, Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

/// A segment of the caller's workspace.
pub(crate) async fn segment(caller: &Caller) -> String {
    let made = caller.post("/api/segments", json!({ "name": "Everybody", "kind": "static" })).await;
    made.assert_status(201);
    made.id()
}

fn body(segment: &str) -> Value {
    json!({
        "name": "Spring", "campaignType": "drip", "segmentId": segment,
        "fromEmail": "news@example.test", "fromName": "News"
    })
}

/// A draft drip, and its segment.
pub(crate) async fn draft(caller: &Caller) -> (String, String) {
    let segment = segment(caller).await;
    let made = caller.post("/api/campaigns", body(&segment)).await;
    made.assert_status(201);
    (made.id(), segment)
}

/// One e-mail as a step.
pub(crate) fn email(subject: &str) -> Value {
    json!({ "stepType": "email", "subjectLine": subject, "emailContent": format!("<p>{subject}</p>") })
}

async fn put_steps(caller: &Caller, id: &str, steps: Value) -> Answer {
    caller.put(&format!("/api/campaigns/{id}/steps"), json!({ "steps": steps })).await
}

#[tokio::test]
async fn a_campaign_is_made_as_a_draft_of_the_caller_with_every_field_documented() {
    let app = TestApp::start().await;
    let segment = segment(&app).await;
    let made = app.post("/api/campaigns", body(&segment)).await;
    made.assert_status(201);
    let id = made.id();
    assert_eq!(made.header("location"), format!("/api/campaigns/{id}"));
    assert_eq!(made.header("etag"), "\"1\"");
    for field in ["tenantId", "workspaceId", "createdBy", "createdAt", "updatedAt"] {
        assert!(made.json[field].is_string(), "{field}");
    }
    let mut rest = made.json.clone();
    let rest = rest.as_object_mut().expect("an object");
    for field in ["id", "tenantId", "workspaceId", "createdBy", "createdAt", "updatedAt"] {
        rest.remove(field);
    }
    assert_eq!(
        Value::Object(rest.clone()),
        json!({
            "name": "Spring", "description": null, "campaignType": "drip", "status": "draft", "segmentId": segment,
            "fromEmail": "news@example.test", "fromName": "News", "replyToEmail": null,
            "schedule": {
                "startAt": null, "endAt": null, "timezone": "UTC", "sendStrategy": "immediate", "window": null,
                "blackoutDates": []
            },
            "settings": {
                "trackOpens": false, "trackClicks": false, "unsubscribeEnabled": true, "postalAddress": null,
                "dailyLimit": null, "hourlyLimit": null, "stopOnReply": false, "onInDoubt": "hold", "guardRails": null
            },
            "totalContacts": 0, "version": 1, "scheduledAt": null, "launchedAt": null, "completedAt": null,
            "enrollment": { "state": "none", "enrolled": 0, "total": 0 }, "lastProblem": null
        })
    );
    let seen = app.get(made.header("location")).await;
    seen.assert_status(200);
    assert_eq!(seen.header("etag"), "\"1\"");
    assert_eq!(seen.json["campaign"]["id"], made.json["id"]);
    assert_eq!(seen.json["campaign"]["inFlight"], 0);
    assert_eq!((&seen.json["steps"], &seen.json["analytics"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn what_acts_is_accepted_and_read_back() {
    let app = TestApp::start().await;
    let mut wanted = body(&segment(&app).await);
    wanted["description"] = json!("For\nall");
    wanted["replyToEmail"] = json!("reply@example.test");
    wanted["schedule"] = json!({
        "startAt": "2999-05-01T09:00:00+02:00", "timezone": "Europe/Berlin", "sendStrategy": "scheduled", "endAt": null,
        "window": { "days": ["fri", "mon"], "from": "09:00", "to": "17:30" }, "blackoutDates": ["2999-12-25"]
    });
    wanted["settings"] = json!({
        "trackOpens": true, "trackClicks": null, "stopOnReply": true, "postalAddress": null, "guardRails": {"maxBounceRate": 0.05},
        "unsubscribeEnabled": false, "dailyLimit": 100, "hourlyLimit": 10, "onInDoubt": "resend"
    });
    let made = app.post("/api/campaigns", wanted).await;
    made.assert_status(201);
    let schedule = &made.json["schedule"];
    assert_eq!(schedule["startAt"], "2999-05-01T07:00:00.000Z");
    assert_eq!(schedule["sendStrategy"], "scheduled");
    assert_eq!(schedule["window"], json!({ "days": ["mon", "fri"], "from": "09:00", "to": "17:30" }));
    assert_eq!(schedule["blackoutDates"], json!(["2999-12-25"]));
    let settings = &made.json["settings"];
    assert_eq!((&settings["trackOpens"], &settings["trackClicks"]), (&json!(true), &json!(false)));
    assert_eq!(settings["unsubscribeEnabled"], false);
    assert_eq!((&settings["dailyLimit"], &settings["onInDoubt"]), (&json!(100), &json!("resend")));
    let rails = json!({ "maxBounceRate": 0.05, "maxComplaintRate": null, "minSample": 100 });
    assert_eq!((&settings["stopOnReply"], &settings["guardRails"]), (&json!(true), &rails));
    assert_eq!(made.json["status"], "draft", "a start alone schedules nothing");
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = TestApp::start().await;
    let answer = app
        .post(
            "/api/campaigns",
            json!({
                "name": "", "description": "x".repeat(2001), "campaignType": "spam", "segmentId": "no",
                "fromEmail": "nobody", "fromName": "A\r\nBcc: all", "replyToEmail": "a@b@c", "color": "red",
                "schedule": {
                    "startAt": "tomorrow", "endAt": "2030-01-01T00:00:00Z", "timezone": "Mars/Olympus",
                    "sendStrategy": "recipient_local", "window": { "days": ["noday"], "from": "9", "to": "25:00" },
                    "blackoutDates": ["2026-02-30"]
                },
                "settings": {
                    "trackOpens": "always", "postalAddress": " ", "dailyLimit": 0, "hourlyLimit": "many",
                    "onInDoubt": "guess", "guardRails": {}, "unsubscribeEnabled": "yes"
                }
            }),
        )
        .await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(
        answer.fields(),
        [
            "/campaignType unknown_value",
            "/color unknown_field",
            "/description too_long",
            "/fromEmail invalid_email",
            "/fromName invalid_characters",
            "/name required",
            "/replyToEmail invalid_email",
            "/schedule/blackoutDates/0 invalid_date",
            "/schedule/endAt not_supported",
            "/schedule/sendStrategy not_supported",
            "/schedule/startAt invalid_instant",
            "/schedule/timezone unknown_timezone",
            "/schedule/window/days/0 unknown_value",
            "/schedule/window/from invalid_time",
            "/schedule/window/to invalid_time",
            "/segmentId invalid_id",
            "/settings/dailyLimit out_of_range",
            "/settings/guardRails/maxBounceRate required",
            "/settings/hourlyLimit wrong_type",
            "/settings/onInDoubt unknown_value",
            "/settings/postalAddress required",
            "/settings/trackOpens wrong_type",
            "/settings/unsubscribeEnabled wrong_type",
        ]
    );
    let answer = app.post("/api/campaigns", json!({})).await;
    let required = ["campaignType", "fromEmail", "fromName", "name", "segmentId"];
    assert_eq!(answer.fields(), required.map(|name| format!("/{name} required")));
    app.assert_sql("NOT EXISTS (SELECT FROM campaigns)").await;
}

#[tokio::test]
async fn an_audience_of_somebody_else_is_unknown_and_a_past_start_is_refused() {
    let app = TestApp::start().await;
    for theirs in [segment(&app.other_tenant().await).await, segment(&app.other_workspace().await).await] {
        let mut wanted = body(&theirs);
        wanted["schedule"] = json!({ "startAt": "2020-01-01T00:00:00Z" });
        let answer = app.post("/api/campaigns", wanted).await;
        answer.assert_problem(422, "validation_failed");
        assert_eq!(answer.fields(), ["/schedule/startAt in_the_past", "/segmentId unknown_segment"]);
    }
}

#[tokio::test]
async fn nobody_else_sees_or_touches_a_campaign() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    put_steps(&app, &id, json!([email("One")])).await.assert_status(200);
    let steps = app.get(&format!("/api/campaigns/{id}/steps")).await;
    let step = steps.json["data"][0]["id"].as_str().expect("an id").to_owned();
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        let at = format!("/api/campaigns/{id}");
        stranger.get(&at).await.assert_problem(404, "not_found");
        stranger.patch(&at, json!({ "name": "Mine" })).await.assert_problem(404, "not_found");
        stranger.delete(&at).await.assert_problem(404, "not_found");
        stranger.get(&format!("{at}/steps")).await.assert_problem(404, "not_found");
        put_steps(&stranger, &id, json!([])).await.assert_problem(404, "not_found");
        stranger.post(&format!("{at}/steps"), email("Two")).await.assert_problem(404, "not_found");
        stranger.patch(&format!("{at}/steps/{step}"), json!({ "name": "x" })).await.assert_problem(404, "not_found");
        stranger.delete(&format!("{at}/steps/{step}")).await.assert_problem(404, "not_found");
        for action in ["schedule", "unschedule", "clone", "preview"] {
            stranger.post_empty(&format!("{at}/{action}")).await.assert_problem(404, "not_found");
        }
        let to = json!({ "emails": ["me@example.test"] });
        stranger.post(&format!("{at}/test"), to).await.assert_problem(404, "not_found");
        assert_eq!(stranger.get("/api/campaigns").await.json["data"], json!([]));
    }
    assert_eq!(app.get(&format!("/api/campaigns/{id}")).await.json["campaign"]["version"], 2);
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_mention_and_clears_what_is_null() {
    let app = TestApp::start().await;
    let mut wanted = body(&segment(&app).await);
    wanted["description"] = json!("about");
    wanted["settings"] = json!({ "dailyLimit": 5, "hourlyLimit": 1 });
    wanted["schedule"] = json!({ "timezone": "Asia/Tokyo", "blackoutDates": ["2999-01-01"] });
    let made = app.post("/api/campaigns", wanted).await;
    let at = format!("/api/campaigns/{}", made.id());
    let change = json!({
        "name": "Autumn", "description": null, "settings": { "dailyLimit": null },
        "schedule": { "blackoutDates": null }
    });
    let changed = app.patch(&at, change).await;
    changed.assert_status(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    assert_eq!((&changed.json["name"], &changed.json["description"]), (&json!("Autumn"), &Value::Null));
    assert_eq!(changed.json["fromName"], "News");
    assert_eq!(changed.json["settings"]["dailyLimit"], Value::Null);
    assert_eq!(changed.json["settings"]["hourlyLimit"], 1);
    assert_eq!(changed.json["schedule"]["timezone"], "Asia/Tokyo");
    assert_eq!(changed.json["schedule"]["blackoutDates"], json!([]));
    let refused = app.patch(&at, json!({ "name": null, "segmentId": null, "campaignType": "broadcast" })).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/campaignType unknown_field"]);
    let refused = app.patch(&at, json!({ "name": null, "segmentId": null })).await;
    assert_eq!(refused.fields(), ["/name required", "/segmentId required"]);
}

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let at = format!("/api/campaigns/{id}");
    let with = |method: Method, path: &str, tag: &str| app.request(method, path).header("If-Match", tag.to_owned());
    let named = json!({ "name": "New" });
    app.send(with(Method::PATCH, &at, "\"1\"").json(&named)).await.assert_status(200);
    app.send(with(Method::PATCH, &at, "\"1\"").json(&named)).await.assert_problem(412, "version_mismatch");
    app.send(with(Method::DELETE, &at, "\"1\"")).await.assert_problem(412, "version_mismatch");
    let steps = format!("{at}/steps");
    let none = json!({ "steps": [] });
    app.send(with(Method::PUT, &steps, "\"1\"").json(&none)).await.assert_problem(412, "version_mismatch");
    let put = app.send(with(Method::PUT, &steps, "\"2\"").json(&none)).await;
    put.assert_status(200);
    assert_eq!(put.header("etag"), "\"3\"");
    app.send(with(Method::DELETE, &at, "2")).await.assert_problem(412, "version_mismatch");
    app.send(with(Method::DELETE, &at, "3")).await.assert_status(204);
    app.get(&at).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_campaign_is_scheduled_moved_and_taken_back() {
    let app = TestApp::start().await;
    let (id, segment) = draft(&app).await;
    let at = format!("/api/campaigns/{id}");
    let start = json!({ "startAt": "2999-01-01T00:00:00Z" });
    let refused = app.post(&format!("{at}/schedule"), start.clone()).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields(), ["/steps no_steps"], "the start would fail when nobody looks");
    put_steps(&app, &id, json!([email("One")])).await.assert_status(200);
    let refused = app.post_empty(&format!("{at}/schedule")).await;
    assert_eq!(refused.fields(), ["/startAt required"]);
    let refused = app.post(&format!("{at}/schedule"), json!({ "startAt": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(refused.fields(), ["/startAt in_the_past"]);

    let scheduled = app.post(&format!("{at}/schedule"), start.clone()).await;
    scheduled.assert_status(200);
    assert_eq!(scheduled.json["status"], "scheduled");
    assert_eq!(scheduled.json["scheduledAt"], "2999-01-01T00:00:00.000Z");
    assert_eq!(scheduled.json["schedule"]["startAt"], scheduled.json["scheduledAt"]);
    let again = app.post(&format!("{at}/schedule"), start).await;
    again.assert_problem(409, "invalid_transition");
    assert_eq!((&again.json["from"], &again.json["action"]), (&json!("scheduled"), &json!("schedule")));
    assert_eq!(again.json["allowed"], json!(["unschedule", "launch", "change_audience", "edit"]));
    app.delete(&at).await.assert_problem(409, "invalid_transition");

    let moved =
        app.patch(&at, json!({ "schedule": { "startAt": "2999-02-01T00:00:00Z" }, "segmentId": segment })).await;
    moved.assert_status(200);
    assert_eq!(moved.json["scheduledAt"], "2999-02-01T00:00:00.000Z");
    let refused = app.patch(&at, json!({ "schedule": { "startAt": null } })).await;
    assert_eq!(refused.fields(), ["/schedule/startAt required"]);
    let refused = put_steps(&app, &id, json!([])).await;
    assert_eq!(refused.fields(), ["/steps no_steps"]);

    let draft = app.post_empty(&format!("{at}/unschedule")).await;
    draft.assert_status(200);
    assert_eq!((&draft.json["status"], &draft.json["scheduledAt"]), (&json!("draft"), &Value::Null));
    assert_eq!(draft.json["schedule"]["startAt"], Value::Null);
    app.post_empty(&format!("{at}/unschedule")).await.assert_problem(409, "invalid_transition");
}

#[tokio::test]
async fn a_start_in_the_schedule_is_enough_for_scheduling() {
    let app = TestApp::start().await;
    let mut wanted = body(&segment(&app).await);
    wanted["schedule"] = json!({ "startAt": "2999-01-01T00:00:00Z" });
    let id = app.post("/api/campaigns", wanted).await.id();
    put_steps(&app, &id, json!([email("One")])).await.assert_status(200);
    let scheduled = app.post_empty(&format!("/api/campaigns/{id}/schedule")).await;
    assert_eq!(scheduled.json["scheduledAt"], "2999-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn each_status_allows_what_the_lifecycle_says() {
    let app = TestApp::start().await;
    let (id, segment) = draft(&app).await;
    let at = format!("/api/campaigns/{id}");
    put_steps(&app, &id, json!([email("One")])).await.assert_status(200);
    for (status, instants) in [
        ("active", "launched_at = now()"),
        ("paused", "launched_at = now(), paused_at = now()"),
        ("completed", "launched_at = now(), completed_at = now(), paused_at = NULL"),
    ] {
        let sql = format!("UPDATE campaigns SET status = '{status}', enrollment_state = 'done', {instants}");
        app.database.run_sql(&sql).await;
        let editable = status != "completed";
        let renamed = app.patch(&at, json!({ "name": status })).await;
        renamed.assert_status(if editable { 200 } else { 409 });
        put_steps(&app, &id, json!([email("Other")])).await.assert_status(if editable { 200 } else { 409 });
        let audience = app.patch(&at, json!({ "segmentId": segment })).await;
        audience.assert_problem(409, "invalid_transition");
        let asked = if editable { "change_audience" } else { "edit" };
        assert_eq!((&audience.json["from"], &audience.json["action"]), (&json!(status), &json!(asked)));
        app.delete(&at).await.assert_problem(409, "invalid_transition");
        app.post_empty(&format!("{at}/schedule")).await.assert_problem(409, "invalid_transition");
        if editable {
            put_steps(&app, &id, json!([])).await.assert_problem(422, "validation_failed");
            let moved = app.patch(&at, json!({ "schedule": { "startAt": "2999-01-01T00:00:00Z" } })).await;
            assert_eq!(moved.fields(), ["/schedule/startAt already_started"]);
        }
        app.post_empty(&format!("{at}/clone")).await.assert_status(201);
    }
    let seen = app.get(&at).await;
    assert!(seen.json["analytics"]["deliveryRate"].is_number(), "launched: {}", seen.text);
}

#[tokio::test]
async fn a_copy_has_its_own_steps_that_lead_to_each_other() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let at = format!("/api/campaigns/{id}");
    let steps = json!([
        email("Hello"),
        { "stepType": "wait", "waitDuration": { "value": 2, "unit": "days" }, "key": "wait" },
        { "stepType": "condition", "conditionRules": { "field": "tags", "op": "contains", "value": "vip" },
          "trueNextStepId": "vip", "falseNextStepId": "end" },
        { "stepType": "action", "key": "vip", "action": { "type": "add_tag", "tag": "Seen" }, "nextStepId": "wait" }
    ]);
    put_steps(&app, &id, steps).await.assert_status(200);
    let schedule = json!({ "schedule": { "startAt": "2999-01-01T00:00:00Z", "timezone": "Asia/Tokyo" } });
    app.patch(&at, schedule).await.assert_status(200);
    app.database
        .run_sql("UPDATE campaigns SET status = 'completed', enrollment_state = 'done', launched_at = now(), completed_at = now()")
        .await;

    let copy = app.post_empty(&format!("{at}/clone")).await;
    copy.assert_status(201);
    assert_eq!(copy.header("location"), format!("/api/campaigns/{}", copy.id()));
    assert_eq!((&copy.json["name"], &copy.json["status"]), (&json!("Spring (Copy)"), &json!("draft")));
    assert_eq!((&copy.json["version"], &copy.json["totalContacts"]), (&json!(1), &json!(0)));
    assert_eq!(copy.json["schedule"]["startAt"], Value::Null);
    assert_eq!(copy.json["schedule"]["timezone"], "Asia/Tokyo");
    let theirs = app.get(&format!("{}/steps", copy.header("location"))).await.json["data"].clone();
    let ours = app.get(&format!("{at}/steps")).await.json["data"].clone();
    let ids = |steps: &Value| -> Vec<Value> {
        steps.as_array().expect("steps").iter().map(|step| step["id"].clone()).collect()
    };
    assert_eq!(ids(&theirs).len(), 4);
    assert!(ids(&theirs).iter().all(|id| !ids(&ours).contains(id)), "no step is shared");
    assert_eq!(theirs[2]["trueNextStepId"], theirs[3]["id"]);
    assert_eq!(theirs[2]["falseNextStepId"], "end");
    assert_eq!(theirs[3]["nextStepId"], theirs[1]["id"]);
    assert_eq!((&theirs[0]["nextStepId"], &theirs[3]["action"]["tag"]), (&Value::Null, &json!("seen")));
    assert_eq!(theirs[0]["campaignId"], copy.json["id"]);
    // The copy's steps can be worked on like any others.
    let again = app.put(&format!("{}/steps", copy.header("location")), json!({ "steps": theirs })).await;
    again.assert_status(200);
    assert_eq!(ids(&again.json["data"]), ids(&theirs));

    let named = app.post(&format!("{at}/clone"), json!({ "name": "Other" })).await;
    assert_eq!(named.json["name"], "Other");
    let refused = app.post(&format!("{at}/clone"), json!({ "name": "x".repeat(201) })).await;
    assert_eq!(refused.fields(), ["/name too_long"]);
}

#[tokio::test]
async fn lists_go_page_by_page_filtered_and_sorted() {
    let app = TestApp::start().await;
    let segment = segment(&app).await;
    for (name, kind) in [("Bravo", "drip"), ("alpha", "broadcast"), ("Charlie", "drip"), ("100% off", "drip")] {
        let mut wanted = body(&segment);
        (wanted["name"], wanted["campaignType"]) = (json!(name), json!(kind));
        app.post("/api/campaigns", wanted).await.assert_status(201);
    }
    let names = async |query: &str| -> Vec<String> {
        let mut names = Vec::new();
        let mut next = format!("/api/campaigns?{query}");
        loop {
            let page = app.get(&next).await;
            page.assert_status(200);
            for row in page.json["data"].as_array().expect("rows") {
                names.push(row["name"].as_str().expect("a name").to_owned());
                assert_eq!(row["totals"]["emailsSent"], 0);
                assert_eq!(row["totals"]["emailsDelivered"], 0);
                assert_eq!(row["totals"]["totalContacts"], 0);
            }
            let Some(cursor) = page.json["pagination"]["nextCursor"].as_str() else { return names };
            next = format!("/api/campaigns?{query}&cursor={cursor}");
        }
    };
    assert_eq!(names("").await, ["100% off", "Charlie", "alpha", "Bravo"], "the newest first");
    assert_eq!(names("sort=createdAt&limit=1").await, ["Bravo", "alpha", "Charlie", "100% off"]);
    assert_eq!(names("sort=name&limit=1").await, ["100% off", "alpha", "Bravo", "Charlie"]);
    assert_eq!(names("sort=-name&limit=3").await, ["Charlie", "Bravo", "alpha", "100% off"]);
    assert_eq!(names("campaignType=broadcast").await, ["alpha"]);
    assert_eq!(names("q=CHAR").await, ["Charlie"]);
    assert_eq!(names("q=0%25").await, ["100% off"]);
    assert_eq!(names("q=%25").await, ["100% off"], "a percent sign means itself");
    assert_eq!(names("status=active").await, [""; 0]);
    let refused = app.get("/api/campaigns?status=gone&sort=size&campaignType=x&limit=0&color=red").await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.fields().len(), 5, "{:?}", refused.fields());
    let first = app.get("/api/campaigns?sort=name&limit=1").await;
    let cursor = first.json["pagination"]["nextCursor"].as_str().expect("a cursor");
    let other = app.get(&format!("/api/campaigns?sort=createdAt&cursor={cursor}")).await;
    assert_eq!(other.fields(), ["/cursor invalid_cursor"], "a place in one order means nothing in another");
}

#[tokio::test]
async fn a_preview_fills_in_what_is_known() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let at = format!("/api/campaigns/{id}/preview");
    assert_eq!(app.post_empty(&at).await.fields(), ["/stepId no_email_step"]);
    let steps = json!([
        { "stepType": "wait", "waitDuration": { "value": 1, "unit": "hours" } },
        { "stepType": "email", "subjectLine": "Hi {{ firstName | default('friend') }}",
          "emailContent": "<p>{{ company }} {{ customFields.plan }} {{ leadScore }}</p>", "textContent": "{{ company }}" },
        email("Second")
    ]);
    let put = put_steps(&app, &id, steps).await;
    put.assert_status(200);
    let nobody = app.post_empty(&at).await;
    nobody.assert_status(200);
    assert_eq!(nobody.json["subject"], "Hi friend");
    let given = json!({ "contact": { "firstName": "Ada", "company": "A & B", "customFields": { "plan": "gold" }, "leadScore": 3 } });
    let given = app.post(&at, given).await;
    assert_eq!(given.json, json!({ "subject": "Hi Ada", "html": "<p>A &amp; B gold 3</p>", "text": "A & B" }));
    let contact = app.post("/api/contacts", json!({ "email": "bob@example.test", "firstName": "Bob" })).await;
    contact.assert_status(201);
    let known = app.post(&at, json!({ "contactId": contact.id(), "stepId": put.json["data"][1]["id"] })).await;
    assert_eq!(known.json["subject"], "Hi Bob");
    let second = app.post(&at, json!({ "stepId": put.json["data"][2]["id"] })).await;
    assert_eq!((&second.json["subject"], &second.json["text"]), (&json!("Second"), &Value::Null));

    let stranger = "01890000-0000-7000-8000-000000000000";
    let refused = app.post(&at, json!({ "stepId": stranger, "contactId": stranger })).await;
    assert_eq!(refused.fields(), ["/contactId unknown_contact", "/stepId unknown_step"]);
    let refused = app.post(&at, json!({ "stepId": put.json["data"][0]["id"] })).await;
    assert_eq!(refused.fields(), ["/stepId no_email_step"]);
    let refused = app.post(&at, json!({ "contactId": stranger, "contact": {} })).await;
    assert_eq!(refused.fields(), ["/contact not_applicable"]);
    let refused = app.post(&at, json!({ "contact": { "email": "nobody", "tags": 3, "shoe": 1 } })).await;
    assert_eq!(
        refused.fields(),
        ["/contact/email invalid_email", "/contact/shoe unknown_field", "/contact/tags wrong_type"]
    );
}

#[tokio::test]
async fn a_test_is_sent_to_a_few_addresses_and_to_nobody_suppressed() {
    let app = TestApp::start().await;
    let (id, _) = draft(&app).await;
    let at = format!("/api/campaigns/{id}/test");
    put_steps(&app, &id, json!([email("Hello {{ email }}")])).await.assert_status(200);
    app.post("/api/suppressions", json!({ "email": "no@example.test" })).await.assert_status(201);
    let to = json!({ "emails": ["a@example.test", "NO@example.test", "b@example.test"] });
    let sent = app.post_keyed(&at, "test-1", to.clone()).await;
    sent.assert_status(200);
    assert_eq!(sent.json["sent"], json!([0, 2]));
    assert_eq!(sent.json["failed"][0]["index"], 1);
    let messages = app.sink.messages();
    assert_eq!(
        messages.iter().map(|message| message.to.as_str()).collect::<Vec<_>>(),
        ["a@example.test", "b@example.test"]
    );
    assert_eq!(messages[0].header("Subject").as_deref(), Some("[Test] Hello a@example.test"));

    let again = app.post_keyed(&at, "test-1", to).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json, sent.json);
    assert_eq!(app.sink.messages().len(), 2, "a repeated request sends nothing");
    app.assert_sql("NOT EXISTS (SELECT FROM enrollments) AND NOT EXISTS (SELECT FROM messages)").await;

    let many: Vec<_> = (0..6).map(|n| format!("a{n}@example.test")).collect();
    assert_eq!(app.post(&at, json!({ "emails": many })).await.fields(), ["/emails too_many_items"]);
    let refused = app.post(&at, json!({ "emails": ["nobody", "a@example.test"] })).await;
    assert_eq!(refused.fields(), ["/emails/0 invalid_email"]);
    assert_eq!(app.post(&at, json!({})).await.fields(), ["/emails required"]);
}

#[tokio::test]
async fn making_and_copying_happen_once_for_each_key() {
    let app = TestApp::start().await;
    let segment = segment(&app).await;
    let first = app.post_keyed("/api/campaigns", "k1", body(&segment)).await;
    let again = app.post_keyed("/api/campaigns", "k1", body(&segment)).await;
    assert_eq!((again.status, &again.json), (201, &first.json));
    let at = format!("/api/campaigns/{}/clone", first.id());
    let copy = app.post_keyed(&at, "k2", json!({})).await;
    assert_eq!(app.post_keyed(&at, "k2", json!({})).await.json, copy.json);
    app.assert_sql("(SELECT count(*) FROM campaigns) = 2").await;
}

#[tokio::test]
async fn each_address_wants_its_scope() {
    let app = TestApp::start().await;
    let (id, segment) = draft(&app).await;
    let at = format!("/api/campaigns/{id}");
    let reader = app.key_with_scopes(&["campaigns:read"]).await;
    reader.get(&at).await.assert_status(200);
    reader.get("/api/campaigns").await.assert_status(200);
    reader.post("/api/campaigns", body(&segment)).await.assert_problem(403, "forbidden");
    reader.patch(&at, json!({ "name": "x" })).await.assert_problem(403, "forbidden");
    reader.delete(&at).await.assert_problem(403, "forbidden");
    reader.post_empty(&format!("{at}/clone")).await.assert_problem(403, "forbidden");
    let writer = app.key_with_scopes(&["campaigns:write"]).await;
    writer.post_empty(&format!("{at}/schedule")).await.assert_problem(403, "forbidden");
    writer.get(&at).await.assert_problem(403, "forbidden");
}
