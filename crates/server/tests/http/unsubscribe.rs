//! What the unsubscribe link of a mail does.

use crate::app::{Answer, Caller, TestApp};
use muster_adapters::tokens::SealedTokens;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use reqwest::Method;
use secrecy::SecretSlice;
use serde_json::json;

/// The secret of a [`TestApp`].
const SECRET: u8 = 7;

/// Ada's contact and the link in a mail to her.
async fn mailed(app: &TestApp) -> String {
    app.post("/api/contacts", json!({"email": "Ada@example.test"})).await.assert_status(201);
    // The first contact of the first tenant; the campaign is gone, or never was: the link works all the same.
    link(TokenPurpose::Unsubscribe, 1)
}

fn link(purpose: TokenPurpose, contact: i64) -> String {
    let key = DeliveryKey {
        tenant: TenantNo(1),
        campaign: CampaignNo(1),
        contact: ContactNo(contact),
        step: StepNo(1),
        pass: Pass(1),
    };
    let tokens = SealedTokens::new(&SecretSlice::from(vec![SECRET; 32]), &[]);
    format!("/u/{}", tokens.seal(purpose, key))
}

/// Somebody who follows a link: no key.
fn recipient(app: &TestApp) -> Caller {
    app.with_token("")
}

#[track_caller]
fn assert_page(answer: &Answer, status: u16, title: &str) {
    answer.assert_status(status);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.text.contains(&format!("<title>{title}</title>")), "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-robots-tag"), "noindex, nofollow");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.header("location"), "");
}

#[tokio::test]
async fn looking_at_the_page_changes_nothing() {
    let app = TestApp::start().await;
    let link = mailed(&app).await;
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let answer = recipient(&app).send(recipient(&app).request(method.clone(), &link)).await;
        answer.assert_status(200);
        if method == Method::GET {
            assert_page(&answer, 200, "Unsubscribe?");
            assert!(answer.text.contains("<form method=\"post\">"));
            assert!(!answer.text.contains("ada@") && !answer.text.contains("Ada@"), "the page names nobody");
        }
    }
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
}

/// What scanners of mail call themselves.
const SCANNERS: [&str; 5] = [
    "Mozilla/5.0 (compatible; GoogleImageProxy)",
    "Barracuda Sentinel (EE)",
    "Mozilla/5.0 (Windows NT 10.0) SafeLinks",
    "Slackbot-LinkExpanding 1.0",
    "curl/8.0",
];

#[tokio::test]
async fn ten_thousand_prefetches_unsubscribe_nobody() {
    const AT_ONCE: usize = 20;
    const EACH: usize = 500;
    let app = TestApp::start().await;
    let link = mailed(&app).await;
    let scanners = (0..AT_ONCE).map(|scanner| {
        let (recipient, link) = (recipient(&app), link.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                let method = [Method::GET, Method::HEAD, Method::OPTIONS, Method::GET][(scanner + n) % 4].clone();
                let request =
                    recipient.request(method.clone(), &link).header("User-Agent", SCANNERS[n % SCANNERS.len()]);
                let request = request.header("Sec-Purpose", "prefetch");
                let answer = recipient.send(request).await;
                assert_eq!(answer.status, if method == Method::OPTIONS { 204 } else { 200 });
            }
        })
    });
    for scanner in scanners.collect::<Vec<_>>() {
        scanner.await.expect("it ran");
    }
    app.assert_sql("NOT EXISTS (SELECT FROM suppressions) AND NOT EXISTS (SELECT FROM stats)").await;
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = recipient(&app).send(recipient(&app).request(method, &link)).await;
        answer.assert_problem(405, "method_not_allowed");
    }
    app.assert_sql("NOT EXISTS (SELECT FROM suppressions)").await;
    assert_page(&recipient(&app).post_empty(&link).await, 200, "You are unsubscribed");
    app.assert_sql("(SELECT count(*) FROM suppressions) = 1").await;
}

#[tokio::test]
async fn the_link_of_a_test_mail_says_what_it_is() {
    let app = TestApp::start().await;
    assert_page(&recipient(&app).get("/u/test").await, 200, "This is a test link");
    assert_page(&recipient(&app).post_empty("/u/test").await, 200, "This is a test link");
    app.assert_sql("NOT EXISTS (SELECT FROM suppressions)").await;
}

