//! Launching, pausing, resuming, completing: what callers see. What workers do with it is tested beside them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::app::{Caller, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

/// A list of `contacts` people and a campaign that sends them one mail, wait, and another.
async fn drip(app: &Caller, contacts: usize) -> String {
    let segment = app.post("/api/segments", json!({"name": "All", "kind": "static"})).await;
    assert_eq!(segment.status, 201, "{}", segment.text);
    let segment_id = segment.json["id"].as_str().unwrap().to_owned();
    let lines: Vec<String> = (0..contacts).map(|n| format!("person{n}@example.org,P{n}")).collect();
    let import = app
        .request(Method::POST, &format!("/api/contacts/import?segmentId={segment_id}"))
        .header("Content-Type", "text/csv")
        .body(format!("email,firstName\n{}", lines.join("\n")));
    let imported = app.send(import).await;
    assert_eq!(imported.json["created"], contacts, "{}", imported.text);
    let campaign = app.post("/api/campaigns", body(&segment_id)).await;
    assert_eq!(campaign.status, 201, "{}", campaign.text);
    let id = campaign.json["id"].as_str().unwrap().to_owned();
    let put = app.put(&format!("/api/campaigns/{id}/steps"), steps()).await;
    assert_eq!(put.status, 200, "{}", put.text);
    id
}

fn body(segment_id: &str) -> Value {
    json!({"name": "Welcome", "campaignType": "drip", "segmentId": segment_id, "fromEmail": "news@example.org", "fromName": "News"})
}

