//! What does not count: unsigned, foreign, replayed, too large, of another form.

use super::{Hook, Scene, assert_tally, name_of};
use crate::app::provision;
use muster_domain::model::principal::Scope;
use muster_domain::ports::tokens::TokenPurpose;
use muster_testkit::mail_queue::QueuePlan;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_unsigned_report_or_one_signed_otherwise_is_401_and_changes_nothing() {
    let scene = Scene::with(1).await;
    let before = scene.everything().await;
    let body = scene.bounce(0, "5.1.1");
    let now = scene.seconds().await;
    let other = Hook::create(&scene.app).await;
    let forged = Hook { token: scene.hook.token.clone(), ..other };
    let requests = [
        scene.request(&scene.hook, "mta", &body),
        scene.request(&scene.hook, "mta", &body).header("webhook-id", "a").header("webhook-timestamp", now.to_string()),
        scene.signed(&forged, "mta", "a", now, &body),
        scene.signed(&scene.hook, "mta", "a", now, b"another body").body(body.clone()),
        scene.signed(&scene.hook, "mta", "a", now - 301, &body),
        scene.signed(&scene.hook, "mta", "a", now + 330, &body),
        scene.signed(&scene.hook, "mta", "a.b", now, &body),
        scene.signed(&scene.hook, "mta", "", now, &body),
        scene.signed(&scene.hook, "mta", &"a".repeat(256), now, &body),
        scene.signed(&scene.hook, "mta", "a", now, &body).header("webhook-id", "b"),
    ];
    for request in requests {
        let refused = scene.app.send(request).await;
        refused.assert_problem(401, "unauthorized");
        assert!(!refused.header("www-authenticate").is_empty());
    }
    assert_eq!(scene.everything().await, before);
    assert_tally(&scene.post("mta", "a", &body).await, 1, 0, 0);
}

#[tokio::test]
async fn a_report_about_somebody_elses_mail_is_unknown_and_changes_nothing() {
    let scene = Scene::with(1).await;
    let theirs = scene.queue.add(QueuePlan { contacts: 1, ..QueuePlan::default() }).await;
    let their_contact = scene.number("SELECT max(contact_no) FROM contacts").await;
    // The second workspace of our own tenant.
    let tenant = scene.queue.text("SELECT name FROM tenants ORDER BY tenant_no LIMIT 1").await;
    let second = provision(&scene.queue.database, &tenant, "second", &Scope::ALL).await;
    let next_door = Hook::create(&scene.app.with_token(second)).await;
    let before = scene.everything().await;
    let index = their_contact - scene.queue.first_contact;
    let ours_named_theirs = scene.bounce(index, "5.1.1");
    assert_tally(&scene.post("mta", "a", &ours_named_theirs).await, 0, 0, 1);
    let mut mail = scene.queue.delivery(0);
    (mail.tenant, mail.campaign, mail.contact.0) = (theirs.tenant, theirs.campaign, their_contact);
    let foreign = name_of(TokenPurpose::MessageId, mail);
    let events = json!({"events": [{"type": "bounced", "messageId": foreign, "bounceClass": "hard"}]});
    assert_tally(&scene.post("json", "b", &serde_json::to_vec(&events).unwrap()).await, 0, 0, 1);
    let signed = scene.signed(&next_door, "mta", "c", scene.seconds().await, &scene.bounce(0, "5.1.1"));
    assert_tally(&scene.app.send(signed).await, 0, 0, 1);
    let made_up = json!({"events": [{"type": "complained", "messageId": "<a@example.com>"},
        {"type": "complained", "returnPath": scene.name(TokenPurpose::MessageId, 0)}]});
    assert_tally(&scene.post("json", "d", &serde_json::to_vec(&made_up).unwrap()).await, 0, 0, 2);
    assert_eq!(scene.everything().await, before);
}

#[tokio::test]
async fn a_replayed_report_counts_once_and_an_id_stands_for_one_message() {
    let scene = Scene::with(2).await;
    let body = scene.bounce(0, "5.1.1");
    assert_tally(&scene.post("mta", "one", &body).await, 1, 0, 0);
    let counted = scene.everything().await;
    for _ in 0..3 {
        assert_tally(&scene.post("mta", "one", &body).await, 0, 1, 0);
    }
    scene.post("mta", "one", &scene.bounce(1, "5.1.1")).await.assert_problem(409, "conflict");
    assert_eq!(scene.everything().await, counted);
    // Under another id it is another report about the same mail: one bounce still.
    assert_tally(&scene.post("mta", "two", &body).await, 1, 0, 0);
    assert_eq!(scene.number("SELECT sum(returned) FROM stats").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM suppressions").await, 1);
    scene.queue.assert_books().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_every_reason_and_changes_nothing() {
    let scene = Scene::with(1).await;
    let before = scene.everything().await;
    let half = json!({"events": [
        {"type": "bounced", "messageId": scene.name(TokenPurpose::MessageId, 0), "status": "5.1.1"},
        {"type": "opened", "occurredAt": "later"}]});
    let refused = scene.post("json", "a", &serde_json::to_vec(&half).unwrap()).await;
    refused.assert_problem(422, "validation_failed");
    let named =
        ["/events/1/messageId required", "/events/1/occurredAt invalid_instant", "/events/1/type unknown_value"];
    assert_eq!(refused.fields(), named);
    scene.post("json", "b", b"{").await.assert_problem(400, "malformed_json");
    let kind = scene.signed(&scene.hook, "mta", "c", scene.seconds().await, b"x").header("Content-Encoding", "gzip");
    scene.app.send(kind).await.assert_problem(415, "unsupported_media_type");
    let path = format!("/hooks/pigeon/{}", scene.hook.token);
    scene.app.send(scene.app.request(Method::POST, &path)).await.assert_problem(404, "not_found");
    scene.app.send(scene.app.request(Method::POST, "/hooks/mta/x")).await.assert_problem(404, "not_found");
    scene.app.send(scene.app.request(Method::POST, "/hooks/mta/%FF%00")).await.assert_status(404);
    scene.app.get(&format!("/hooks/mta/{}", scene.hook.token)).await.assert_problem(405, "method_not_allowed");
    // Broken mail is no mail server's fault, and it would only try again.
    let whole = scene.bounce(0, "5.1.1");
    for broken in [&b""[..], b"\0\xff", &whole[..40], b"Content-Type: multipart/report; boundary=b\r\n\r\n--b"] {
        assert_tally(&scene.post("mta", "d", broken).await, 0, 0, 0);
    }
    assert_eq!(scene.everything().await, before);
}

#[tokio::test]
async fn fifty_megabytes_are_refused() {
    let scene = Scene::with(1).await;
    let before = scene.everything().await;
    let path = format!("/hooks/mta/{}", scene.hook.token);
    let body = vec![b'x'; 2 * 1024 * 1024];
    for announced in ["Content-Length: 52428800\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3200000\r\n"] {
        let address = scene.app.url("").replace("http://", "");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: message/rfc822\r\n{announced}");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may have answered and hung up before it has read all that is sent.
        let _ = stream.write_all(&body).await;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 413");
    }
    assert_eq!(scene.everything().await, before);
}
