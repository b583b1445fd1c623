//! Opens and clicks: from the settings of a campaign, by way of the mails that are sent, to the figures.

use crate::app::{Answer, PREVIOUS_SECRET, SECRET, TestApp, store};
use mail_parser::MessageParser;
use muster_adapters::smtp::SmtpConfig;
use muster_adapters::tokens::SealedTokens;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::ClickedLink;
use muster_domain::model::ids::{CampaignNo, ContactNo, LinkNo, Pass, StepNo, TenantNo};
use muster_domain::ports::tokens::{TokenPurpose, Tokens, TrackedLink};
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use muster_server::running::engine::Engine;
use muster_server::wiring::WorkerSettings;
use muster_testkit::database::TestCluster;
use reqwest::Method;
use secrecy::SecretSlice;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

/// A campaign of one mail, sent to so many contacts.
struct Sent {
    id: String,
    mails: Vec<Mail>,
}

/// A mail as it arrived.
struct Mail {
    html: String,
    text: String,
}

impl Mail {
    fn read(data: &[u8]) -> Self {
        let message = MessageParser::default().parse(data).expect("a message");
        let part = |text: Option<std::borrow::Cow<'_, str>>| text.expect("a part").into_owned();
        Self { html: part(message.body_html(0)), text: part(message.body_text(0)) }
    }

    /// Every address in it that leads by way of the program, as paths.
    fn paths(&self, below: &str) -> Vec<String> {
        let quoted = self.html.split('"').filter_map(|text| text.strip_prefix("http://muster.test"));
        quoted.filter(|path| path.starts_with(below)).map(str::to_owned).collect()
    }

    fn pixel(&self) -> String {
        let paths = self.paths("/t/o/");
        assert_eq!(paths.len(), 1, "{}", self.html);
        paths[0].clone()
    }

    fn trap(&self) -> String {
        let paths = self.paths("/t/h/");
        assert_eq!(paths.len(), 1, "{}", self.html);
        paths[0].clone()
    }

    fn links(&self) -> Vec<String> {
        self.paths("/t/c/")
    }
}

async fn send(app: &TestApp, contacts: usize, settings: Value, html: &str) -> Sent {
    send_steps(app, contacts, settings, json!([mail(html)])).await
}

fn mail(html: &str) -> Value {
    json!({"name": "hello", "stepType": "email", "subjectLine": "Hello", "emailContent": html})
}

/// The first mail of these steps, sent to everybody.
async fn send_steps(app: &TestApp, contacts: usize, settings: Value, steps: Value) -> Sent {
    let segment = app.post("/api/segments", json!({"name": "all", "kind": "static"})).await.id();
    for n in 1..=contacts {
        let contact =
            json!({"email": format!("c{n}@x.test"), "firstName": format!("Name {n}"), "customFields": {"page": n}});
        let id = app.post("/api/contacts", contact).await.id();
        app.post(&format!("/api/segments/{segment}/contacts"), json!({"contactIds": [id]})).await.assert_status(200);
    }
    let campaign = json!({"name": "c", "campaignType": "drip", "segmentId": segment, "fromEmail": "news@x.test",
        "fromName": "News", "settings": settings});
    let id = app.post("/api/campaigns", campaign).await.assert_status(201).id();
    app.put(&format!("/api/campaigns/{id}/steps"), json!({"steps": steps})).await.assert_status(200);
    app.post_empty(&format!("/api/campaigns/{id}/launch")).await.assert_status(200);
    let all = json!(contacts);
    work(app, async || app.get(&format!("/api/campaigns/{id}")).await.json["analytics"]["emailsSent"] == all).await;
    let mails = app.sink.messages().iter().map(|message| Mail::read(&message.data)).collect();
    Sent { id, mails }
}

/// Lets a worker work until it is so.
async fn work(app: &TestApp, done: impl AsyncFn() -> bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::start(WorkerSettings {
        store: store(&app.database),
        secret: SecretSlice::from(SECRET.to_vec()),
        previous_secrets: Vec::new(),
        public_url: "http://muster.test".to_owned(),
        smtp: SmtpConfig::parse(&app.sink.url().into()).expect("an address"),
        state_dir: folder.path().to_owned(),
        postal_address: PostalAddressRule::Recommended,
        bounce_domain: None,
        keep_events: None,
    })
    .await
    .expect("a worker");
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < PATIENCE, "it does not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.stop().await;
}

