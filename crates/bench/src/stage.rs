//! The private server, and databases that all begin alike.
//!
//! What is to be measured is prepared once, through the REST API, in a database that is then copied for each
//! repetition: every one finds the same rows, the same indexes and the same statistics.

use super::Options;
use super::children::{Api, Child, free_port};
use super::database::Database;
use super::peers;
use anyhow::{Context, Result};
use muster_adapters::embedded::{Durability, EmbeddedOptions, EmbeddedPostgres, Shutdown};
use muster_adapters::postgres::{PgStore, PoolOptions, migrate};
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo, WorkspaceNo};
use muster_domain::ports::store::Workspace;
use muster_worker::plan::{PlanOptions, PlanPass};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The server and where its things lie.
pub(crate) struct Place {
    server: EmbeddedPostgres,
    folder: TempDir,
    program: PathBuf,
    copies: AtomicU32,
}

/// A prepared installation: one tenant, a list of contacts, and nothing launched.
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) segment: String,
}

/// The only tenant and its only workspace.
pub(crate) const OF: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };

impl Place {
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(std::path::absolute(&options.folder)?)?;
        let server = EmbeddedPostgres::start(EmbeddedOptions {
            state_dir: folder.path().join("state"),
            durability: Durability::Durable,
            bin_dir: std::env::var_os("MUSTER_PG_BIN").map(Into::into),
            download: false,
        })
        .await?;
        Ok(Self { server, folder, program: std::path::absolute(&options.program)?, copies: AtomicU32::new(0) })
    }

    /// Folders for whatever a section leaves lying about.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn socket_folder(&self) -> String {
        let url = self.url("postgres");
        let host = secrecy::ExposeSecret::expose_secret(&url).split(['@', '/']).nth(3).unwrap_or_default().to_owned();
        host.replace("%2F", "/")
    }

    pub(crate) fn url(&self, database: &str) -> secrecy::SecretString {
        self.server.database_url(database)
    }

    pub(crate) async fn open(&self, database: &str) -> Result<Database> {
        Database::open(self.url(database)).await
    }

    /// A migrated database with so many contacts in a list.
    pub(crate) async fn base(&self, contacts: u64) -> Result<Base> {
        let name = format!("base_{}", self.copies.fetch_add(1, Ordering::Relaxed));
        self.open("postgres").await?.run(&format!("CREATE DATABASE {name}")).await?;
        migrate(&self.url(&name)).await?;
        let key = self.key(&name)?;
        let server = self.serve(&name).await?;
        let api = server.api(&key);
        let made = api.post("/api/segments", &json!({"name": "Everybody", "kind": "static"})).await?;
        let segment = made["id"].as_str().context("a segment has an id")?.to_owned();
        drop(server);
        let database = self.open(&name).await?;
        database.run(&many_contacts(contacts)).await?;
        database.run("VACUUM (ANALYZE)").await?;
        Ok(Base { name, key, segment })
    }

    /// The same once more, file by file.
    pub(crate) async fn copy(&self, of: &str) -> Result<Database> {
        let name = format!("copy_{}", self.copies.fetch_add(1, Ordering::Relaxed));
        let admin = self.open("postgres").await?;
        admin.run(&format!("CREATE DATABASE {name} TEMPLATE {of} STRATEGY file_copy")).await?;
        self.open(&name).await
    }

    /// A database with nothing in it.
    pub(crate) async fn empty(&self) -> Result<Database> {
        self.copy("template0").await
    }

    /// Removes a database, so that the disk holds.
    pub(crate) async fn forget(&self, database: Database) -> Result<()> {
        let name = database.text("current_database()").await?;
        drop(database);
        self.drop_database(&name).await
    }

    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        let admin = self.open("postgres").await?;
        admin.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        admin.run("CHECKPOINT").await
    }

    fn key(&self, database: &str) -> Result<String> {
        let mut command = self.muster(database);
        let made = command.args(["keys", "create", "--tenant", "bench", "--workspace", "main"]).output()?;
        anyhow::ensure!(made.status.success(), "no key: {}", String::from_utf8_lossy(&made.stderr));
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    }

    /// The program, about to work on that database.
    fn muster(&self, database: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("DATABASE_URL", secrecy::ExposeSecret::expose_secret(&self.url(database)))
            .env("MUSTER_SECRET_KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
            .env("MUSTER_STATE_DIR", self.folder().join(format!("journals-{database}")))
            .env("MUSTER_PUBLIC_URL", "http://127.0.0.1:1");
        command
    }

    /// A `muster serve` that answers.
    pub(crate) async fn serve(&self, database: &str) -> Result<Child> {
        let port = free_port()?;
        let mut command = self.muster(database);
        command.args(["serve", "--http-addr", &format!("127.0.0.1:{port}")]);
        let child = Child::start(command, port, &self.folder().join(format!("serve-{database}.log")))?;
        child.wait_until_ready().await?;
        Ok(child)
    }

    /// A `muster work` that sends to that address.
    pub(crate) fn work(&self, database: &str, smtp: &str) -> Result<Child> {
        let mut command = self.muster(database);
        command.arg("work").env("MUSTER_SMTP_URL", smtp);
        Child::start(command, 0, &self.folder().join(format!("work-{database}.log")))
    }

    /// The machine and the versions, for whoever reads the table.
    pub(crate) async fn machine(&self) -> Result<String> {
        let postgres = self.open("postgres").await?.text("split_part(version(), ' ', 2)").await?;
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or("unknown")
            .trim_matches([' ', '\t', ':']);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory: f64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let day = self.open("postgres").await?.text("current_date").await?;
        Ok(format!(
            "{day}: {cores} cores of {cpu}, {:.0} GiB, Linux {}, PostgreSQL {postgres} with fsync and synchronous commit on the same machine, \
             as the clients, the peers and the mail sink were ({}). Commands: `just bench --save`.",
            memory / 1024.0 / 1024.0,
            kernel.trim(),
            peers::versions().join(", ")
        ))
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.server.stop(Shutdown::Fast).await?;
        Ok(())
    }
}

