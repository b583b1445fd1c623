//! Tenants, contacts and campaigns as rows, for tests of the engine.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer};
use diesel_async::RunQueryDsl;
use muster_adapters::postgres::{PgStore, PoolOptions};
use muster_domain::model::ids::{CampaignId, CampaignKey, CampaignNo, TenantNo, WorkspaceNo};
use muster_domain::ports::store::Workspace;
use muster_testkit::database::TestDatabase;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// A database with a store over it.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: PgStore,
}

/// A campaign in a tenant of its own, its segment and its workspace.
pub(crate) struct Seed {
    pub(crate) workspace: Workspace,
    pub(crate) key: CampaignKey,
    pub(crate) id: CampaignId,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_field_names, reason = "named as the columns are")]
struct Numbers {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    workspace_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = PgStore::new(database.url(), PoolOptions::default()).unwrap();
        Self { database, store }
    }

    /// Business time begins now and runs `factor` times as fast.
    pub(crate) async fn with_time_lapse(factor: f64) -> Self {
        let fixture = Self::new().await;
        fixture
            .sql(&format!(
                "INSERT INTO virtual_clock (factor, virtual_now, ticked_at) VALUES ({factor}, now(), clock_timestamp())"
            ))
            .await;
        fixture
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.database.run_sql(sql).await;
    }

    /// What a `SELECT count(*)` says.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let sql = format!("SELECT ({sql}) AS n");
        let count: Count = diesel::sql_query(sql).get_result(&mut self.database.connect().await).await.unwrap();
        count.n
    }

    /// A draft drip with these steps, as they are stored, whose audience is a list.
    pub(crate) async fn campaign(&self, steps: &str) -> Seed {
        let [tenant, workspace, segment, campaign] = [(); 4].map(|()| Uuid::now_v7());
        let steps = steps.replace("00000000-0000", &campaign.to_string()[..13]);
        let sql = format!(
            "WITH t AS (INSERT INTO tenants (id, name, created_at) VALUES ('{tenant}', '{tenant}', now()) RETURNING tenant_no), \
             w AS (INSERT INTO workspaces (tenant_no, id, name, created_at) SELECT tenant_no, '{workspace}', 'main', now() FROM t RETURNING tenant_no, workspace_no), \
             s AS (INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
                   SELECT tenant_no, workspace_no, '{segment}', 'all', 'static', now(), now() FROM w RETURNING tenant_no, workspace_no, segment_no), \
             c AS (INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, from_name, schedule, settings, \
                   created_by, created_at, updated_at, sequence_version, next_step_no) \
                   SELECT tenant_no, workspace_no, '{campaign}', 'Test', 'drip', 'draft', segment_no, 'news@example.org', 'News', \
                   '{{\"timezone\": \"UTC\"}}', '{{}}', '{tenant}', now(), now(), 1, 100 FROM s RETURNING tenant_no, workspace_no, campaign_no), \
             v AS (INSERT INTO sequence_versions (tenant_no, campaign_no, version, steps, created_at) SELECT tenant_no, campaign_no, 1, $steps${steps}$steps$, now() FROM c), \
             p AS (INSERT INTO campaign_steps (tenant_no, campaign_no, step, id, step_order, name, step_type) \
                   SELECT tenant_no, campaign_no, (j ->> 'no')::smallint, (j ->> 'id')::uuid, (j ->> 'order')::smallint, j ->> 'name', j ->> 'stepType' \
                   FROM c, jsonb_array_elements($steps${steps}$steps$::jsonb) AS j) \
             SELECT tenant_no, workspace_no, campaign_no FROM c"
        );
        let made: Numbers = diesel::sql_query(sql).get_result(&mut self.database.connect().await).await.unwrap();
        let (tenant, campaign_no) = (TenantNo(made.tenant_no), CampaignNo(made.campaign_no));
        Seed {
            workspace: Workspace { tenant, workspace: WorkspaceNo(made.workspace_no) },
            key: CampaignKey { tenant, campaign: campaign_no },
            id: CampaignId(campaign),
        }
    }

    /// Contacts `cN@example.org` in the campaign's list; the number of the first.
    pub(crate) async fn contacts(&self, seed: &Seed, which: RangeInclusive<i64>) -> i64 {
        let (tenant, workspace) = (seed.workspace.tenant.0, seed.workspace.workspace.0);
        let (first, last) = which.into_inner();
        let campaign = seed.key.campaign.0;
        let sql = format!(
            "WITH c AS (INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, first_name, created_at, updated_at) \
                 SELECT {tenant}, {workspace}, gen_random_uuid(), 'c' || n || '@example.org', 'c' || n || '@example.org', 'C' || n, now(), now() \
                 FROM generate_series({first}, {last}) AS n RETURNING tenant_no, contact_no), \
             m AS (INSERT INTO segment_members (tenant_no, segment_no, contact_no) \
                 SELECT c.tenant_no, k.segment_no, c.contact_no FROM c JOIN campaigns k ON k.tenant_no = c.tenant_no AND k.campaign_no = {campaign}) \
             SELECT min(contact_no) AS n FROM c"
        );
        let first: Count = diesel::sql_query(sql).get_result(&mut self.database.connect().await).await.unwrap();
        first.n
    }
}
