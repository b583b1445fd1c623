//! Every operation of the OpenAPI document, with something real to do it to: for tests that must hold for all of them.
//! An operation that is new in the document and unknown here fails those tests.

use crate::app::{Answer, Caller, SECRET, TestApp};
use muster_adapters::tokens::SealedTokens;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use muster_testkit::database::TestDatabase;
use reqwest::Method;
use secrecy::SecretSlice;
use serde_json::{Value, json};

/// An operation below `/api`, as the document has it.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The address with names in braces.
    pub(crate) template: String,
    /// The media types of its body; empty when it takes none.
    pub(crate) takes: Vec<String>,
    /// The document's own words about it.
    pub(crate) entry: Value,
}

impl Operation {
    pub(crate) fn takes_json(&self) -> bool {
        self.takes.iter().any(|kind| kind == "application/json")
    }

    /// Whether it names something in its address.
    pub(crate) fn names_something(&self) -> bool {
        self.template.contains('{')
    }
}

/// The document.
pub(crate) fn document() -> Value {
    serde_json::to_value(muster_api::openapi()).expect("the document")
}

/// Every operation below `/api`.
pub(crate) fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        for (method, entry) in methods.as_object().expect("methods") {
            if template.starts_with("/api/") {
                let takes = entry["requestBody"]["content"].as_object().map(|kinds| kinds.keys().cloned().collect());
                operations.push(Operation {
                    id: entry["operationId"].as_str().expect("an operation id").to_owned(),
                    method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
                    template: template.clone(),
                    takes: takes.unwrap_or_default(),
                    entry: entry.clone(),
                });
            }
        }
    }
    assert!(operations.len() > 40, "the document is not empty");
    operations
}

/// One of everything, in the workspace of the app's own key.
pub(crate) struct Fixture {
    pub(crate) contact: String,
    /// A second contact, in no segment.
    pub(crate) stranger: String,
    pub(crate) segment: String,
    pub(crate) key: String,
    pub(crate) hook: String,
    /// A draft with steps.
    pub(crate) draft: String,
    /// Its first step, an e-mail.
    pub(crate) step: String,
    /// A launched campaign in which the contact is enrolled.
    pub(crate) active: String,
    pub(crate) active_step: String,
    pub(crate) suppressed: String,
    /// A delivery of the launched campaign that is in doubt.
    pub(crate) delivery: String,
}

/// An id that nothing has.
pub(crate) const MISSING: &str = "0198c0de-0000-7000-8000-00000000dead";

/// An address that is on no list.
pub(crate) const MISSING_ADDRESS: &str = "nobody@nowhere.test";

impl Fixture {
    /// Makes everything with the app's own key.
    pub(crate) async fn of(app: &TestApp) -> Self {
        Self::made_by(app, &app.database).await
    }

    /// Makes everything with that key.
    pub(crate) async fn made_by(app: &Caller, database: &TestDatabase) -> Self {
        let made = |answer: Answer| answer.assert_status(201).id();
        let contact = made(app.post("/api/contacts", json!({"email": "anna@example.test", "firstName": "Anna"})).await);
        let stranger = made(app.post("/api/contacts", json!({"email": "ben@example.test"})).await);
        let segment = made(app.post("/api/segments", json!({"name": "All", "kind": "static"})).await);
        let key = made(app.post("/api/keys", json!({"name": "spare", "scopes": ["campaigns:read"]})).await);
        let hook = made(app.post("/api/hooks", json!({"name": "mail server"})).await);
        let members = json!({"contactIds": [contact]});
        app.post(&format!("/api/segments/{segment}/contacts"), members).await.assert_status(200);
        let suppressed = "gone@example.test".to_owned();
        let listed = app.post("/api/suppressions", json!({"email": suppressed})).await;
        assert!([200, 201].contains(&listed.status), "the list is the tenant's: {listed:?}");
        let draft = made(app.post("/api/campaigns", campaign(&segment)).await);
        let active = made(app.post("/api/campaigns", campaign(&segment)).await);
        let mut firsts = Vec::new();
        for id in [&draft, &active] {
            let put = app.put(&format!("/api/campaigns/{id}/steps"), json!({"steps": steps()})).await;
            firsts.push(put.assert_status(200).json["data"][0]["id"].as_str().expect("a step's id").to_owned());
        }
        app.post_empty(&format!("/api/campaigns/{active}/launch")).await.assert_status(200);
        let (active_step, step) = (firsts.remove(1), firsts.remove(0));
        let delivery = in_doubt(app, database, &active).await;
        Self { contact, stranger, segment, key, hook, draft, step, active, active_step, suppressed, delivery }
    }