fn steps() -> Value {
    json!({"steps": [
        {"name": "Hello", "stepType": "email", "subjectLine": "Hello {{ firstName }}", "emailContent": "<p>Hello</p>"},
        {"name": "Wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}},
        {"name": "Again", "stepType": "email", "subjectLine": "Again", "emailContent": "<p>Again</p>"}
    ]})
}

async fn status(app: &Caller, id: &str) -> String {
    app.get(&format!("/api/campaigns/{id}")).await.json["campaign"]["status"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_campaign_goes_through_its_life() {
    let app = TestApp::start().await;
    let id = drip(&app, 3).await;
    let launched = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    assert_eq!(
        (launched.status, &launched.json["success"], &launched.json["enrolled"]),
        (200, &json!(true), &json!(3)),
        "{}",
        launched.text
    );
    assert_eq!(launched.json["campaign"]["status"], "active");
    assert_eq!(launched.json["campaign"]["totalContacts"], 3);
    assert_eq!(launched.json["campaign"]["enrollment"], json!({"state": "done", "enrolled": 3, "total": 3}));

    let paused = app.post_empty(&format!("/api/campaigns/{id}/pause")).await;
    assert_eq!((paused.status, &paused.json["inFlight"]), (200, &json!(0)), "{}", paused.text);
    let enrollments = app.get(&format!("/api/campaigns/{id}/enrollments?status=paused")).await;
    assert_eq!(enrollments.json["data"].as_array().unwrap().len(), 3, "{}", enrollments.text);

    let resumed = app.post_empty(&format!("/api/campaigns/{id}/resume")).await;
    assert_eq!((resumed.status, &resumed.json["campaign"]["status"]), (200, &json!("active")));
    let enrollments = app.get(&format!("/api/campaigns/{id}/enrollments?status=enrolled")).await;
    assert_eq!(enrollments.json["data"].as_array().unwrap().len(), 3, "{}", enrollments.text);

    let completed = app.post_empty(&format!("/api/campaigns/{id}/complete")).await;
    assert_eq!(
        (completed.status, &completed.json["campaign"]["status"]),
        (200, &json!("completed")),
        "{}",
        completed.text
    );
    let exited = app.get(&format!("/api/campaigns/{id}/enrollments")).await;
    for row in exited.json["data"].as_array().unwrap() {
        assert_eq!((&row["status"], &row["exitReason"]), (&json!("exited"), &json!("campaign_ended")));
    }
    let balance = app.get(&format!("/api/campaigns/{id}/balance")).await;
    assert_eq!(balance.json["balanced"], true, "{}", balance.text);
    assert_eq!((&balance.json["audience"], &balance.json["exited"]), (&json!(3), &json!(3)));
    for action in ["launch", "pause", "resume", "complete"] {
        let refused = app.post_empty(&format!("/api/campaigns/{id}/{action}")).await;
        refused.assert_problem(409, "invalid_transition");
        assert_eq!((&refused.json["from"], &refused.json["allowed"]), (&json!("completed"), &json!([])));
    }
}

#[actix_web::test]
async fn what_the_status_forbids_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let id = drip(&app, 1).await;
    for action in ["pause", "resume", "complete"] {
        let refused = app.post_empty(&format!("/api/campaigns/{id}/{action}")).await;
        refused.assert_problem(409, "invalid_transition");
        assert_eq!((&refused.json["from"], &refused.json["action"]), (&json!("draft"), &json!(action)));
    }
    assert_eq!(status(&app, &id).await, "draft");
    assert_eq!(app.post_empty(&format!("/api/campaigns/{id}/launch")).await.status, 200);
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await.assert_problem(409, "invalid_transition");
    assert_eq!(app.get(&format!("/api/campaigns/{id}/balance")).await.json["audience"], 1);
}

#[actix_web::test]
async fn a_campaign_that_is_not_ready_is_not_launched() {
    let app = TestApp::start().await;
    let segment = app.post("/api/segments", json!({"name": "Empty", "kind": "static"})).await;
    let campaign = app.post("/api/campaigns", body(segment.json["id"].as_str().unwrap())).await;
    let id = campaign.json["id"].as_str().unwrap().to_owned();
    let refused = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.json["errors"][0]["code"], "no_steps");
    app.put(&format!("/api/campaigns/{id}/steps"), steps()).await;
    let refused = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(
        (&refused.json["errors"][0]["pointer"], &refused.json["errors"][0]["code"]),
        (&json!("/segmentId"), &json!("empty_audience"))
    );
    assert_eq!(status(&app, &id).await, "draft");
    let missing = uuid::Uuid::now_v7();
    app.post_empty(&format!("/api/campaigns/{missing}/launch")).await.assert_problem(404, "not_found");
}

#[actix_web::test]
async fn a_repeated_action_with_its_key_answers_as_the_first_did() {
    let app = TestApp::start().await;
    let id = drip(&app, 2).await;
    let launch = format!("/api/campaigns/{id}/launch");
    let first = app.post_keyed(&launch, "launch-1", json!({})).await;
    let again = app.post_keyed(&launch, "launch-1", json!({})).await;
    assert_eq!((first.status, first.json.clone()), (again.status, again.json), "the same answer");
    assert_eq!(again.headers["Idempotency-Replayed"], "true");
    let pause = format!("/api/campaigns/{id}/pause");
    let first = app.post_keyed(&pause, "pause-1", json!({})).await;
    let again = app.post_keyed(&pause, "pause-1", json!({})).await;
    assert_eq!((first.status, again.status, first.json), (200, 200, again.json));
    app.post_keyed(&pause, "pause-2", json!({})).await.assert_problem(409, "invalid_transition");
}

#[actix_web::test]
async fn a_repeated_pause_waits_for_begins_as_the_first_does() {
    let app = TestApp::start().await;
    let id = drip(&app, 2).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    // What a begin holds while it waits for the mail server.
    let begin = app.database.hold("SELECT pg_advisory_xact_lock_shared(2, campaign_no) FROM campaigns").await;
    let pause = || {
        let (caller, path) = (app.with_token(app.token.clone()), format!("/api/campaigns/{id}/pause"));
        tokio::spawn(async move { caller.post_keyed(&path, "pause-1", json!({})).await.status })
    };
    let waiting = |sessions: usize| app.database.until_locks_are_awaited(sessions);
    let first = pause();
    waiting(1).await;
    let second = pause();
    tokio::select! {
        () = waiting(2) => {}
        () = async { while !second.is_finished() { tokio::task::yield_now().await } } => {
            panic!("it was answered while a begin was open")
        }
    }
    begin.release().await;
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200, 202));
}

