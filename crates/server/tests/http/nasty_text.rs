//! Texts that have broken programs before, through every field that takes text: taken, they come back as they were
//! and are never understood as anything; refused, the field is named.

use crate::app::{Answer, Caller, TestApp, provision};
use crate::matrix::{Fixture, operations, whole_campaign};
use muster_domain::model::principal::Scope;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const NASTY: &[&str] = &[
    // Nothing, or nearly so
    "",
    " ",
    "   ",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "\u{2060}",
    "\u{ad}",
    "\u{180e}",
    "\u{fe0f}",
    // Words that mean something to programs
    "null",
    "NULL",
    "nil",
    "None",
    "undefined",
    "true",
    "false",
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0",
    "00",
    "1e999",
    "1,000",
    "0x41",
    "1_000",
    "end",
    "constructor",
    "__proto__",
    "hasOwnProperty",
    "CON",
    "NUL",
    "aux.txt",
    "@",
    "#",
    "%",
    // Numbers that are too large, or only look like numbers
    "999999999999999999999999999999",
    "1/0",
    "½",
    "١٢٣",
    "Ⅷ",
    "²",
    "१२",
    "0.1e-400",
    // Quotes and escapes
    "'",
    "\"",
    "''",
    "\"\"",
    "`",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\u0041",
    "\\x41",
    "%00",
    "%0d%0a",
    "%s%n%x",
    "$HOME",
    "${7*7}",
    "$(id)",
    "`id`",
    "; ls",
    "| cat /etc/passwd",
    "&& true",
    "../../etc/passwd",
    "file:///etc/passwd",
    "C:\\Windows",
    "\\\\host\\share",
    "{",
    "}",
    "{}",
    "[]",
    "<>",
    "()",
    "{\"a\":1}",
    "[1,2",
    // SQL
    "1; DROP TABLE contacts",
    "1'; DROP TABLE contacts--",
    "' OR 1=1 --",
    "') OR ('1'='1",
    "$$; SELECT 1; $$",
    "E'\\x00'",
    "a%' OR name LIKE '%",
    "_%",
    "1::int",
    "pg_sleep(10)",
    "' || pg_sleep(10) --",
    "\\copy",
    "COPY t FROM PROGRAM 'id'",
    // Templates
    "{{7*7}}",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{% raw %}",
    "{# comment #}",
    "{{",
    "}}",
    "{%",
    "%}",
    "{{ contact }}",
    "{{ firstName }}",
    "{{ self }}",
    "{{ config.items() }}",
    "{{ range(99999999) }}",
    "${{7*7}}",
    "<%= 7*7 %>",
    "#{7*7}",
    "*{7*7}",
    "@(7*7)",
    "{{constructor.constructor('return 1')()}}",
    "[[firstName]]",
    "%FIRSTNAME%",
    "*|FNAME|*",
    // HTML and scripts
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "javascript:alert(1)",
    "</p>",
    "<!--",
    "-->",
    "]]>",
    "<![CDATA[",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    "&lt;b&gt;",
    "&amp;amp;",
    "&#0;",
    "&#x202e;",
    "<a href=\"&#106;avascript:x\">",
    "</title><script>",
    "<style>*{x:y}</style>",
    // Mail
    "a, b",
    "a; b",
    "a <b@c.test>",
    "=?utf-8?Q?=0D=0ABcc:_x?=",
    "=?utf-8?B?QUJD?=",
    ".",
    "..",
    "\u{2028}.\u{2028}",
    "From x",
    "Bcc: x@y.test",
    "--boundary",
    "Content-Type: text/html",
    "=0D=0A",
    "=\u{20}",
    "(comment)",
    "a:b",
    "undisclosed:;",
    // Line breaks and control characters
    "a\rb",
    "a\nb",
    "a\r\nb",
    "a\r\n.\r\nb",
    "a\r\nBcc: x@y.test",
    "a\u{0}b",
    "\u{1}",
    "\u{7}",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\u{1b}[31mred",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "\u{9f}",
    "a\tb",
    "a\u{2028}b",
    "a\u{2029}b",
    // Writing from right to left, and marks that turn it around
    "الأمير محمد",
    "שלום",
    "abc\u{202e}fdp.exe",
    "\u{202d}x",
    "\u{2066}x\u{2069}",
    "\u{200f}x",
    "\u{200e}x",
    "\u{61c}x",
    // Characters that are more than one, or look like others
    "e\u{301}",
    "é",
    "ﬁ",
    "ß",
    "ẞ",
    "İ",
    "ı",
    "Ω",
    "Å",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "🏳️‍🌈",
    "👍🏽",
    "🇩🇪",
    "💩",
    "𝕏𝓎𝔷",
    "Ｆｕｌｌ",
    "раураl",
    "Z\u{351}\u{36b}\u{343}a\u{317}lgo",
    "田中さん",
    "한글",
    "ไทย",
    "नमस्ते",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{e000}",
    "\u{fdfd}",
    "ﷺﷺﷺ",
    "\u{e0041}",
    "Ĳ",
    "ǅ",
];

/// Fails unless the text was taken and came back as `expected`, or the field was named. Tells which.
#[track_caller]
fn taken(answer: &Answer, field: &str, text: &str, came_back: &Value, expected: &Value) -> bool {
    if answer.status == 422 {
        answer.assert_problem(422, "validation_failed");
        assert!(answer.fields().iter().any(|told| told.starts_with(field)), "{field} = {text:?}: {answer:?}");
        return false;
    }
    assert!([200, 201].contains(&answer.status), "{field} = {text:?}: {answer:?}");
    assert_eq!(came_back, expected, "{field} = {text:?}");
    true
}

fn breaks_a_line(text: &str) -> bool {
    text.contains(|c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[tokio::test]
async fn a_contacts_texts_come_back_as_they_were() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let path = format!("/api/contacts/{}", own.contact);
    let mut kept = 0;
    for text in NASTY {
        for field in ["firstName", "lastName", "company", "jobTitle", "city", "state", "country"] {
            let answer = app.patch(&path, json!({ field: text })).await;
            // Blanks at the ends are taken off, and nothing is left of a blank.
            let trimmed = text.trim();
            let expected = if trimmed.is_empty() { Value::Null } else { json!(trimmed) };
            let ok = taken(&answer, &format!("/{field}"), text, &answer.json[field], &expected);
            assert!(!(ok && breaks_a_line(trimmed)), "{field} took {text:?}");
            kept += usize::from(ok);
            if ok {
                assert_eq!(app.get(&path).await.json, answer.json, "{text:?} is stored as it is shown");
            }
        }
        let answer = app.patch(&path, json!({"customFields": {"note": text}})).await;
        taken(&answer, "/customFields/note", text, &answer.json["customFields"]["note"], &json!(text));
        let answer = app.patch(&path, json!({"tags": [text]})).await;
        taken(&answer, "/tags/0", text, &answer.json["tags"], &json!([text.trim().to_lowercase()]));
    }
    assert!(kept > 800, "{kept}: most of it is nobody's harm");
}

#[tokio::test]
async fn a_campaigns_texts_come_back_as_they_were() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let path = format!("/api/campaigns/{}", own.draft);
    let mut kept = 0;
    for text in NASTY {
        for field in ["name", "fromName", "description"] {
            let answer = app.patch(&path, json!({ field: text })).await;
            let ok = taken(&answer, &format!("/{field}"), text, &answer.json[field], &json!(text));
            assert!(!(ok && field != "description" && breaks_a_line(text)), "{field} took {text:?}");
            kept += usize::from(ok);
        }
        let step = format!("{path}/steps/{}", own.step);
        for field in ["name", "subjectLine", "emailContent", "textContent"] {
            let answer = app.patch(&step, json!({ field: text })).await;
            let ok = taken(&answer, &format!("/{field}"), text, &answer.json[field], &json!(text));
            assert!(!(ok && ["name", "subjectLine"].contains(&field) && breaks_a_line(text)), "{field} took {text:?}");
        }
        let answer = app.post("/api/segments", json!({"name": text, "kind": "static"})).await;
        let ok = taken(&answer, "/name", text, &answer.json["name"], &json!(text.trim()));
        assert!(!(ok && breaks_a_line(text)), "a segment took {text:?}");
        let rules = json!({"field": "city", "op": "contains", "value": text});
        let answer = app.post("/api/segments/preview", json!({ "rules": rules })).await;
        taken(&answer, "/rules", text, &answer.json["count"], &answer.json["count"]);
        let found = app.request(reqwest::Method::GET, "/api/campaigns").query(&[("q", text)]);
        assert!([200, 422].contains(&app.send(found).await.status), "{text:?}");
    }
    assert!(kept > 400, "{kept}");
}

/// A contact's data is data: merged into a mail it is text, in HTML escaped, and never a template.
#[tokio::test]
async fn what_a_contact_is_called_is_never_understood() {
    let app = TestApp::start().await;
    let own = Fixture::of(&app).await;
    let step = format!("/api/campaigns/{}/steps/{}", own.draft, own.step);
    let parts = json!({
        "subjectLine": "[{{ firstName }}]", "emailContent": "<p>[{{ firstName }}]</p>", "textContent": "[{{ firstName }}]"
    });
    app.patch(&step, parts).await.assert_status(200);
    for text in NASTY {
        if app.patch(&format!("/api/contacts/{}", own.contact), json!({"firstName": text})).await.status != 200 {
            continue;
        }
        for body in [json!({"contactId": own.contact}), json!({"contact": {"firstName": text}})] {
            let shown = app.post(&format!("/api/campaigns/{}/preview", own.draft), body).await;
            shown.assert_status(200);
            let plain = format!("[{}]", text.trim());
            assert_eq!((&shown.json["subject"], &shown.json["text"]), (&json!(plain), &json!(plain)), "{text:?}");
            let html = shown.json["html"].as_str().expect("HTML");
            let inner = html.strip_prefix("<p>[").and_then(|html| html.strip_suffix("]</p>")).expect("one paragraph");
            assert!(!inner.contains(['<', '>', '"', '\'']), "{text:?} became {html:?}");
            assert!(!inner.contains("49"), "{text:?} was worked out: {html:?}");
        }
    }
}

/// A server of its own, the real program, and everything that it writes to its log.
struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it with all its log, and waits until it says where it serves.
fn serve(database: &str, log: &str) -> (Server, std::net::SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["serve", "--http-addr", "127.0.0.1:0", "--log", log, "--log-filter", "trace"])
        .env_clear()
        .env("DATABASE_URL", database)
        .env("MUSTER_SECRET_KEY", "ab".repeat(32))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let log = Arc::new(Mutex::new(String::new()));
    let mut address = None;
    for line in lines.by_ref().map_while(Result::ok) {
        address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
        if address.is_some() {
            break;
        }
    }
    let written = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut log = written.lock().expect("the log");
            log.push_str(&line);
            log.push('\n');
        }
    });
    (Server { child, log }, address.expect("it says where it serves"))
}

