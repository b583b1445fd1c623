//! A launched campaign whose first mail is queued for everybody: where tests of delivering begin.
//!
//! Rows are written and read beside the code under test, as the database's superuser.

use crate::database::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_adapters::postgres::{PgStore, PoolOptions, recount};
use muster_domain::model::campaign::Campaign;
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{
    CampaignId, CampaignKey, CampaignNo, ContactNo, Pass, StepId, StepNo, TenantNo, WorkspaceNo,
};
use muster_domain::model::schedule::{Schedule, Settings};
use muster_domain::model::sequence::{EmailContent, Explicit, Sequence, Step, StepKind, Target};
use muster_domain::ports::store::{StoreError, StoreResult, Tx, Workspace, in_tx};
use muster_domain::usecases::pause_campaign::{PauseCampaign, await_begins, in_flight, pause_campaign};
use muster_domain::usecases::resume_campaign::{ResumeCampaign, resume_campaign};
use std::time::Duration;
use uuid::Uuid;

/// What the campaign is like.
#[derive(Debug, Clone)]
pub struct QueuePlan {
    /// So many contacts, `c1@example.org` and so on, each with a mail of step 1 queued.
    pub contacts: i64,
    /// E-mail steps in a row.
    pub steps: i16,
    /// When it may send.
    pub schedule: Schedule,
    /// How it behaves.
    pub settings: Settings,
}

impl Default for QueuePlan {
    fn default() -> Self {
        Self { contacts: 10, steps: 1, schedule: Schedule::default(), settings: Settings::default() }
    }
}

/// A database with one such campaign, or several.
#[derive(Debug)]
pub struct MailQueue {
    /// The database.
    pub database: TestDatabase,
    /// The first campaign.
    pub key: CampaignKey,
    /// Its workspace.
    pub workspace: Workspace,
    /// The number of the first contact of the first campaign; the others follow.
    pub first_contact: i64,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

#[derive(QueryableByName)]
struct QueuedRow {
    #[diesel(sql_type = Integer)]
    workspace_no: i32,
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(sql_type = BigInt)]
    first_contact: i64,
}

impl MailQueue {
    /// A campaign with so many contacts, one step, no limits.
    pub async fn of(contacts: i64) -> Self {
        Self::with(QueuePlan { contacts, ..QueuePlan::default() }).await
    }

    /// A campaign as planned.
    pub async fn with(plan: QueuePlan) -> Self {
        Self::on(TestDatabase::create().await, plan).await
    }

    /// The same in that database.
    pub async fn on(database: TestDatabase, plan: QueuePlan) -> Self {
        let queued = queue(&mut database.connect().await, &plan).await;
        let workspace = Workspace { tenant: queued.key().tenant, workspace: WorkspaceNo(queued.workspace_no) };
        Self { key: queued.key(), workspace, first_contact: queued.first_contact, database }
    }

    /// Another tenant's campaign in the same database.
    pub async fn add(&self, plan: QueuePlan) -> CampaignKey {
        queue(&mut self.database.connect().await, &plan).await.key()
    }

    /// A store of its own over the database.
    ///
    /// # Panics
    /// When the database's address is no address.
    pub fn store(&self) -> PgStore {
        let options = PoolOptions { max_size: 12, wait: Duration::from_secs(10) };
        PgStore::new(self.database.url(), options).unwrap_or_else(|error| panic!("store: {error}"))
    }

    /// The delivery of the first step to the contact of that index, from 0.
    pub fn delivery(&self, index: i64) -> DeliveryKey {
        let CampaignKey { tenant, campaign } = self.key;
        DeliveryKey { tenant, campaign, contact: ContactNo(self.first_contact + index), step: StepNo(1), pass: Pass(1) }
    }

    /// Pauses the campaign as its story does: when this returns, nothing of it begins any more, though some may be under way.
    ///
    /// # Panics
    /// When it cannot be paused.
    pub async fn pause(&self, store: &PgStore) {
        let id = self.campaign_id().await;
        let paused = in_tx(store, self.workspace, async |tx| pause_campaign(tx, PauseCampaign { id }).await).await;
        let paused = paused.unwrap_or_else(|error| panic!("pause: {error}"));
        let waited = in_tx(store, self.workspace, async |tx| await_begins(tx, &paused).await).await;
        waited.unwrap_or_else(|error| panic!("pause: {error}"));
    }