/// Somebody with a mail program: no key.
async fn fetch(app: &TestApp, method: Method, path: &str, agent: &str) -> Answer {
    let client = app.with_token("");
    client.send(client.request(method, path).header("User-Agent", agent)).await
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn get(app: &TestApp, path: &str) -> Answer {
    fetch(app, Method::GET, path, BROWSER).await
}

#[track_caller]
fn assert_redirect(answer: &Answer, target: &str) {
    answer.assert_status(302);
    assert_eq!(answer.header("location"), target);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.text, "");
}

#[track_caller]
fn assert_pixel(answer: &Answer) {
    answer.assert_status(200);
    assert_eq!(answer.header("content-type"), "image/gif");
    assert!(answer.header("cache-control").contains("no-store"));
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    assert!(answer.text.starts_with("GIF89a"));
}

async fn report(app: &TestApp, id: &str) -> Value {
    let today = chrono::Utc::now().date_naive();
    let range = format!("startDate={}&endDate={today}", today.pred_opt().expect("a day before"));
    app.get(&format!("/api/campaigns/{id}/analytics?{range}")).await.assert_status(200).json.clone()
}

/// Unique, total, all unique and all total of `opens` or `clicks`.
fn four(figures: &Value, of: &str) -> [i64; 4] {
    ["unique", "total", "allUnique", "allTotal"]
        .map(|kind| figures[format!("{kind}{of}")].as_i64().unwrap_or_else(|| panic!("{kind}{of} in {figures}")))
}

const BOTH: &str = "<html><body><p>Hi {{ firstName }}</p><a href=\"https://a.test/?x=1&amp;y=2\">A</a>\
    <a href='https://b.test/{{ customFields.page }}'>B</a><a href=\"mailto:me@x.test\">M</a>\
    <a data-muster-no-track href=\"https://c.test/\">C</a></body></html>";