/// Contacts in the database itself: a request for each would take longer than what is to be measured.
fn many_contacts(count: u64) -> String {
    format!(
        "INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, first_name, created_at, updated_at) \
         SELECT 1, 1, gen_random_uuid(), e, e, 'Ada', now(), now() \
         FROM (SELECT format('c%s@example.test', n) AS e FROM generate_series(1, {count}) AS n) AS c; \
         INSERT INTO segment_members (tenant_no, segment_no, contact_no) \
         SELECT s.tenant_no, s.segment_no, c.contact_no FROM segments s JOIN contacts c USING (tenant_no, workspace_no)"
    )
}

/// The store under test, as a worker has it.
pub(crate) fn store(database: &Database) -> Result<PgStore> {
    Ok(PgStore::new(&database.url, PoolOptions { max_size: 10, wait: Duration::from_secs(30) })?)
}

/// Has everybody who is enrolled come to their first mail; how many mails are queued.
pub(crate) async fn queue_all(database: &Database) -> Result<f64> {
    let store = Arc::new(store(database)?);
    let mut pass = PlanPass::new(store.clone(), store.clone(), store.clone(), store, PlanOptions::default());
    while pass.tick().await?.queued > 0 {}
    let (queued, enrolled) = (
        database.number("SELECT count(*) FROM outbox").await?,
        database.number("SELECT count(*) FROM enrollments").await?,
    );
    anyhow::ensure!(queued >= enrolled, "{queued} of {enrolled} mails are queued");
    Ok(queued)
}

/// A campaign to everybody with these steps; not launched.
pub(crate) async fn campaign(api: &Api, base: &Base, steps: &Value, settings: &Value) -> Result<String> {
    let kind = if steps.as_array().is_some_and(|steps| steps.len() > 1) { "drip" } else { "broadcast" };
    let body = json!({"name": "Bench", "campaignType": kind, "segmentId": base.segment, "fromEmail": "news@example.test",
        "fromName": "News", "settings": settings});
    let made = api.post("/api/campaigns", &body).await?;
    let id = made["id"].as_str().context("a campaign has an id")?.to_owned();
    api.put(&format!("/api/campaigns/{id}/steps"), &json!({"steps": steps})).await?;
    Ok(id)
}

/// A mail of about that many bytes, with a greeting to fill in.
pub(crate) fn mail(bytes: usize) -> Value {
    let line = "<p>The harvest was good this year, and the cellar is full to the roof.</p>\n";
    let text = format!(
        "<p>Dear {{{{ firstName | default(\"friend\") }}}},</p>\n{}",
        line.repeat(bytes.saturating_sub(1_300) / line.len())
    );
    json!({"name": "Mail", "stepType": "email", "subjectLine": "News for {{ firstName }}", "emailContent": text,
        "textContent": "The harvest was good this year."})
}

/// The campaign that was made last.
pub(crate) async fn newest(database: &Database) -> Result<CampaignKey> {
    #[expect(clippy::cast_possible_truncation, reason = "numbers of campaigns are small")]
    let number = database.number("SELECT max(campaign_no) FROM campaigns").await? as i32;
    Ok(CampaignKey { tenant: OF.tenant, campaign: CampaignNo(number) })
}

/// Makes and launches a campaign; nobody is enrolled yet, as no worker is there.
pub(crate) async fn launched(
    place: &Place,
    database: &Database,
    base: &Base,
    steps: &Value,
    settings: &Value,
) -> Result<CampaignKey> {
    let name = database.text("current_database()").await?;
    let server = place.serve(&name).await?;
    let api = server.api(&base.key);
    let id = campaign(&api, base, steps, settings).await?;
    api.post(&format!("/api/campaigns/{id}/launch"), &Value::Null).await?;
    newest(database).await
}
