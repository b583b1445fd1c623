//! `muster work`, as many as one likes, beside one `muster serve`.

use crate::program::{Program, muster, text};
use muster_adapters::journal::FileJournal;
use muster_adapters::postgres::{PgStore, PoolOptions};
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch};
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::transport::{Journal, Phase};
use muster_server::catcher::{Catcher, CatcherOptions};
use muster_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SECRET: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

/// One installation: the settings that all its processes share.
struct Installation<'a> {
    database: &'a TestDatabase,
    catcher: &'a Catcher,
    state: &'a Path,
}

impl Installation<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = muster(arguments);
        command
            .env("DATABASE_URL", self.database.url().expose_secret())
            .env("MUSTER_SECRET_KEY", SECRET)
            .env("MUSTER_STATE_DIR", self.state)
            .env("MUSTER_SMTP_URL", format!("smtp://{}", self.catcher.smtp_addr()));
        command
    }

    fn start(&self, arguments: &[&str]) -> Program {
        Program::start(self.command(arguments))
    }
}

/// A caller of the API.
struct Caller {
    base: String,
    key: String,
    client: reqwest::Client,
}

impl Caller {
    async fn post(&self, path: &str, media_type: &str, body: String) -> Value {
        let request =
            self.client.post(format!("{}/api{path}", self.base)).header("Content-Type", media_type).body(body);
        self.answer(request).await
    }

