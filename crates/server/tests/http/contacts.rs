//! Contacts, one by one.

use crate::app::{Caller, TestApp};
use serde_json::{Value, json};

fn ada() -> Value {
    json!({
        "email": "Ada@Example.org", "firstName": " Ada ", "lastName": "Lovelace", "company": "Engines, Ltd",
        "jobTitle": null, "city": "London", "timezone": "Europe/London", "tags": ["Maths", " early "], "leadScore": 7,
        "customFields": {"plan": "gold", "seats": 3, "ratio": 0.5, "vip": true},
    })
}

async fn create(caller: &Caller, body: Value) -> Value {
    caller.post("/api/contacts", body).await.assert_status(201).json.clone()
}

fn path(contact: &Value) -> String {
    format!("/api/contacts/{}", contact["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn a_new_contact_is_found_where_its_location_says() {
    let app = TestApp::start().await;
    let made = app.post("/api/contacts", ada()).await;
    made.assert_status(201);
    let mut expected = json!({
        "email": "Ada@Example.org", "firstName": "Ada", "lastName": "Lovelace", "company": "Engines, Ltd",
        "jobTitle": null, "city": "London", "state": null, "country": null, "timezone": "Europe/London",
        "tags": ["early", "maths"], "leadScore": 7,
        "customFields": {"plan": "gold", "seats": 3, "ratio": 0.5, "vip": true},
    });
    for generated in ["id", "createdAt", "updatedAt"] {
        expected[generated] = made.json[generated].clone();
        assert!(made.json[generated].is_string(), "{made:?}");
    }
    assert_eq!(made.json, expected);
    assert_eq!(made.header("location"), path(&made.json));
    let found = app.get(made.header("location")).await;
    assert_eq!((found.status, &found.json), (200, &expected));
}

#[tokio::test]
async fn an_address_is_taken_once_in_a_workspace_unless_the_caller_upserts() {
    let app = TestApp::start().await;
    let made = create(&app, ada()).await;
    app.post("/api/contacts", json!({"email": "ADA@EXAMPLE.ORG"})).await.assert_problem(409, "conflict");
    app.post("/api/contacts?upsert=false", json!({"email": "ada@example.org"})).await.assert_problem(409, "conflict");
    let upserted = app
        .post(
            "/api/contacts?upsert=true",
            json!({"email": "ada@example.org", "city": "Bath", "customFields": {"plan": null}}),
        )
        .await;
    upserted.assert_status(200);
    assert_eq!(upserted.json["id"], made["id"]);
    assert_eq!(upserted.json["city"], "Bath");
    assert_eq!(upserted.json["firstName"], "Ada");
    assert_eq!(upserted.json["customFields"], json!({"seats": 3, "ratio": 0.5, "vip": true}));
    app.post("/api/contacts?upsert=true", json!({"email": "new@example.org"})).await.assert_status(201);
    create(&app.other_workspace().await, ada()).await;
    create(&app.other_tenant().await, ada()).await;
}

#[tokio::test]
async fn every_bad_field_is_named_at_once_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let bad = json!({
        "email": "nobody@", "firstName": "a\r\nBcc: b", "city": 5, "timezone": "Mars", "leadScore": "7",
        "lastName": "x".repeat(201), "tags": ["ok", ""], "customFields": {"a b": 1, "list": [1], "text": "x".repeat(501)},
        "nickname": "x", "id": "mine",
    });
    let refused = app.post("/api/contacts", bad).await;
    refused.assert_problem(422, "validation_failed");
    let expected = [
        "/city wrong_type",
        "/customFields/a b invalid_name",
        "/customFields/list wrong_type",
        "/customFields/text too_long",
        "/email invalid_email",
        "/firstName invalid_characters",
        "/id unknown_field",
        "/lastName too_long",
        "/leadScore wrong_type",
        "/nickname unknown_field",
        "/tags/1 required",
        "/timezone unknown_timezone",
    ];
    assert_eq!(refused.fields(), expected);
    let missing = app.post("/api/contacts", json!({"city": "Bath"})).await;
    assert_eq!(missing.assert_problem(422, "validation_failed").fields(), ["/email required"]);
    let nul = app.post("/api/contacts", json!({"email": "a@example.org", "city": "a\u{0}b"})).await;
    assert!(nul.assert_problem(422, "validation_failed").fields().contains(&"/city invalid_characters".to_owned()));
    let query = app.post("/api/contacts?upsert=maybe", ada()).await;
    assert_eq!(query.assert_problem(422, "validation_failed").fields(), ["/upsert wrong_type"]);
    app.assert_sql("(SELECT count(*) FROM contacts) = 0").await;
}

#[tokio::test]
async fn addresses_beyond_rfc_5321_are_refused() {
    let app = TestApp::start().await;
    let long_local = format!("{}@example.org", "a".repeat(65));
    let long =
        format!("a@{}.org", ["b".repeat(60), "c".repeat(60), "d".repeat(60), "e".repeat(60), "f".repeat(60)].join("."));
    let quoted = "\"a b\"@example.org";
    for address in [
        &long_local,
        &long,
        quoted,
        "a@[127.0.0.1]",
        "a@localhost",
        "a..b@example.org",
        "a@b@",
        "ü@example.org",
        "a\n@example.org",
    ] {
        let refused = app.post("/api/contacts", json!({"email": address})).await;
        assert!(refused.assert_problem(422, "validation_failed").fields()[0].starts_with("/email "), "{address}");
    }
    create(&app, json!({"email": "it.is+fine@sub.example.test"})).await;
}

#[tokio::test]
async fn a_patch_changes_what_it_mentions_and_null_clears() {
    let app = TestApp::start().await;
    let made = create(&app, ada()).await;
    let change = json!({
        "firstName": null, "city": "Bath", "tags": ["new"], "leadScore": null,
        "customFields": {"plan": null, "seats": 4, "colour": "red"},
    });
    let changed = app.patch(&path(&made), change).await;
    changed.assert_status(200);
    let mut expected = made.clone();
    expected["firstName"] = Value::Null;
    expected["city"] = json!("Bath");
    expected["tags"] = json!(["new"]);
    expected["leadScore"] = json!(0);
    expected["customFields"] = json!({"seats": 4, "ratio": 0.5, "vip": true, "colour": "red"});
    expected["updatedAt"] = changed.json["updatedAt"].clone();
    assert_eq!(changed.json, expected);
    assert_eq!(app.get(&path(&made)).await.json, expected);
    let nothing = app.patch(&path(&made), json!({})).await;
    assert_eq!(nothing.json, expected, "nothing said, nothing changed");
}

#[tokio::test]
async fn a_patch_can_change_the_address_but_not_clear_or_steal_it() {
    let app = TestApp::start().await;
    let made = create(&app, ada()).await;
    create(&app, json!({"email": "taken@example.org"})).await;
    let cleared = app.patch(&path(&made), json!({"email": null})).await;
    assert_eq!(cleared.assert_problem(422, "validation_failed").fields(), ["/email required"]);
    app.patch(&path(&made), json!({"email": "TAKEN@example.org"})).await.assert_problem(409, "conflict");
    let moved = app.patch(&path(&made), json!({"email": "countess@example.org"})).await;
    assert_eq!(moved.assert_status(200).json["email"], "countess@example.org");
    create(&app, ada()).await;
}

#[tokio::test]
async fn a_list_is_paged_and_filtered() {
    let app = TestApp::start().await;
    for n in 0..5 {
        let tags = if n % 2 == 0 { vec!["even"] } else { vec![] };
        create(&app, json!({"email": format!("c{n}@example.org"), "tags": tags})).await;
    }
    let mut seen = Vec::new();
    let mut next = "/api/contacts?limit=2".to_owned();
    loop {
        let page = app.get(&next).await;
        page.assert_status(200);
        assert_eq!(page.json["pagination"]["limit"], 2);
        seen.extend(page.json["data"].as_array().expect("rows").iter().map(|row| row["email"].clone()));
        let Some(cursor) = page.json["pagination"]["nextCursor"].as_str() else { break };
        assert_eq!(page.json["pagination"]["hasMore"], true);
        next = format!("/api/contacts?limit=2&cursor={cursor}");
    }
    assert_eq!(
        json!(seen),
        json!(["c0@example.org", "c1@example.org", "c2@example.org", "c3@example.org", "c4@example.org"])
    );
    let emails =
        |page: Value| page["data"].as_array().expect("rows").iter().map(|row| row["email"].clone()).collect::<Value>();
    let even = app.get("/api/contacts?tag=EVEN").await;
    assert_eq!(emails(even.json), json!(["c0@example.org", "c2@example.org", "c4@example.org"]));
    assert_eq!(emails(app.get("/api/contacts?email=C3%40Example.org").await.json), json!(["c3@example.org"]));
    assert_eq!(emails(app.get("/api/contacts?email=c3%40example.org&tag=even").await.json), json!([]));
    for bad in ["limit=0", "limit=101", "email=x", "tag=", "cursor=x", "nickname=x"] {
        app.get(&format!("/api/contacts?{bad}")).await.assert_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let app = TestApp::start().await;
    let ours = path(&create(&app, ada()).await);
    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        stranger.get(&ours).await.assert_problem(404, "not_found");
        stranger.patch(&ours, json!({"city": "Bath"})).await.assert_problem(404, "not_found");
        stranger.delete(&ours).await.assert_problem(404, "not_found");
        assert_eq!(stranger.get("/api/contacts").await.json["data"], json!([]));
        assert_eq!(stranger.get("/api/contacts?email=ada%40example.org").await.json["data"], json!([]));
    }
    assert_eq!(app.get(&ours).await.json["city"], "London");
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let app = TestApp::start().await;
    let made = path(&create(&app, ada()).await);
    let reader = app.key_with_scopes(&["audience:read"]).await;
    reader.get(&made).await.assert_status(200);
    reader.patch(&made, json!({})).await.assert_problem(403, "forbidden");
    reader.delete(&made).await.assert_problem(403, "forbidden");
    reader.post("/api/contacts", ada()).await.assert_problem(403, "forbidden");
    let writer = app.key_with_scopes(&["audience:write"]).await;
    writer.get(&made).await.assert_problem(403, "forbidden");
    writer.get("/api/contacts").await.assert_problem(403, "forbidden");
    app.with_token("").get(&made).await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn an_erased_person_is_gone_from_every_answer() {
    let app = TestApp::start().await;
    let made = app.post_keyed("/api/contacts", "first", ada()).await;
    let at = path(&made.assert_status(201).json);
    app.delete(&at).await.assert_status(204);
    app.get(&at).await.assert_problem(404, "not_found");
    app.patch(&at, json!({"city": "Bath"})).await.assert_problem(404, "not_found");
    app.delete(&at).await.assert_problem(404, "not_found");
    assert_eq!(app.get("/api/contacts").await.json["data"], json!([]));
    app.post_keyed("/api/contacts", "first", ada()).await.assert_problem(404, "not_found");
    // Without its id, whose digits may say "ada" by chance.
    let told = "SELECT (to_jsonb(c) - 'id')::text AS told FROM contacts c";
    app.assert_sql(&format!(
        "NOT EXISTS (SELECT FROM ({told}) AS c WHERE told ILIKE '%ada%' OR told ILIKE '%London%')"
    ))
    .await;
    app.assert_sql("NOT EXISTS (SELECT FROM idempotency_keys WHERE position('Ada'::bytea IN body) > 0)").await;
    app.assert_sql("(SELECT count(*) FROM contacts) = 1").await;
    create(&app, ada()).await;
}

#[tokio::test]
async fn many_at_once_make_one_contact() {
    let app = TestApp::start().await;
    let posts = (0..8).map(|n| {
        let caller = app.with_token(app.token.clone());
        let path = if n % 2 == 0 { "/api/contacts" } else { "/api/contacts?upsert=true" };
        async move { caller.post(path, ada()).await.status }
    });
    let mut statuses = futures::future::join_all(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 201, 409].contains(status)), "{statuses:?}");
    app.assert_sql("(SELECT count(*) FROM contacts) = 1").await;
}