/// With a link that opts out, as in [`BOTH`], each mail is read as HTML; without one the template has marks.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_marks_of_a_template_is_sent() {
    let template = BOTH.replace(" data-muster-no-track", "");
    for clicks in [true, false] {
        let app = TestApp::start().await;
        let sent = send(&app, 2, json!({"trackOpens": true, "trackClicks": clicks}), &template).await;
        for mail in &sent.mails {
            assert_eq!(mail.links().len(), if clicks { 3 } else { 0 }, "{}", mail.html);
            for part in [&mail.html, &mail.text] {
                assert!(!part.contains('\u{f8ff}') && !part.contains("muster-"), "{part}");
            }
            assert!(mail.text.contains("(https://a.test/?x=1&y=2)") && !mail.text.contains("/t/"), "{}", mail.text);
            assert!(clicks || mail.html.contains("<a href=\"https://a.test/?x=1&amp;y=2\">A</a>"), "{}", mail.html);
            assert_pixel(&get(&app, &mail.pixel()).await);
        }
        let last = sent.mails[0].links().last().cloned();
        if let Some(link) = last {
            assert_redirect(&get(&app, &link).await, "https://c.test/");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_and_clicks_are_counted_by_day_step_and_link() {
    let app = TestApp::start().await;
    let sent = send(&app, 3, json!({"trackOpens": true, "trackClicks": true}), BOTH).await;
    for mail in &sent.mails {
        assert_eq!(mail.links().len(), 2, "{}", mail.html);
        let untouched = ["mailto:me@x.test", "<a href=\"https://c.test/\">C</a>", "http://muster.test/u/"];
        assert!(
            untouched.iter().all(|link| mail.html.contains(link)) && !mail.html.contains("muster-"),
            "{}",
            mail.html
        );
        assert!(mail.text.contains("https://a.test/?x=1&y=2") && !mail.text.contains("/t/"), "{}", mail.text);
        assert!(mail.html.find("<img").unwrap_or_default() > mail.html.find("Unsubscribe").unwrap_or(usize::MAX));
    }
    let [first, second, _] = &sent.mails[..] else { panic!("three mails") };
    for mail in [first, second, first] {
        assert_pixel(&get(&app, &mail.pixel()).await);
    }
    let number = first.html.split("Hi Name ").nth(1).and_then(|rest| rest.split('<').next()).expect("a name");
    assert_redirect(&get(&app, &first.links()[0]).await, "https://a.test/?x=1&y=2");
    assert_redirect(&get(&app, &second.links()[0]).await, "https://a.test/?x=1&y=2");
    assert_redirect(&get(&app, &second.links()[0]).await, "https://a.test/?x=1&y=2");
    assert_redirect(&get(&app, &first.links()[1]).await, &format!("https://b.test/{number}"));

    let report = report(&app, &sent.id).await;
    for figures in [&report["totals"], &report["byStep"][0]] {
        assert_eq!((four(figures, "Opens"), four(figures, "Clicks")), ([2, 3, 2, 3], [2, 4, 2, 4]), "{report}");
        assert_eq!(figures["openRate"], json!(2.0 / 3.0));
    }
    let days: Vec<[i64; 4]> =
        report["overall"].as_array().expect("days").iter().map(|day| four(day, "Clicks")).collect();
    assert_eq!(days.iter().map(|day| day[1]).sum::<i64>(), 4, "{days:?}");
    let range =
        format!("startDate={}&endDate={}", report["overall"][0]["date"], report["overall"][1]["date"]).replace('"', "");
    let lines = app.request(Method::GET, &format!("/api/campaigns/{}/analytics?{range}", sent.id));
    let lines = app.send(lines.header("Accept", "application/x-ndjson")).await;
    assert_eq!(lines.assert_status(200).header("content-type"), "application/x-ndjson");
    assert!(lines.header("content-disposition").ends_with(".ndjson\""), "{lines:?}");
    let rows: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(json!(rows), report["overall"]);
    let by_link = report["byLink"].as_array().expect("links");
    let rows: Vec<_> =
        by_link.iter().map(|row| (row["url"].as_str().unwrap_or_default(), four(row, "Clicks"))).collect();
    assert_eq!(
        rows,
        [("https://a.test/?x=1&y=2", [2, 3, 2, 3]), ("https://b.test/{{ customFields.page }}", [1, 1, 1, 1])]
    );
    assert_eq!(by_link[0]["stepId"], report["byStep"][0]["stepId"]);
    assert_equal_to_a_recount_by_day_and_link(&app, &sent.id).await;
    app.assert_sql(
        "(SELECT string_agg(url, ' ' ORDER BY url) FROM links WHERE link IN (SELECT link FROM events)) = \
        'https://a.test/?x=1&y=2 https://b.test/{{ customFields.page }}'",
    )
    .await;
    let listed = app.get("/api/campaigns").await.json;
    assert_eq!(four(&listed["data"][0]["totals"], "Opens"), [2, 3, 2, 3]);
    let step = app.get(&format!("/api/campaigns/{}/steps", sent.id)).await.json;
    assert_eq!(step["data"][0]["stats"]["uniqueClicks"], 2);
}

/// Days of links in the API, as a table and as lines, in zones that cut the same clicks differently, against the rows.
async fn assert_equal_to_a_recount_by_day_and_link(app: &TestApp, id: &str) {
    // Clicks of three days, so that zones make a difference, and the figures after them.
    app.database
        .run_sql(
            "CREATE TEMP TABLE late AS SELECT *, row_number() OVER (ORDER BY at) AS n FROM events WHERE kind = 'c'; \
             INSERT INTO events (tenant_no, campaign_no, contact_no, step, pass, kind, id, link, at) \
                 SELECT tenant_no, campaign_no, contact_no, step, pass, kind, gen_random_uuid(), link, \
                     date_trunc('day', at, 'UTC') - interval '1 day' + d * interval '7 hours 50 minutes' + n * interval '1 minute' \
                 FROM late, generate_series(0, 5) d; \
             DELETE FROM link_stats; \
             INSERT INTO link_stats (tenant_no, campaign_no, quarter, step, link, clicks, human_clicks, clicked, human_clicked) \
                 SELECT tenant_no, campaign_no, date_bin('15 minutes', at, 'epoch'), step, link, count(*), count(*), \
                     count(*) FILTER (WHERE nth = 1), count(*) FILTER (WHERE nth = 1) \
                 FROM (SELECT *, row_number() OVER (PARTITION BY contact_no, step, pass, link ORDER BY at) AS nth FROM events \
                     WHERE kind = 'c') e GROUP BY 1, 2, 3, 4, 5",
        )
        .await;
    let today = chrono::Utc::now().date_naive();
    let (first, last) = (today - chrono::TimeDelta::days(3), today + chrono::TimeDelta::days(3));
    let mut cuts = std::collections::BTreeSet::new();
    for zone in ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"] {
        let recount = format!(
            "(SELECT string_agg(concat_ws(' ', day, url, uniques, total), ';' ORDER BY day, url) FROM ( \
                 SELECT (e.at AT TIME ZONE '{zone}')::date AS day, l.url, count(*) FILTER (WHERE e.nth = 1) AS uniques, count(*) AS total \
                 FROM (SELECT *, row_number() OVER (PARTITION BY contact_no, step, pass, link ORDER BY at) AS nth FROM events \
                     WHERE kind = 'c') e JOIN links l USING (tenant_no, campaign_no, step, link) GROUP BY 1, 2) d)"
        );
        let path =
            format!("/api/campaigns/{id}/analytics?startDate={first}&endDate={last}&timezone={zone}&groupBy=dayLink");
        let report = app.get(&path).await.assert_status(200).json.clone();
        let rows = report["byDayLink"].as_array().expect("days of links");
        let mut told: Vec<String> = rows
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().expect("a text").to_owned();
                format!("{} {} {} {}", text("date"), text("url"), row["uniqueClicks"], row["totalClicks"])
            })
            .collect();
        let lines = app.send(app.request(Method::GET, &path).header("Accept", "application/x-ndjson")).await;
        let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(&lines, rows);
        assert!(report.get("byDayStep").is_none() && rows.iter().all(|row| row["name"] == "hello"), "{report}");
        let table = app.send(app.request(Method::GET, &path).header("Accept", "text/csv")).await;
        assert_eq!(table.text.lines().count(), rows.len() + 1, "{}", table.text);
        told.sort();
        app.assert_sql(&format!("{recount} = '{}'", told.join(";"))).await;
        cuts.insert(told);
    }
    assert!(cuts.len() > 2, "zones cut days differently: {cuts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_unless_the_campaign_says_so() {
    let app = TestApp::start().await;
    let sent = send(&app, 1, json!({}), BOTH).await;
    let html = &sent.mails[0].html;
    assert!(
        !html.contains("/t/") && !html.contains("muster-") && html.contains("https://a.test/?x=1&amp;y=2"),
        "{html}"
    );
    assert_eq!(report(&app, &sent.id).await["byLink"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_both_is_one_of_both() {
    let app = TestApp::start().await;
    let opens = send(&app, 1, json!({"trackOpens": true}), BOTH).await;
    assert_eq!((opens.mails[0].paths("/t/o/").len(), opens.mails[0].links().len()), (1, 0));
    let app = TestApp::start().await;
    let clicks = send(&app, 1, json!({"trackClicks": true}), BOTH).await;
    assert_eq!((clicks.mails[0].paths("/t/o/").len(), clicks.mails[0].links().len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_not_to_be_followed_gets_there_and_is_not_recorded() {
    let app = TestApp::start().await;
    let sent = send(&app, 1, json!({"trackOpens": true, "trackClicks": true}), BOTH).await;
    let mail = &sent.mails[0];
    let client = app.with_token("");
    for (name, value) in [("Sec-GPC", "1"), ("DNT", "1")] {
        let ask = async |path: &str| client.send(client.request(Method::GET, path).header(name, value)).await;
        assert_pixel(&ask(&mail.pixel()).await);
        assert_redirect(&ask(&mail.links()[0]).await, "https://a.test/?x=1&y=2");
        ask(&mail.trap()).await.assert_status(204);
        ask(&format!("{}x", mail.links()[0])).await.assert_status(404);
    }
    app.assert_sql("NOT EXISTS (SELECT FROM events)").await;
    let allowed = client.send(client.request(Method::GET, &mail.pixel()).header("DNT", "0")).await;
    assert_pixel(&allowed);
    app.assert_sql("(SELECT count(*) FROM events) = 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_recorded_and_counted_apart() {
    let app = TestApp::start().await;
    let html = format!("{BOTH}<a href=\"https://d.test/\">D</a>");
    let sent = send(&app, 3, json!({"trackOpens": true, "trackClicks": true}), &html).await;
    let [head, proxy, sweep] = &sent.mails[..] else { panic!("three mails") };
    assert_eq!(fetch(&app, Method::HEAD, &head.pixel(), BROWSER).await.text, "");
    fetch(&app, Method::HEAD, &head.links()[0], BROWSER).await.assert_status(302);
    let google = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    assert_pixel(&fetch(&app, Method::GET, &proxy.pixel(), google).await);
    // One after the other, as quickly as a scanner is.
    for link in sweep.links() {
        get(&app, &link).await.assert_status(302);
    }
    let before = report(&app, &sent.id).await;
    assert_eq!(four(&before["totals"], "Opens"), [0, 0, 2, 2]);
    assert_eq!(four(&before["totals"], "Clicks"), [0, 0, 2, 4]);
    assert_eq!(before["totals"]["clickRate"], json!(0.0));
    app.assert_sql("(SELECT string_agg(machine::text, '' ORDER BY machine) FROM events) = 'ahhlll'").await;
    assert_pixel(&fetch(&app, Method::GET, &proxy.pixel(), "curl/8.5.0").await);
    assert_eq!(four(&report(&app, &sent.id).await["totals"], "Opens"), [1, 1, 2, 3], "then somebody looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_no_person_sees_gives_programs_away() {
    let app = TestApp::start().await;
    let sent = send(&app, 3, json!({"trackOpens": true, "trackClicks": true}), BOTH).await;
    for mail in &sent.mails {
        let hidden = format!(
            "<a href=\"http://muster.test{}\" style=\"display:none\" aria-hidden=\"true\" tabindex=\"-1\"></a><img ",
            mail.trap()
        );
        assert!(mail.html.contains(&hidden) && !mail.text.contains("/t/h/"), "{} {}", mail.html, mail.text);
    }
    let [scanner, person, checker] = &sent.mails[..] else { panic!("three mails") };
    // It follows one of two links, and the hidden one: as a person's browser, and before and after.
    assert_pixel(&get(&app, &scanner.pixel()).await);
    get(&app, &scanner.links()[1]).await.assert_status(302);
    app.assert_sql("(SELECT count(*) FROM events WHERE machine IS NULL) = 2").await;
    let answer = get(&app, &scanner.trap()).await;
    answer.assert_status(204);
    assert_eq!((answer.header("location"), answer.header("cache-control"), answer.text.as_str()), ("", "no-store", ""));
    get(&app, &scanner.links()[1]).await.assert_status(302);
    fetch(&app, Method::HEAD, &checker.trap(), BROWSER).await.assert_status(204);
    assert_pixel(&get(&app, &person.pixel()).await);
    get(&app, &person.links()[0]).await.assert_status(302);
    let report = report(&app, &sent.id).await;
    assert_eq!(four(&report["totals"], "Opens"), [1, 1, 2, 2]);
    assert_eq!(four(&report["totals"], "Clicks"), [1, 1, 3, 5]);
    let by_link: Vec<_> = report["byLink"]
        .as_array()
        .expect("links")
        .iter()
        .map(|row| (row["url"].clone(), four(row, "Clicks")))
        .collect();
    let (a, b) = (json!("https://a.test/?x=1&y=2"), json!("https://b.test/{{ customFields.page }}"));
    assert_eq!(by_link, [(a, [1, 1, 1, 1]), (b, [0, 0, 1, 2])]);
    app.assert_sql("(SELECT string_agg(DISTINCT machine::text, '') FROM events WHERE machine IS NOT NULL) = 't'").await;
    app.assert_sql("(SELECT count(*) FROM links) = 2").await;
}

fn tokens(secret: [u8; 32]) -> SealedTokens {
    SealedTokens::new(&SecretSlice::from(secret.to_vec()), &[])
}

fn delivery() -> DeliveryKey {
    let (tenant, campaign, contact) = (TenantNo(1), CampaignNo(1), ContactNo(1));
    DeliveryKey { tenant, campaign, contact, step: StepNo(1), pass: Pass(1) }
}

fn link(target: &str) -> TrackedLink {
    TrackedLink { delivery: delivery(), link: ClickedLink { no: LinkNo(5), of: 1 }, target: target.to_owned() }
}

#[tokio::test]
async fn a_token_that_is_not_ours_leads_nowhere_and_records_nothing() {
    let app = TestApp::start().await;
    let click = tokens(SECRET).seal_link(&link("https://x.test/a"));
    let open = tokens(SECRET).seal(TokenPurpose::Open, delivery());
    let mut bad: Vec<(String, String)> = vec![
        (String::new(), String::new()),
        ("x".to_owned(), "%00".to_owned()),
        ("%F0%9F/..//".to_owned(), "a/b".to_owned()),
        (format!("{click}A"), format!("{open}A")),
        (open.clone(), click.clone()),
        (tokens([9; 32]).seal_link(&link("https://x.test/")), tokens([9; 32]).seal(TokenPurpose::Open, delivery())),
        (
            tokens(SECRET).seal(TokenPurpose::Unsubscribe, delivery()),
            tokens(SECRET).seal(TokenPurpose::Delivery, delivery()),
        ),
        ("https://evil.test/".to_owned(), "?url=https://evil.test/".to_owned()),
    ];
    for at in 0..click.len().max(open.len()) {
        let swapped = |token: &str| {
            let mut bytes = token.as_bytes().to_vec();
            let byte = &mut bytes[at % token.len()];
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).expect("letters")
        };
        bad.push((swapped(&click), swapped(&open)));
    }
    for (click, open) in bad {
        let answer = get(&app, &format!("/t/c/{click}")).await;
        answer.assert_status(404);
        assert_eq!((answer.header("location"), answer.header("referrer-policy")), ("", "no-referrer"));
        assert!(answer.text.contains("<title>This link does not work</title>"), "{}", answer.text);
        assert_pixel(&get(&app, &format!("/t/o/{open}.gif")).await);
        let trap = get(&app, &format!("/t/h/{open}")).await;
        trap.assert_status(404);
        assert_eq!((trap.header("location"), trap.text == answer.text), ("", true));
    }
    app.assert_sql("NOT EXISTS (SELECT FROM events)").await;
    get(&app, &format!("/t/c/{click}")).await.assert_status(302);
    fetch(&app, Method::POST, &format!("/t/c/{click}"), BROWSER).await.assert_problem(405, "method_not_allowed");
    app.assert_sql("(SELECT count(*) FROM events) = 1").await;
}

#[tokio::test]
async fn what_the_secret_before_sealed_still_works() {
    let app = TestApp::start().await;
    let click = tokens(PREVIOUS_SECRET).seal_link(&link("https://x.test/"));
    assert_redirect(&get(&app, &format!("/t/c/{click}")).await, "https://x.test/");
    assert_pixel(
        &get(&app, &format!("/t/o/{}.gif", tokens(PREVIOUS_SECRET).seal(TokenPurpose::Open, delivery()))).await,
    );
    app.assert_sql("(SELECT count(*) FROM events) = 2").await;
}

#[tokio::test]
async fn a_click_that_cannot_be_stored_leads_on_and_says_that_it_is_not_stored() {
    let app = TestApp::start().await;
    app.database.run_sql("ALTER TABLE events RENAME TO hidden").await;
    let path = format!("/t/c/{}", tokens(SECRET).seal_link(&link("https://x.test/?a=1&b=2")));
    let answer = get(&app, &path).await;
    answer.assert_status(503);
    assert_eq!((answer.header("retry-after"), answer.header("location")), ("5", ""));
    assert!(answer.text.contains("content=\"0; url=https://x.test/?a=1&amp;b=2\""), "{}", answer.text);
    let open = get(&app, &format!("/t/o/{}.gif", tokens(SECRET).seal(TokenPurpose::Open, delivery()))).await;
    open.assert_status(503);
    assert!(open.text.starts_with("GIF89a"));
    let trap = get(&app, &format!("/t/h/{}", tokens(SECRET).seal(TokenPurpose::Trap, delivery()))).await;
    assert_eq!((trap.status, trap.header("retry-after"), trap.header("location")), (503, "5", ""));
    app.database.run_sql("ALTER TABLE hidden RENAME TO events").await;
    assert_redirect(&get(&app, &path).await, "https://x.test/?a=1&b=2");
    app.assert_sql("(SELECT count(*) FROM events) = 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_ask_what_people_did_with_the_mails_of_their_campaign() {
    let app = TestApp::start().await;
    let condition = |rule: Value, yes: &str| json!({"name": yes, "stepType": "condition", "conditionRules": rule, "trueNextStepId": yes, "falseNextStepId": "end"});
    let tag = |name: &str, next: &str| json!({"key": name, "name": name, "stepType": "action", "action": {"type": "add_tag", "tag": name}, "nextStepId": next});
    let opened = json!({"field": "opened", "op": "eq", "value": true});
    let clicked = json!({"all": [
        {"field": "clicked", "op": "eq", "value": {"url": "https://a.test/?x=1&y=2", "withinDays": 1}},
        {"not": {"field": "replied", "op": "exists", "value": true}},
    ]});
    let mut second = condition(clicked, "clicker");
    second["key"] = json!("second");
    let wait = json!({"name": "wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}});
    let steps = json!([
        mail(BOTH),
        wait,
        condition(opened.clone(), "opener"),
        tag("opener", "second"),
        second,
        tag("clicker", "end")
    ]);
    let sent = send_steps(&app, 4, json!({"trackOpens": true, "trackClicks": true}), steps).await;
    let [both, open, scanned, _] = &sent.mails[..] else { panic!("four mails") };
    for mail in [both, open] {
        assert_pixel(&get(&app, &mail.pixel()).await);
    }
    get(&app, &both.links()[0]).await.assert_status(302);
    get(&app, &open.links()[1]).await.assert_status(302);
    for link in scanned.links() {
        get(&app, &link).await.assert_status(302);
    }
    fetch(&app, Method::HEAD, &scanned.pixel(), BROWSER).await.assert_status(200);
    // The open of a campaign that is none of theirs is nothing to them.
    app.database
        .run_sql(
            "INSERT INTO engagements (tenant_no, campaign_no, contact_no, step, pass, kind, total, human_total, first_at, first_human_at, last_human_at) \
             SELECT tenant_no, 999, contact_no, 1, 1, 'o', 1, 1, now(), now(), now() FROM contacts",
        )
        .await;
    let campaign = format!("/api/campaigns/{}", sent.id);
    work(&app, async || app.get(&format!("{campaign}/balance")).await.json["steps"][1]["pending"] == 4).await;
    app.database.run_sql("UPDATE enrollments SET due_at = now()").await;
    work(&app, async || app.get(&campaign).await.json["campaign"]["status"] == "completed").await;
    let tags = "SELECT string_agg(tag || ' ' || n, ', ' ORDER BY tag) FROM (SELECT tag, count(*) AS n FROM contact_tags GROUP BY tag) t";
    app.assert_sql(&format!("({tags}) = 'clicker 1, opener 2'")).await;

    let preview = |rule: Value| app.post("/api/segments/preview", json!({ "rules": rule }));
    let found = preview(json!({"field": "opened", "op": "eq", "value": {"campaignId": sent.id}})).await;
    assert_eq!(found.assert_status(200).json["count"], 2, "{}", found.text);
    let all = preview(opened).await;
    assert_eq!(all.json["count"], 4, "without a campaign a segment means any");
    let copy = app.post_empty(&format!("{campaign}/clone")).await.assert_status(201).id();
    let steps = app.get(&format!("/api/campaigns/{copy}/steps")).await.json;
    assert_eq!(steps["data"][2]["conditionRules"]["field"], "opened");
}

#[tokio::test]
async fn the_conditions_of_a_copy_speak_of_the_copy() {
    let app = TestApp::start().await;
    let segment = app.post("/api/segments", json!({"name": "all", "kind": "static"})).await.id();
    let campaign = json!({"name": "c", "campaignType": "drip", "segmentId": segment, "fromEmail": "news@x.test", "fromName": "News"});
    let elsewhere = app.post("/api/campaigns", campaign.clone()).await.assert_status(201).id();
    let id = app.post("/api/campaigns", campaign).await.assert_status(201).id();
    let steps = format!("/api/campaigns/{id}/steps");
    let made = app.put(&steps, json!({"steps": [mail("<p>1</p>")]})).await.json;
    let first = made["data"][0]["id"].clone();
    let rules = json!({"any": [
        {"field": "opened", "op": "eq", "value": {"campaignId": id, "stepId": first, "withinDays": 3}},
        {"not": {"field": "received", "op": "eq", "value": {"campaignId": elsewhere}}},
    ]});
    let condition = json!({"stepType": "condition", "name": "?", "conditionRules": rules, "trueNextStepId": "end", "falseNextStepId": "end"});
    let mut kept = mail("<p>1</p>");
    kept["id"] = first.clone();
    let wait = json!({"name": "wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}});
    app.put(&steps, json!({"steps": [kept, wait, condition]})).await.assert_status(200);
    let copy = app.post_empty(&format!("/api/campaigns/{id}/clone")).await.assert_status(201).id();
    let copied = app.get(&format!("/api/campaigns/{copy}/steps")).await.json;
    let own = copied["data"][0]["id"].clone();
    assert_ne!(own, first);
    assert_eq!(
        copied["data"][2]["conditionRules"],
        json!({"any": [
            {"field": "opened", "op": "eq", "value": {"stepId": own, "withinDays": 3}},
            {"not": {"field": "received", "op": "eq", "value": {"campaignId": elsewhere}}},
        ]})
    );
}

#[tokio::test]
async fn a_condition_names_mails_that_there_are() {
    let app = TestApp::start().await;
    let segment = app.post("/api/segments", json!({"name": "all", "kind": "static"})).await.id();
    let campaign = json!({"name": "c", "campaignType": "drip", "segmentId": segment, "fromEmail": "news@x.test", "fromName": "News"});
    let (other, id) =
        (app.post("/api/campaigns", campaign.clone()).await.id(), app.post("/api/campaigns", campaign).await.id());
    let theirs = app.put(&format!("/api/campaigns/{other}/steps"), json!({"steps": [mail("<p>1</p>")]})).await.json["data"][0]["id"].clone();
    let steps = |which: Value| {
        let mut first = mail("<p>1</p>");
        first["key"] = json!("first");
        let wait = json!({"key": "wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "days"}});
        let rule = json!({"all": [{"not": {"field": "opened", "op": "eq", "value": which}}]});
        let condition = json!({"stepType": "condition", "name": "?", "conditionRules": rule, "trueNextStepId": "last", "falseNextStepId": "end"});
        let mut last = mail("<p>2</p>");
        last["key"] = json!("last");
        json!({"steps": [first, wait, condition, last]})
    };
    let path = format!("/api/campaigns/{id}/steps");
    let nowhere = "0199a1b2-0000-7000-8000-000000000001";
    for (which, field, code) in [
        (json!({"stepId": "frist"}), "stepId", "unknown_step"),
        (json!({"stepId": nowhere}), "stepId", "unknown_step"),
        (json!({"stepId": "wait"}), "stepId", "not_an_email"),
        (json!({"campaignId": other, "stepId": "first"}), "stepId", "invalid_id"),
        (json!({"campaignId": other, "stepId": nowhere}), "stepId", "unknown_step"),
        (json!({"campaignId": nowhere}), "campaignId", "unknown_campaign"),
    ] {
        let answer = app.put(&path, steps(which)).await;
        let pointer = format!("/steps/2/conditionRules/all/0/not/value/{field}");
        answer.assert_problem(422, "validation_failed");
        let told: Vec<_> = answer.json["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|e| (e["pointer"].clone(), e["code"].clone()))
            .collect();
        assert_eq!(told, [(json!(pointer), json!(code))], "{}", answer.text);
    }
    let asked = |answer: &Answer| answer.json["data"][2]["conditionRules"]["all"][0]["not"]["value"].clone();
    let with_key = app.put(&path, steps(json!({"stepId": "last", "withinDays": 3}))).await;
    let last = with_key.assert_status(200).json["data"][3]["id"].clone();
    assert_eq!(asked(&with_key), json!({"stepId": last, "withinDays": 3}), "a step further down, too");
    let elsewhere = json!({"campaignId": other, "stepId": theirs});
    assert_eq!(asked(app.put(&path, steps(elsewhere.clone())).await.assert_status(200)), elsewhere);
    // What names the copied campaign's own step by key names the copy's.
    app.put(&path, steps(json!({"stepId": "first"}))).await.assert_status(200);
    let copy = app.post_empty(&format!("/api/campaigns/{id}/clone")).await.assert_status(201).id();
    let copied = app.get(&format!("/api/campaigns/{copy}/steps")).await;
    assert_eq!(asked(&copied)["stepId"], copied.json["data"][0]["id"]);

    let rules = |which: Value| json!({"field": "opened", "op": "eq", "value": which});
    let preview = app.post("/api/segments/preview", json!({"rules": rules(json!({"stepId": nowhere}))})).await;
    preview.assert_problem(422, "validation_failed");
    assert_eq!(preview.json["errors"][0]["pointer"], "/rules/value/stepId");
    let made = app.post("/api/segments", json!({"name": "s", "kind": "dynamic", "rules": rules(elsewhere)})).await;
    let segment = format!("/api/segments/{}", made.assert_status(201).id());
    let crossed = json!({"rules": rules(json!({"campaignId": id, "stepId": theirs}))});
    app.patch(&segment, crossed).await.assert_problem(422, "validation_failed");
    let unknown = json!({"name": "t", "kind": "dynamic", "rules": rules(json!({"campaignId": nowhere}))});
    assert_eq!(app.post("/api/segments", unknown).await.json["errors"][0]["pointer"], "/rules/value/campaignId");
}

/// The server crashes and is started again, again and again, while mails are opened and links followed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_while_the_database_restarts_is_there() {
    const VISITORS: usize = 24;
    let cluster = TestCluster::start().await;
    let app = TestApp::start_on(cluster.database().await).await;
    let (stored, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let visitor = async |n: usize| {
        let key = DeliveryKey { contact: ContactNo(1 + n.try_into().unwrap_or(0_i64)), ..delivery() };
        let open = format!("/t/o/{}.gif", tokens(SECRET).seal(TokenPurpose::Open, key));
        let click =
            format!("/t/c/{}", tokens(SECRET).seal_link(&TrackedLink { delivery: key, ..link("https://x.test/") }));
        let mut refused = 0;
        while !over.load(Ordering::Relaxed) {
            for (path, fine) in [(&open, 200), (&click, 302)] {
                let answer = get(&app, path).await;
                if answer.status == fine {
                    stored.fetch_add(1, Ordering::Relaxed);
                } else {
                    answer.assert_status(503);
                    refused += 1;
                }
            }
        }
        refused
    };
    let outages = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            cluster.restart_immediate().await;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (refused, ()) = tokio::join!(futures::future::join_all((0..VISITORS).map(visitor)), outages);
    let (stored, refused) = (stored.into_inner(), refused.into_iter().sum::<usize>());
    println!("{stored} acknowledged, {refused} refused");
    assert!(stored > 100, "{stored}");
    // What was refused may still have been stored; what was acknowledged must have been, once.
    app.assert_sql(&format!("(SELECT count(*) FROM events) BETWEEN {stored} AND {}", stored + refused)).await;
    app.assert_sql("(SELECT sum(opens + clicks) FROM stats) = (SELECT count(*) FROM events)").await;
}