#[tokio::test]
async fn nothing_that_a_request_says_is_ever_in_the_log() {
    let app = TestApp::start().await;
    let token = provision(&app.database, "acme", "main", &Scope::ALL).await;
    let (server, address) = serve(app.database.url().expose_secret(), "text");
    let caller = Caller::new(address, token.clone());
    let canary = "Kanarienvogel";
    let own = Fixture::made_by(&caller, &app.database).await;
    // Everything, well-formed with the canary in its texts, then refused because of it, then broken.
    for operation in operations() {
        let path = own.path(&operation);
        let separator = if path.contains('?') { '&' } else { '?' };
        let marked = format!("{path}{separator}{canary}={canary}");
        if operation.takes_json() {
            let body = sing(&own.body(&operation), canary);
            caller.send(caller.request(operation.method.clone(), &path).json(&body)).await;
            let broken = format!("{{\"{canary}\": {canary}");
            let request = caller.request(operation.method.clone(), &path).header("Content-Type", "application/json");
            caller.send(request.body(broken)).await.assert_problem(400, "malformed_json");
        } else if !operation.takes.is_empty() {
            let list =
                format!("email,firstName,{canary}\n{canary}@example.test,{canary},{canary}\n{canary},\"{canary}");
            let request = caller.request(operation.method.clone(), &path).header("Content-Type", "text/csv");
            caller.send(request.body(list)).await.assert_status(200);
        }
        for header in ["Idempotency-Key", "If-Match", "User-Agent", "X-Request-Id", "Referer"] {
            let request = caller.request(operation.method.clone(), &marked).header(header, canary);
            caller.send(request).await;
        }
    }
    let whole = sing(&whole_campaign(&own.segment), canary);
    caller.post("/api/campaigns", whole).await;
    caller.with_token(format!("mk_{canary}_{canary}{canary}")).get("/api/contacts").await.assert_status(401);
    for path in [format!("/{canary}"), format!("/u/{canary}"), format!("/api/contacts/{canary}")] {
        caller.get(&path).await.assert_status(404);
    }
    // Storage fails in the middle of a request that carries one.
    app.database.run_sql("ALTER TABLE contacts RENAME COLUMN email TO address").await;
    let request = json!({"email": format!("{canary}@example.test"), "firstName": canary});
    let failed = caller.post("/api/contacts", request).await;
    failed.assert_problem(500, "internal");
    assert!(!failed.text.contains("column") && !failed.text.contains("email"), "{failed:?}");
    let log = server.log.lock().expect("the log").clone();
    assert!(log.contains("request failed"), "it does write its log: {log}");
    let secret = token.rsplit('_').next().expect("three parts");
    for private in [canary, &canary.to_lowercase(), secret, "anna@", "gone@", "Anna"] {
        let line = log.lines().find(|line| line.contains(private));
        assert!(line.is_none(), "{private} is in the log: {line:?}");
    }
}

/// The same with the canary in every text that may be any text.
fn sing(value: &Value, canary: &str) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| {
                let free =
                    ["name", "description", "firstName", "fromName", "subjectLine", "emailContent", "textContent"];
                let address = ["fromEmail", "replyToEmail", "email"];
                let member = match name.as_str() {
                    name if free.contains(&name) => json!(format!("{canary} {{{{ firstName }}}}")),
                    name if address.contains(&name) => json!(format!("{canary}@example.test")),
                    _ => sing(member, canary),
                };
                (name.clone(), member)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| sing(item, canary)).collect(),
        other => other.clone(),
    }
}