    async fn get(&self, path: &str) -> Value {
        self.answer(self.client.get(format!("{}/api{path}", self.base))).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(&self.key).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{status} {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Imports so many contacts and launches a broadcast to them; the path of the campaign.
    async fn launch(&self, contacts: usize) -> String {
        let rows: Vec<String> = (0..contacts).map(|n| format!("reader{n}@example.test,Reader {n}")).collect();
        self.post("/contacts/import", "text/csv", format!("email,firstName\n{}\n", rows.join("\n"))).await;
        let rules = json!({"field": "email", "op": "exists", "value": true});
        let segment = json!({"name": "All", "kind": "dynamic", "rules": rules}).to_string();
        let segment = self.post("/segments", "application/json", segment).await;
        let campaign = json!({"name": "News", "campaignType": "broadcast", "segmentId": segment["id"],
            "fromName": "News", "fromEmail": "news@example.test"});
        let campaign = self.post("/campaigns", "application/json", campaign.to_string()).await;
        let path = format!("/campaigns/{}", campaign["id"].as_str().expect("an id"));
        let step = json!({"name": "News", "stepType": "email", "subjectLine": "Hello {{ firstName }}",
            "emailContent": "<p>News</p>"});
        self.post(&format!("{path}/steps"), "application/json", step.to_string()).await;
        self.post(&format!("{path}/launch"), "application/json", "{}".to_owned()).await;
        path
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_campaign_and_nobody_gets_it_twice() {
    const CONTACTS: usize = 400;
    muster_server::crypto::install_provider();
    let database = TestDatabase::create().await;
    let catcher = Catcher::start(CatcherOptions::default()).await.expect("a catcher");
    let state = tempfile::tempdir().expect("a folder");
    let installation = Installation { database: &database, catcher: &catcher, state: state.path() };

    let serve = installation.start(&["serve", "--http-addr", "127.0.0.1:0"]);
    let work = ["work", "--metrics-addr", "127.0.0.1:0"];
    let mut workers = [installation.start(&work), installation.start(&work)];
    let line = serve.wait_for_log("serving http://");
    let base =
        line.split_once("serving ").and_then(|(_, rest)| rest.split_once("/api")).expect("an address").0.to_owned();
    let made = installation.command(&["keys", "create", "--tenant", "acme", "--workspace", "main"]).output();
    let key = text(&made.expect("a key").stdout).trim().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let caller = Caller { base, key, client };

    let campaign = caller.launch(CONTACTS).await;
    let give_up = Instant::now() + crate::program::PATIENCE;
    while caller.get(&campaign).await["campaign"]["status"] != "completed" {
        assert!(Instant::now() < give_up, "{}\n{}", workers[0].log(), workers[1].log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let balance = caller.get(&format!("{campaign}/balance")).await;
    assert_eq!(balance["balanced"], true, "{balance}");
    assert_eq!(balance["steps"][0]["sent"], CONTACTS, "{balance}");
    while counted(&workers, "muster_deliveries_total{outcome=\"sent\"}").await != CONTACTS {
        assert!(Instant::now() < give_up, "each mail is counted by the worker that sent it");
    }
    for worker in &workers {
        let answers = [figures(worker, "/healthz").await.0, figures(worker, "/api/campaigns").await.0];
        assert_eq!(answers, [200, 404], "it lives, and serves nothing else");
    }
    let mails = catcher.messages();
    let recipients: HashSet<&str> = mails.iter().map(|mail| mail.recipients[0].as_str()).collect();
    assert_eq!((mails.len(), recipients.len(), catcher.stats().duplicates), (CONTACTS, CONTACTS, 0));

    for worker in &mut workers {
        worker.signal("TERM");
        assert_eq!(worker.wait().code(), Some(0), "{}", worker.log());
    }
    let databases: Vec<_> = state.path().join("databases").read_dir().expect("databases").map(Result::unwrap).collect();
    assert_eq!(databases.len(), 1, "of one database");
    let journals = databases[0].path().join("journal").read_dir().expect("journals").count();
    assert_eq!(journals, 0, "a worker that ends in order leaves no journal");
}

/// A journal as a killed worker of that database leaves it.
async fn abandoned_journal(state: &Path, database: &TestDatabase) -> PathBuf {
    let store = PgStore::new(database.url(), PoolOptions::default()).expect("a store");
    let folder = state.join("databases").join(store.identity().await.expect("a name"));
    let journal = FileJournal::open(&folder).expect("a journal");
    let (tenant, campaign, contact) = (TenantNo(1), CampaignNo(1), ContactNo(1));
    let key = DeliveryKey { tenant, campaign, contact, step: StepNo(1), pass: Pass(1) };
    journal.record(Attempt { key, epoch: Epoch(1) }, &Phase::Begun).expect("a record");
    drop(journal);
    let files: Vec<_> =
        folder.join("journal").read_dir().expect("journals").map(|file| file.expect("a file")).collect();
    assert_eq!(files.len(), 1, "it stays, since something is open in it");
    files[0].path()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reads_no_journal_of_another_database() {
    muster_server::crypto::install_provider();
    let (database, other) = (TestDatabase::create().await, TestDatabase::create().await);
    let catcher = Catcher::start(CatcherOptions::default()).await.expect("a catcher");
    let state = tempfile::tempdir().expect("a folder");
    let ours = abandoned_journal(state.path(), &database).await;
    let theirs = abandoned_journal(state.path(), &other).await;
    let installation = Installation { database: &database, catcher: &catcher, state: state.path() };
    let mut worker = installation.start(&["work"]);
    let give_up = Instant::now() + crate::program::PATIENCE;
    while ours.exists() {
        assert!(Instant::now() < give_up, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.signal("TERM");
    assert_eq!(worker.wait().code(), Some(0), "{}", worker.log());
    assert!(theirs.exists());
}

/// What a worker serves at an address of its log, under that path.
async fn figures(worker: &Program, path: &str) -> (u16, String) {
    let line = worker.wait_for_log("figures are served");
    let address = line.rsplit_once("address=").expect("an address").1.trim().to_owned();
    let answer = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// A counter of all workers together; nothing while it is not there.
async fn counted(workers: &[Program], name: &str) -> usize {
    let mut counted = 0;
    for worker in workers {
        let page = figures(worker, "/metrics").await.1;
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        counted += line.map_or(0, |value| value.trim().parse::<usize>().expect("a number"));
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn work_says_where_figures_cannot_be_served() {
    let (database, catcher) = (TestDatabase::create().await, Catcher::start(CatcherOptions::default()).await.unwrap());
    let state = tempfile::tempdir().expect("a folder");
    let installation = Installation { database: &database, catcher: &catcher, state: state.path() };
    let taken = catcher.http_addr().to_string();
    let ended = crate::program::run(installation.command(&["work", "--metrics-addr", &taken]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("--metrics-addr (MUSTER_METRICS_ADDR)"), "{}", text(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn work_waits_for_a_database_that_is_not_migrated_and_then_begins() {
    let database = TestDatabase::create_empty().await;
    let catcher = Catcher::start(CatcherOptions::default()).await.expect("a catcher");
    let state = tempfile::tempdir().expect("a folder");
    let installation = Installation { database: &database, catcher: &catcher, state: state.path() };
    let mut worker = installation.start(&["work"]);
    assert!(worker.wait_for_log("waiting for the database").contains("muster migrate"));
    muster_adapters::postgres::migrate(database.url()).await.expect("migrations");
    worker.wait_for_log("working");
    worker.signal("INT");
    assert_eq!(worker.wait().code(), Some(0), "{}", worker.log());
}