    /// The same with ids that nothing has.
    pub(crate) fn missing() -> Self {
        let id = || MISSING.to_owned();
        Self {
            contact: id(),
            stranger: id(),
            segment: id(),
            key: id(),
            hook: id(),
            draft: id(),
            step: id(),
            active: id(),
            active_step: id(),
            suppressed: MISSING_ADDRESS.to_owned(),
            delivery: missing_delivery(),
        }
    }

    /// The address of that operation on the fixture, with the query that it needs.
    pub(crate) fn path(&self, operation: &Operation) -> String {
        let template = operation.template.as_str();
        let campaign = if needs_draft(&operation.id) { &self.draft } else { &self.active };
        let step = if campaign == &self.draft { &self.step } else { &self.active_step };
        let id = match template.split('/').nth(2) {
            Some("campaigns") => campaign,
            Some("contacts") => &self.contact,
            Some("segments") => &self.segment,
            Some("keys") => &self.key,
            Some("deliveries") => &self.delivery,
            Some("hooks") => &self.hook,
            _ => &self.suppressed,
        };
        let path = template.replace("{stepId}", step).replace("{contactId}", &self.contact);
        let path = path.replace("{id}", id).replace("{entry}", &self.suppressed);
        assert!(!path.contains('{'), "{template}: say here what its names stand for");
        match operation.id.as_str() {
            "get_analytics" => format!("{path}?startDate=2026-01-01&endDate=2026-01-31"),
            "lift_suppression_by_email" => format!("{path}?email={}", self.suppressed),
            "import_contacts" => format!("{path}?segmentId={}", self.segment),
            _ => path,
        }
    }