    /// How many deliveries of the campaign have begun and not ended.
    ///
    /// # Panics
    /// When storage fails.
    pub async fn in_flight(&self, store: &PgStore) -> i64 {
        self.tell(store, async |tx, campaign| in_flight(tx, &campaign).await).await
    }

    /// Waits until nothing can begin that saw the campaign active.
    ///
    /// # Panics
    /// When storage fails.
    pub async fn barrier(&self, store: &PgStore) {
        self.tell(store, async |tx, campaign| await_begins(tx, &campaign).await).await;
    }

    /// Resumes the campaign.
    ///
    /// # Panics
    /// When it cannot be resumed.
    pub async fn resume(&self, store: &PgStore) {
        let id = self.campaign_id().await;
        let resumed = in_tx(store, self.workspace, async |tx| resume_campaign(tx, ResumeCampaign { id }).await).await;
        resumed.unwrap_or_else(|error| panic!("resume: {error}"));
    }

    /// Runs a story on the campaign, in a transaction of its workspace.
    ///
    /// # Panics
    /// When storage fails.
    pub async fn tell<T>(&self, store: &PgStore, story: impl AsyncFnOnce(&mut Tx, Campaign) -> StoreResult<T>) -> T {
        let id = self.campaign_id().await;
        let told = in_tx(store, self.workspace, async |tx| {
            let campaign = tx.campaigns().find(id).await?.unwrap_or_else(|| panic!("no campaign"));
            story(tx, campaign).await
        });
        told.await.unwrap_or_else(|error: StoreError| panic!("campaign: {error}"))
    }

    async fn campaign_id(&self) -> CampaignId {
        let id = self.text(&format!("SELECT id FROM campaigns WHERE campaign_no = {}", self.key.campaign.0)).await;
        CampaignId(id.parse().unwrap_or_else(|error| panic!("campaign id: {error}")))
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        self.database.run_sql(sql).await;
    }

    /// The value of an expression.
    ///
    /// # Panics
    /// When it has none.
    pub async fn number(&self, expression: &str) -> i64 {
        let query = diesel::sql_query(format!("SELECT ({expression})::bigint AS number"));
        let row: Result<NumberRow, _> = query.get_result(&mut self.database.connect().await).await;
        row.unwrap_or_else(|error| panic!("{expression}: {error}")).number
    }

    /// The value of an expression as text; empty when it is null.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn text(&self, expression: &str) -> String {
        let query = diesel::sql_query(format!("SELECT ({expression})::text AS text"));
        let row: Result<TextRow, _> = query.get_result(&mut self.database.connect().await).await;
        row.unwrap_or_else(|error| panic!("{expression}: {error}")).text.unwrap_or_default()
    }

    /// How many messages ended in that state.
    pub async fn messages(&self, state: char) -> i64 {
        self.number(&format!("SELECT count(*) FROM messages WHERE state = '{state}'")).await
    }

    /// How many deliveries are in that state of the outbox.
    pub async fn queued(&self, state: char) -> i64 {
        self.number(&format!("SELECT count(*) FROM outbox WHERE state = '{state}'")).await
    }

    /// Everything the delivery pipeline writes, in one text: to see that nothing changed.
    pub async fn snapshot(&self) -> String {
        let mut all = String::new();
        for table in
            ["outbox", "messages", "enrollments", "campaign_counters", "step_counters", "sending_quota", "stats"]
        {
            let expression = format!("SELECT string_agg(t::text, '; ' ORDER BY t::text) FROM {table} t");
            all.extend([table, ": ", &self.text(&expression).await, "\n"]);
        }
        all
    }

    /// Compares every figure of the books with a recount of the rows, for all campaigns, and those by quarter-hour too.
    ///
    /// # Panics
    /// When one differs, with the difference.
    pub async fn assert_books(&self) {
        let differences = self.text(recount::BOOKS).await;
        assert_eq!(differences, "", "books and rows differ");
        self.assert_figures().await;
    }

    /// Compares every figure of every quarter-hour with a recount of the rows, for all campaigns.
    ///
    /// # Panics
    /// When one differs, with the difference.
    pub async fn assert_figures(&self) {
        let differences = self.text(recount::FIGURES).await;
        assert_eq!(differences, "", "figures and rows differ");
    }
}

impl QueuedRow {
    fn key(&self) -> CampaignKey {
        CampaignKey { tenant: TenantNo(self.tenant_no), campaign: CampaignNo(self.campaign_no) }
    }
}