#[actix_web::test]
async fn a_delivery_that_hangs_makes_a_pause_say_so() {
    let app = TestApp::start().await;
    let id = drip(&app, 2).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    app.database
        .run_sql(
            "INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, due_at, lease_until, queued_at, version, next_step) \
             SELECT tenant_no, campaign_no, contact_no, 1, 1, 's', 1, 1, now(), now() + interval '30 seconds', now(), 1, 2 FROM enrollments LIMIT 1",
        )
        .await;
    let paused = app.post_empty(&format!("/api/campaigns/{id}/pause")).await;
    assert_eq!((paused.status, &paused.json["inFlight"]), (202, &json!(1)), "{}", paused.text);
    let seen = app.get(&format!("/api/campaigns/{id}")).await;
    assert_eq!((&seen.json["campaign"]["status"], &seen.json["campaign"]["inFlight"]), (&json!("paused"), &json!(1)));
}

#[actix_web::test]
async fn one_contact_can_be_looked_at_and_taken_out() {
    let app = TestApp::start().await;
    let id = drip(&app, 2).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    let listed = app.get(&format!("/api/campaigns/{id}/enrollments?email=PERSON1@example.org")).await;
    assert_eq!(listed.json["data"].as_array().unwrap().len(), 1, "{}", listed.text);
    let contact = listed.json["data"][0]["contactId"].as_str().unwrap().to_owned();
    let way = app.get(&format!("/api/campaigns/{id}/enrollments/{contact}")).await;
    assert_eq!((way.status, &way.json["events"][0]["type"]), (200, &json!("enrolled")), "{}", way.text);

    let exit = format!("/api/campaigns/{id}/enrollments/{contact}/exit");
    let exited = app.post_empty(&exit).await;
    assert_eq!(
        (exited.status, &exited.json["status"], &exited.json["exitReason"]),
        (200, &json!("exited"), &json!("manual")),
        "{}",
        exited.text
    );
    app.post_empty(&exit).await.assert_problem(409, "conflict");
    let way = app.get(&format!("/api/campaigns/{id}/enrollments/{contact}")).await;
    assert_eq!(
        (&way.json["events"][1]["type"], &way.json["events"][1]["reason"]),
        (&json!("exited"), &json!("manual"))
    );
    let balance = app.get(&format!("/api/campaigns/{id}/balance")).await;
    assert_eq!(
        (&balance.json["balanced"], &balance.json["open"], &balance.json["exited"]),
        (&json!(true), &json!(1), &json!(1))
    );
}

#[actix_web::test]
async fn what_was_done_with_a_mail_is_part_of_the_way() {
    let app = TestApp::start().await;
    let id = drip(&app, 1).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    app.database
        .run_sql(
            "INSERT INTO links SELECT tenant_no, campaign_no, 1, 5, 'https://x.test/a' FROM campaigns; \
             INSERT INTO events SELECT tenant_no, campaign_no, contact_no, 1, 1, kind, gen_random_uuid(), link, \
                '2100-01-01T00:00:00Z'::timestamptz + seconds * interval '1 second', machine FROM enrollments, \
                (VALUES ('u'::\"char\", 0, 3, NULL::\"char\"), ('o', 0, 1, 'a'), ('c', 5, 2, NULL), ('c', 6, 4, NULL)) \
                AS e (kind, link, seconds, machine)",
        )
        .await;
    let listed = app.get(&format!("/api/campaigns/{id}/enrollments")).await;
    let contact = listed.json["data"][0]["contactId"].as_str().unwrap();
    let way = app.get(&format!("/api/campaigns/{id}/enrollments/{contact}")).await;
    let events = way.json["events"].as_array().unwrap();
    let told: Vec<_> = events[events.len() - 4..]
        .iter()
        .map(|e| json!([e["at"], e["type"], e["stepName"].is_string(), e["link"], e["machine"]]))
        .collect();
    let expected = [
        json!(["2100-01-01T00:00:01.000Z", "email_opened", true, null, "agent"]),
        json!(["2100-01-01T00:00:02.000Z", "email_clicked", true, "https://x.test/a", null]),
        json!(["2100-01-01T00:00:03.000Z", "email_unsubscribed", true, null, null]),
        json!(["2100-01-01T00:00:04.000Z", "email_clicked", true, null, null]),
    ];
    assert_eq!(told, expected, "{}", way.text);
}