#[tokio::test]
async fn the_button_of_the_page_unsubscribes() {
    let app = TestApp::start().await;
    let link = mailed(&app).await;
    let form = recipient(&app).request(Method::POST, &link).header("content-type", "application/x-www-form-urlencoded");
    assert_page(&recipient(&app).send(form).await, 200, "You are unsubscribed");
    let listed = app.get("/api/suppressions").await;
    assert_eq!(listed.json["data"][0]["email"], "ada@example.test");
    assert_eq!(listed.json["data"][0]["reason"], "unsubscribed");
    // Again, by whoever has two windows open.
    assert_page(&recipient(&app).post_empty(&link).await, 200, "You are unsubscribed");
    assert_eq!(app.get("/api/suppressions").await.json, listed.json);
    app.assert_sql("(SELECT sum(unsubscribed) FROM stats) = 1").await;
}

#[tokio::test]
async fn a_mail_program_unsubscribes_with_one_click() {
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n",
        ),
        ("", ""),
        ("text/plain", "\u{0}\u{ff} anything"),
    ] {
        let app = TestApp::start().await;
        let link = mailed(&app).await;
        let mut click = recipient(&app).request(Method::POST, &link).body(body);
        if !content_type.is_empty() {
            click = click.header("content-type", content_type);
        }
        assert_page(&recipient(&app).send(click).await, 200, "You are unsubscribed");
        let listed = app.get("/api/suppressions").await;
        assert_eq!(listed.json["data"][0]["email"], "ada@example.test", "{content_type}");
    }
}

#[tokio::test]
async fn a_link_that_was_never_in_a_mail_does_nothing() {
    let app = TestApp::start().await;
    let link_of_ada = mailed(&app).await;
    let cut = &link_of_ada[..link_of_ada.len() - 1];
    for link in ["/u/x", "/u/AAAA", cut, &link(TokenPurpose::Delivery, 1), "/u/%00", "/u/%F0%9F"] {
        for answer in [recipient(&app).get(link).await, recipient(&app).post_empty(link).await] {
            assert_page(&answer, 404, "This link does not work");
        }
    }
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
}

#[tokio::test]
async fn whoever_was_erased_is_told_that_it_is_done() {
    let app = TestApp::start().await;
    let made = app.post("/api/contacts", json!({"email": "ada@example.test"})).await;
    app.delete(&format!("/api/contacts/{}", made.id())).await.assert_status(204);
    let answer = recipient(&app).post_empty(&link(TokenPurpose::Unsubscribe, 1)).await;
    assert_page(&answer, 200, "You are unsubscribed");
    let never = recipient(&app).post_empty(&link(TokenPurpose::Unsubscribe, 404)).await;
    assert_page(&never, 200, "You are unsubscribed");
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
}

#[tokio::test]
async fn a_body_that_is_no_click_is_too_large() {
    let app = TestApp::start().await;
    let link = mailed(&app).await;
    let large = recipient(&app).request(Method::POST, &link).body(vec![b'x'; 64 * 1024 + 1]);
    recipient(&app).send(large).await.assert_problem(413, "payload_too_large");
    assert_eq!(app.get("/api/suppressions").await.json["data"], json!([]));
    let fitting = recipient(&app).request(Method::POST, &link).body(vec![b'x'; 64 * 1024]);
    recipient(&app).send(fitting).await.assert_status(200);
}

#[tokio::test]
async fn what_cannot_be_done_now_says_so_and_offers_to_try_again() {
    let app = TestApp::start().await;
    let link = mailed(&app).await;
    app.database.run_sql("ALTER TABLE suppressions RENAME TO hidden").await;
    let answer = recipient(&app).post_empty(&link).await;
    assert_page(&answer, 500, "That did not work");
    assert!(answer.text.contains("may not be unsubscribed yet") && answer.text.contains("<form"));
    app.database.run_sql("ALTER TABLE hidden RENAME TO suppressions").await;
    assert_page(&recipient(&app).post_empty(&link).await, 200, "You are unsubscribed");
}