async fn queue(conn: &mut AsyncPgConnection, plan: &QueuePlan) -> QueuedRow {
    let name = Uuid::now_v7();
    let json = |value: Result<serde_json::Value, serde_json::Error>| {
        value.unwrap_or_else(|error| panic!("plan: {error}")).to_string().replace('\'', "''")
    };
    let next_step = if plan.steps > 1 { 2 } else { 0 };
    let sql = format!(
        "WITH t AS (INSERT INTO tenants (id, name, created_at) VALUES ('{name}', '{name}', now()) RETURNING tenant_no), \
         w AS (INSERT INTO workspaces (tenant_no, id, name, created_at) SELECT tenant_no, '{name}', 'main', now() FROM t \
             RETURNING tenant_no, workspace_no), \
         g AS (INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
             SELECT tenant_no, workspace_no, '{name}', 'all', 'static', now(), now() FROM w RETURNING tenant_no, segment_no), \
         c AS (INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, \
                 from_name, schedule, settings, created_by, created_at, updated_at, launched_at, sequence_version, \
                 enrollment_state) \
             SELECT w.tenant_no, workspace_no, '{name}', 'news', 'drip', 'active', segment_no, 'news@example.com', 'News', \
                 '{schedule}', '{settings}', '{name}', now(), now(), now(), 1, 'done' FROM w JOIN g USING (tenant_no) \
             RETURNING tenant_no, campaign_no, workspace_no), \
         v AS (INSERT INTO sequence_versions (tenant_no, campaign_no, version, steps, created_at) \
             SELECT tenant_no, campaign_no, 1, '{steps}', now() FROM c), \
         i AS (INSERT INTO campaign_steps (tenant_no, campaign_no, step, id, step_order, name, step_type) \
             SELECT tenant_no, campaign_no, n, lpad(to_hex(n), 32, '0')::uuid, n, 'mail ' || n, 'email' \
             FROM c, generate_series(1, {step_count}) AS n), \
         p AS (INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, first_name, created_at, updated_at) \
             SELECT tenant_no, workspace_no, gen_random_uuid(), 'c' || i || '@example.org', 'c' || i || '@example.org', \
                 'Name ' || i, now(), now() FROM c, generate_series(1, {contacts}) AS i RETURNING tenant_no, contact_no), \
         e AS (INSERT INTO enrollments (tenant_no, campaign_no, contact_no, enrolled_at, version, pass, step, status) \
             SELECT tenant_no, campaign_no, contact_no, now(), 1, 1, 1, 'd' FROM c JOIN p USING (tenant_no)), \
         o AS (INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
             SELECT tenant_no, campaign_no, contact_no, 1, 1, now() - interval '1 minute', now() - interval '1 minute', 1, \
                 {next_step} FROM c JOIN p USING (tenant_no)), \
         a AS (INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open) \
             SELECT tenant_no, campaign_no, {contacts}, {contacts} FROM c), \
         s AS (INSERT INTO step_counters (tenant_no, campaign_no, step, entered, pending) \
             SELECT tenant_no, campaign_no, 1, {contacts}, {contacts} FROM c) \
         SELECT tenant_no, campaign_no, workspace_no, coalesce((SELECT min(contact_no) FROM p), 0) AS first_contact FROM c",
        schedule = json(serde_json::to_value(&plan.schedule)),
        settings = json(serde_json::to_value(&plan.settings)),
        steps = json(serde_json::to_value(sequence(plan.steps))),
        contacts = plan.contacts,
        step_count = plan.steps,
    );
    let row: Result<QueuedRow, _> = diesel::sql_query(sql).get_result(conn).await;
    row.unwrap_or_else(|error| panic!("mail queue: {error}"))
}

fn sequence(steps: i16) -> Sequence {
    let step = |no: i16| {
        let content = EmailContent {
            subject_line: format!("Mail {no}"),
            email_content: "<p>Hello {{ firstName }}</p>".to_owned(),
            text_content: None,
            variants: Vec::new(),
        };
        let next = if no < steps { Target::Step(StepNo(no + 1)) } else { Target::End };
        let kind = StepKind::Email { content, next };
        Step {
            no: StepNo(no),
            id: StepId(Uuid::from_u128(no.unsigned_abs().into())),
            order: no,
            name: format!("mail {no}"),
            kind,
            explicit: Explicit::default(),
        }
    };
    Sequence { steps: (1..=steps).map(step).collect() }
}