#[actix_web::test]
async fn late_joiners_are_enrolled_once_and_only_into_a_running_campaign() {
    let app = TestApp::start().await;
    let id = drip(&app, 1).await;
    let late = app.post("/api/contacts", json!({"email": "late@example.org"})).await.json["id"].clone();
    let enroll = format!("/api/campaigns/{id}/enrollments");
    app.post(&enroll, json!({"contactIds": [late]})).await.assert_problem(409, "invalid_transition");
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    let joined = app.post(&enroll, json!({"contactIds": [late, late]})).await;
    assert_eq!(joined.json, json!({"enrolled": 1, "already": 0}));
    let again = app.post(&enroll, json!({"contactIds": [late]})).await;
    assert_eq!(again.json, json!({"enrolled": 0, "already": 1}));
    let stranger = uuid::Uuid::now_v7();
    let refused = app.post(&enroll, json!({"contactIds": [late, stranger]})).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(
        (&refused.json["errors"][0]["pointer"], &refused.json["errors"][0]["code"]),
        (&json!("/contactIds/1"), &json!("unknown_contact"))
    );
    assert_eq!(app.get(&format!("/api/campaigns/{id}/balance")).await.json["audience"], 2);
}

#[actix_web::test]
async fn a_triggered_campaign_enrolls_nobody_at_launch_and_its_segment_says_who_may_enter() {
    let app = TestApp::start().await;
    let rules = json!({"field": "city", "op": "eq", "value": "Bath"});
    let segment = app.post("/api/segments", json!({"name": "Bath", "kind": "dynamic", "rules": rules})).await;
    let mut triggered = body(segment.json["id"].as_str().unwrap());
    triggered["campaignType"] = json!("triggered");
    let campaign = app.post("/api/campaigns", triggered).await;
    let id = campaign.json["id"].as_str().unwrap().to_owned();
    app.put(&format!("/api/campaigns/{id}/steps"), steps()).await;
    let inside = app.post("/api/contacts", json!({"email": "in@example.org", "city": "bath"})).await.json["id"].clone();
    let outside =
        app.post("/api/contacts", json!({"email": "out@example.org", "city": "York"})).await.json["id"].clone();
    let launched = app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    assert_eq!((launched.status, &launched.json["enrolled"]), (200, &json!(0)), "{}", launched.text);
    let enroll = format!("/api/campaigns/{id}/enrollments");
    let refused = app.post(&enroll, json!({"contactIds": [outside]})).await;
    refused.assert_problem(422, "validation_failed");
    assert_eq!(refused.json["errors"][0]["code"], "not_in_segment");
    assert_eq!(app.post(&enroll, json!({"contactIds": [inside]})).await.json["enrolled"], 1);
}

