//! Hooks, and what is reported to them of mails that were sent.

mod managing;
mod refused;
mod reported;
mod storms;

use crate::app::{Answer, Caller, Served, provision, state_over};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use muster_adapters::tokens::SealedTokens;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::principal::Scope;
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use muster_testkit::database::TestDatabase;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use reqwest::{Method, RequestBuilder};
use secrecy::SecretSlice;
use serde_json::{Value, json};
use sha2::Sha256;

/// Contacts whose first mail was sent and who wait for their second, and a hook of their workspace.
struct Scene {
    queue: MailQueue,
    app: Caller,
    _served: Served,
    hook: Hook,
}

/// What somebody who reports knows.
#[derive(Clone)]
struct Hook {
    id: String,
    token: String,
    secret: String,
}

impl Hook {
    async fn create(app: &Caller) -> Self {
        let made = app.post("/api/hooks", json!({"name": "mail server"})).await;
        made.assert_status(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let url = text(&made.json["urls"]["mta"]);
        let token = url.strip_prefix("http://muster.test/hooks/mta/").expect("the public address").to_owned();
        Self { id: made.id(), token, secret: text(&made.json["secret"]) }
    }

    fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let key = BASE64_STANDARD.decode(self.secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("a key");
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        format!("v1,{}", BASE64_STANDARD.encode(mac.chain_update(signed).finalize().into_bytes()))
    }
}

impl Scene {
    async fn of(plan: QueuePlan) -> Self {
        Self::on(TestDatabase::create().await, plan).await
    }

    async fn on(database: TestDatabase, plan: QueuePlan) -> Self {
        let queue = MailQueue::on(database, QueuePlan { steps: 2, ..plan }).await;
        queue
            .run(
                "WITH gone AS (DELETE FROM outbox RETURNING *) \
                    INSERT INTO messages SELECT tenant_no, campaign_no, contact_no, step, pass, 's', 1, 1, version, queued_at, now(), '250 ok' FROM gone; \
                 UPDATE enrollments SET status = 'r', step = 2, due_at = now() + interval '1 day'; \
                 UPDATE step_counters SET pending = 0, sent = entered; \
                 INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent) \
                    SELECT tenant_no, campaign_no, 1, date_bin('15 minutes', now(), '2026-01-01T00:00:00Z'), entered FROM step_counters",
            )
            .await;
        let served = Served::start(state_over(queue.store()));
        let tenant = queue.text("SELECT name FROM tenants").await;
        let token = provision(&queue.database, &tenant, "main", &Scope::ALL).await;
        let app = Caller::new(served.address, token);
        let hook = Hook::create(&app).await;
        Self { queue, app, _served: served, hook }
    }

    async fn with(contacts: i64) -> Self {
        Self::of(QueuePlan { contacts, ..QueuePlan::default() }).await
    }

    /// The name that the mail to the contact of that index has.
    fn name(&self, purpose: TokenPurpose, index: i64) -> String {
        name_of(purpose, self.queue.delivery(index))
    }

    fn request(&self, hook: &Hook, provider: &str, body: &[u8]) -> RequestBuilder {
        let kind = if provider == "mta" { "message/rfc822" } else { "application/json" };
        let path = format!("/hooks/{provider}/{}", hook.token);
        let nobody = self.app.with_token("");
        nobody.request(Method::POST, &path).header("Content-Type", kind).body(body.to_vec())
    }

    /// Posts what was signed just now.
    async fn post(&self, provider: &str, id: &str, body: &[u8]) -> Answer {
        self.app.send(self.signed(&self.hook, provider, id, self.seconds().await, body)).await
    }

    /// Seconds since 1970, as whoever signs has them.
    async fn seconds(&self) -> i64 {
        self.number("SELECT extract(epoch FROM now())").await
    }

    fn signed(&self, hook: &Hook, provider: &str, id: &str, at: i64, body: &[u8]) -> RequestBuilder {
        let at = at.to_string();
        let signature = hook.signature(id, &at, body);
        let request = self.request(hook, provider, body).header("webhook-id", id);
        request.header("webhook-timestamp", at).header("webhook-signature", signature)
    }

    /// One event about the mail to the contact of that index.
    async fn event(&self, index: i64, event: Value) -> Answer {
        let body = self.events(index, event);
        let id = format!("msg_{:x}", hash(&body));
        self.post("json", &id, &body).await
    }

    fn events(&self, index: i64, mut event: Value) -> Vec<u8> {
        event["messageId"] = json!(format!("<{}>", self.name(TokenPurpose::MessageId, index)));
        serde_json::to_vec(&json!({"events": [event]})).expect("JSON")
    }

    /// A bounce as a mail server writes it.
    fn bounce(&self, index: i64, status: &str) -> Vec<u8> {
        format!(
            "Return-Path: <>\r\nTo: {path}\r\nFrom: MAILER-DAEMON@mx.example.com\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nSorry, c{n}@example.org.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n\
             Final-Recipient: rfc822; c{n}@example.org\r\nAction: failed\r\nStatus: {status}\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{id}>\r\n\r\n--b--\r\n",
            path = self.name(TokenPurpose::ReturnPath, index),
            id = self.name(TokenPurpose::MessageId, index),
            n = index + 1,
        )
        .into_bytes()
    }

    async fn number(&self, expression: &str) -> i64 {
        self.queue.number(expression).await
    }

    /// Everything that a report could change.
    async fn everything(&self) -> String {
        let mut all = self.queue.snapshot().await;
        for table in ["suppressions", "events", "engagements", "hook_receipts", "soft_bounces", "enrollment_history"] {
            all += &self.queue.text(&format!("SELECT string_agg(t::text, '; ' ORDER BY t::text) FROM {table} t")).await;
        }
        all
    }
}

/// The name that a mail has.
fn name_of(purpose: TokenPurpose, delivery: DeliveryKey) -> String {
    let tokens = SealedTokens::new(&SecretSlice::from(vec![7; 32]), &[]);
    let domain = if purpose == TokenPurpose::ReturnPath { "bounces.example.com" } else { "example.com" };
    format!("{}@{domain}", tokens.seal(purpose, delivery))
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[track_caller]
fn assert_tally(answer: &Answer, counted: usize, repeated: usize, unknown: usize) {
    answer.assert_status(200);
    assert_eq!(answer.json, json!({"counted": counted, "repeated": repeated, "unknown": unknown}));
}