    /// A body with which that operation would do something to the fixture.
    pub(crate) fn body(&self, operation: &Operation) -> Value {
        match operation.id.as_str() {
            "create_campaign" => whole_campaign(&self.segment),
            "change_campaign" => json!({
                "name": "Changed", "schedule": {"timezone": "Europe/Berlin"}, "settings": {"dailyLimit": 5}
            }),
            "clone_campaign" => json!({"name": "Copied"}),
            "schedule_campaign" => json!({"startAt": "2999-01-01T00:00:00Z"}),
            "preview_step" => json!({"stepId": self.step, "contact": {"firstName": "Ida"}}),
            "send_test" => json!({"stepId": self.step, "emails": ["me@example.test"], "contact": {"firstName": "Ida"}}),
            "add_step" => json!({"stepType": "email", "subjectLine": "Changed", "emailContent": "<p>Changed</p>"}),
            "change_step" => json!({"subjectLine": "Changed"}),
            "replace_steps" => json!({"steps": [
                {"stepType": "email", "subjectLine": "Changed", "emailContent": "<p>Changed</p>"},
                {"stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}},
                {"stepType": "action", "action": {"type": "add_tag", "tag": "done"}}
            ]}),
            "enroll_contacts" => json!({"contactIds": [self.stranger]}),
            "create_contact" => {
                json!({"email": "carl@example.test", "firstName": "Carl", "customFields": {"plan": "a"}})
            }
            "change_contact" => json!({"firstName": "Changed"}),
            "create_segment" => json!({"name": "Some", "kind": "dynamic", "rules": rule()}),
            "change_segment" => json!({"name": "Changed"}),
            "preview_segment" => json!({"rules": rule()}),
            "add_segment_contacts" | "remove_segment_contacts" => json!({"contactIds": [self.contact]}),
            "suppress_address" => json!({"email": "more@example.test", "reason": "manual", "source": "list"}),
            "resolve_delivery" => json!({"outcome": "sent"}),
            "retry_deliveries" => json!({"states": ["inDoubt"]}),
            "create_hook" => json!({"name": "provider"}),
            "create_key" => json!({"name": "more", "scopes": ["admin"]}),
            other => panic!("{other}: say here with which body it does something"),
        }
    }

    /// Does it, with a body when it takes one.
    pub(crate) async fn send(&self, caller: &Caller, operation: &Operation) -> Answer {
        let mut request = caller.request(operation.method.clone(), &self.path(operation));
        if operation.takes_json() {
            request = request.json(&self.body(operation));
        } else if let Some(kind) = operation.takes.first() {
            request = request.header("Content-Type", kind).body("email\ndora@example.test\n");
        }
        caller.send(request).await
    }
}

/// The id of a delivery that would be one if it existed.
fn missing_delivery() -> String {
    let key = DeliveryKey {
        tenant: TenantNo(1),
        campaign: CampaignNo(i32::MAX),
        contact: ContactNo(i64::MAX),
        step: StepNo(1),
        pass: Pass(1),
    };
    SealedTokens::new(&SecretSlice::from(SECRET.to_vec()), &[]).seal(TokenPurpose::Delivery, key)
}

/// Puts the mail of the first step to the campaign's only contact in doubt, as if a worker had died, and names it.
async fn in_doubt(app: &Caller, database: &TestDatabase, campaign: &str) -> String {
    database
        .run_sql(&format!(
            "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at, detail)
             SELECT e.tenant_no, e.campaign_no, e.contact_no, 1, 1, 'd', 1, 1, 1, now(), now(), 'no reply after the final dot'
             FROM enrollments e JOIN campaigns c USING (tenant_no, campaign_no) WHERE c.id = '{campaign}';
             INSERT INTO step_counters (tenant_no, campaign_no, step, entered, in_doubt)
             SELECT tenant_no, campaign_no, 1, 1, 1 FROM campaigns WHERE id = '{campaign}'"
        ))
        .await;
    let listed = app.get(&format!("/api/deliveries?campaignId={campaign}&state=inDoubt")).await;
    listed.json["data"][0]["id"].as_str().unwrap_or_else(|| panic!("none in doubt: {listed:?}")).to_owned()
}

/// Whether an operation does something to drafts only, or would end what the others look at.
fn needs_draft(operation: &str) -> bool {
    [
        "delete_campaign",
        "schedule_campaign",
        "remove_step",
        "add_step",
        "change_step",
        "replace_steps",
        "preview_step",
        "send_test",
    ]
    .contains(&operation)
}

/// A campaign with what it needs.
pub(crate) fn campaign(segment: &str) -> Value {
    json!({
        "name": "Welcome", "campaignType": "drip", "segmentId": segment,
        "fromEmail": "news@example.test", "fromName": "News"
    })
}

/// A campaign with everything that can be said of it.
pub(crate) fn whole_campaign(segment: &str) -> Value {
    let mut whole = campaign(segment);
    whole["description"] = json!("Everything");
    whole["replyToEmail"] = json!("reply@example.test");
    whole["schedule"] = json!({
        "startAt": "2999-01-01T00:00:00Z", "timezone": "Europe/Berlin", "sendStrategy": "scheduled",
        "window": {"days": ["mon", "tue"], "from": "09:00", "to": "17:00"}, "blackoutDates": ["2999-12-24"]
    });
    whole["settings"] = json!({"unsubscribeEnabled": true, "postalAddress": "Ex\n1 Main Street", "dailyLimit": 1000,
        "hourlyLimit": 100, "stopOnReply": true, "onInDoubt": "hold",
        "guardRails": {"maxBounceRate": 0.05, "maxComplaintRate": 0.01, "minSample": 100}});
    whole
}

/// A sequence with a step of every type.
pub(crate) fn steps() -> Value {
    json!([
        {"key": "hello", "name": "Hello", "stepType": "email", "subjectLine": "Hello {{ firstName }}",
         "emailContent": "<p>Hello {{ firstName }}</p>", "textContent": "Hello {{ firstName }}"},
        {"key": "wait", "name": "Wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}},
        {"key": "ask", "name": "Ask", "stepType": "condition", "conditionRules": rule(),
         "trueNextStepId": "tag", "falseNextStepId": "end"},
        {"key": "tag", "name": "Tag", "stepType": "action", "action": {"type": "add_tag", "tag": "asked"}}
    ])
}

/// A rule.
pub(crate) fn rule() -> Value {
    json!({"all": [{"field": "city", "op": "eq", "value": "Berlin"}]})
}

/// Remembers every row of every table, as the database's superuser sees them.
pub(crate) async fn remember(app: &TestApp) {
    app.database
        .run_sql(
            "CREATE SCHEMA IF NOT EXISTS remembered;
             CREATE OR REPLACE FUNCTION remembered.all_tables() RETURNS TABLE (name text, content text) AS $$
             DECLARE one text;
             BEGIN
                 FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                     RETURN QUERY EXECUTE format(
                         'SELECT %L::text, count(*) || md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), %L))
                          FROM public.%I t', one, '', one);
                 END LOOP;
             END $$ LANGUAGE plpgsql;
             DROP TABLE IF EXISTS remembered.before;
             CREATE TABLE remembered.before AS SELECT * FROM remembered.all_tables();",
        )
        .await;
}

/// Fails, naming the tables, when a row differs from what was [remembered](remember).
pub(crate) async fn assert_unchanged(app: &TestApp, after: &str) {
    let after = after.replace('\'', "''");
    app.database
        .run_sql(&format!(
            "DO $$ DECLARE changed text;
             BEGIN
                 SELECT string_agg(name, ', ') INTO changed
                 FROM remembered.all_tables() now FULL JOIN remembered.before USING (name)
                 WHERE now.content IS DISTINCT FROM before.content;
                 ASSERT changed IS NULL, 'changed by ' || '{after}' || ': ' || changed;
             END $$"
        ))
        .await;
}