#[actix_web::test]
async fn figures_add_up_over_days_and_steps_in_the_zone_that_is_asked_for() {
    let app = TestApp::start().await;
    let id = drip(&app, 1).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    app.database
        .run_sql(
            "INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent, bounced, unsubscribed) \
             SELECT tenant_no, campaign_no, s, q::timestamptz, n, 1, 0 FROM campaigns, (VALUES (1, '2026-03-28 22:45Z', 10), (1, '2026-03-28 23:00Z', 20), (3, '2026-03-29 21:45Z', 5)) AS v (s, q, n)",
        )
        .await;
    let analytics = |query: &str| format!("/api/campaigns/{id}/analytics?{query}");
    let utc = app.get(&analytics("startDate=2026-03-28&endDate=2026-03-29")).await;
    let sent = |json: &Value| {
        json.as_array().unwrap().iter().map(|row| row["emailsSent"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(sent(&utc.json["overall"]), [30, 5], "{}", utc.text);
    assert_eq!(sent(&utc.json["byStep"]), [30, 5]);
    assert_eq!((&utc.json["totals"]["emailsSent"], &utc.json["totals"]["emailsBounced"]), (&json!(35), &json!(3)));
    let berlin = app.get(&analytics("startDate=2026-03-28&endDate=2026-03-29&timezone=Europe/Berlin")).await;
    assert_eq!(
        sent(&berlin.json["overall"]),
        [10, 25],
        "midnight in Berlin is 23:00 of UTC on that night: {}",
        berlin.text
    );
    let range = analytics("startDate=2026-03-28&endDate=2026-03-29");
    let table = app.request(Method::GET, &range).header("Accept", "text/csv").send().await.unwrap();
    assert_eq!(table.headers()["content-type"], "text/csv; charset=utf-8");
    let expected = format!("attachment; filename=\"analytics-{id}-2026-03-28-2026-03-29.csv\"");
    assert_eq!(table.headers()["content-disposition"], expected.as_str());
    let text = table.text().await.unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..4], ["date", "emailsSent", "emailsDelivered", "emailsBounced"], "{text}");
    assert_eq!(
        (rows[1][..4].to_vec(), rows[2][..4].to_vec(), rows.len()),
        (vec!["2026-03-28", "30", "30", "2"], vec!["2026-03-29", "5", "5", "1"], 3)
    );
    for (grouping, wanted) in [
        ("step", vec!["1,Hello,30", "3,Again,5"]),
        ("dayStep", vec!["2026-03-28,1,Hello,10", "2026-03-29,1,Hello,20", "2026-03-29,3,Again,5"]),
    ] {
        let path = format!("{range}&timezone=Europe/Berlin&groupBy={grouping}");
        let table = app.request(Method::GET, &path).header("Accept", "text/csv").send().await.unwrap();
        let text = table.text().await.unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = lines.next().unwrap();
        let kept = |name: &str| ["date", "stepOrder", "name", "emailsSent"].contains(&name);
        let row = |cells: Vec<&str>| {
            names.iter().zip(cells).filter(|(name, _)| kept(name)).map(|(_, cell)| cell.to_owned()).collect::<Vec<_>>()
        };
        let rows: Vec<String> = lines.map(|cells| row(cells).join(",")).collect();
        assert_eq!(rows, wanted, "{text}");
    }
    for bad in [
        "startDate=2026-03-29&endDate=2026-03-28",
        "startDate=2026-03-29",
        "startDate=2026-02-30&endDate=2026-03-28",
        "startDate=2026-03-01&endDate=2026-03-02&timezone=Mars/Base",
    ] {
        app.get(&analytics(bad)).await.assert_problem(422, "validation_failed");
    }
}

#[actix_web::test]
async fn another_tenants_campaign_is_not_there() {
    let app = TestApp::start().await;
    let id = drip(&app, 1).await;
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await;
    let contact = app.get(&format!("/api/campaigns/{id}/enrollments")).await.json["data"][0]["contactId"]
        .as_str()
        .unwrap()
        .to_owned();
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        for action in ["launch", "pause", "resume", "complete"] {
            stranger.post_empty(&format!("/api/campaigns/{id}/{action}")).await.assert_problem(404, "not_found");
        }
        for path in ["", "/balance", "/enrollments", "/analytics?startDate=2026-01-01&endDate=2026-01-02"] {
            stranger.get(&format!("/api/campaigns/{id}{path}")).await.assert_problem(404, "not_found");
        }
        stranger.get(&format!("/api/campaigns/{id}/enrollments/{contact}")).await.assert_problem(404, "not_found");
        stranger
            .post_empty(&format!("/api/campaigns/{id}/enrollments/{contact}/exit"))
            .await
            .assert_problem(404, "not_found");
    }
    assert_eq!(status(&app, &id).await, "active");
}