#[tokio::test]
async fn everything_held_about_a_person_is_handed_out_as_one_file() {
    let app = TestApp::start().await;
    let body = json!({"email": "Ada@x.test", "firstName": "Ada", "tags": ["vip"], "leadScore": 7, "customFields": {"plan": "gold"}});
    let made = app.post_keyed("/api/contacts", "make-ada", body).await;
    let id = made.id();
    let segment = app.post("/api/segments", json!({"name": "Friends", "kind": "static"})).await.id();
    app.post(&format!("/api/segments/{segment}/contacts"), json!({"contactIds": [id]})).await;
    let campaign = json!({"name": "Spring", "campaignType": "drip", "segmentId": segment, "fromEmail": "news@x.test", "fromName": "News"});
    let campaign = app.post("/api/campaigns", campaign).await.id();
    let steps = json!({"steps": [{"name": "hello", "stepType": "email", "subjectLine": "Hello", "emailContent": "<p>Hello {{ firstName }}</p>"}]});
    app.put(&format!("/api/campaigns/{campaign}/steps"), steps).await.assert_status(200);
    let preview = app.post_keyed(&format!("/api/campaigns/{campaign}/preview"), "look", json!({"contactId": id})).await;
    assert_eq!(preview.header("link"), format!("</api/contacts/{id}>; rel=\"about\""));
    app.post_empty(&format!("/api/campaigns/{campaign}/launch")).await.assert_status(200);
    app.post("/api/suppressions", json!({"domain": "x.test", "source": "legal"})).await.assert_status(201);

    let export = app.get(&format!("/api/contacts/{id}/export")).await;
    export.assert_status(200);
    assert_eq!(export.header("content-disposition"), format!("attachment; filename=\"contact-{id}.json\""));
    assert_eq!(export.json["contact"], made.json);
    assert_eq!(export.json["segments"], json!([{"id": segment, "name": "Friends"}]));
    assert_eq!(
        (&export.json["suppressions"][0]["domain"], &export.json["suppressions"][0]["source"]),
        (&json!("x.test"), &json!("legal"))
    );
    let way = &export.json["campaigns"][0];
    assert_eq!((&way["campaignId"], &way["campaignName"]), (&json!(campaign), &json!("Spring")));
    assert_eq!(way["way"], app.get(&format!("/api/campaigns/{campaign}/enrollments/{id}")).await.json);
    let keys: Vec<_> = export.json["storedAnswers"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, ["make-ada", "look"]);
    assert_eq!(export.json["storedAnswers"][0]["body"], made.json);

    for stranger in [app.other_tenant().await, app.other_workspace().await] {
        stranger.get(&format!("/api/contacts/{id}/export")).await.assert_problem(404, "not_found");
    }
    let writer = app.key_with_scopes(&["audience:write"]).await;
    writer.get(&format!("/api/contacts/{id}/export")).await.assert_problem(403, "forbidden");
    app.delete(&format!("/api/contacts/{id}")).await.assert_status(204);
    app.get(&format!("/api/contacts/{id}/export")).await.assert_problem(404, "not_found");
    // The answer to the preview named nobody, and is gone all the same.
    let again = app.post_keyed(&format!("/api/campaigns/{campaign}/preview"), "look", json!({"contactId": id})).await;
    again.assert_problem(404, "not_found");
}
