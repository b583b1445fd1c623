//! The limit: actix, a connection, the queries, and nothing else.

use super::super::children::free_port;
use super::super::database::connect;
use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer, error, web};
use anyhow::Result;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Statement};

/// As many as the program's own pool has.
const CONNECTIONS: usize = 10;

const CAMPAIGN: &str = "SELECT row_to_json(c)::text, c.campaign_no FROM campaigns c JOIN segments s USING (tenant_no, segment_no) \
    LEFT JOIN sequence_versions v ON v.tenant_no = c.tenant_no AND v.campaign_no = c.campaign_no AND v.version = c.sequence_version \
    LEFT JOIN campaign_counters k ON k.tenant_no = c.tenant_no AND k.campaign_no = c.campaign_no \
    WHERE c.tenant_no = 1 AND c.workspace_no = 1 AND c.id = $1";
const STEPS: &str = "SELECT steps::text FROM sequence_versions WHERE tenant_no = 1 AND campaign_no = $1";
/// `{sums}` stands for the sum of each figure that there is.
const FIGURES: &str = "SELECT row_to_json(f)::text FROM (SELECT step, {sums} FROM stats \
    WHERE tenant_no = 1 AND campaign_no = $1 GROUP BY step) AS f";
const UNDER_WAY: &str = "SELECT count(*) FROM outbox WHERE tenant_no = 1 AND campaign_no = $1 AND state = 's'";
const LIST: &str = "SELECT row_to_json(c)::text, c.campaign_no FROM campaigns c JOIN segments s USING (tenant_no, segment_no) \
    LEFT JOIN campaign_counters k ON k.tenant_no = c.tenant_no AND k.campaign_no = c.campaign_no \
    WHERE c.tenant_no = 1 AND c.workspace_no = 1 ORDER BY c.created_at DESC, c.campaign_no DESC LIMIT 21";
const TOTALS: &str = "SELECT row_to_json(f)::text FROM (SELECT campaign_no, {sums} FROM stats \
    WHERE tenant_no = 1 AND campaign_no = ANY($1) GROUP BY campaign_no) AS f";
const CREATE: &str = "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, \
    from_name, schedule, settings, created_by, created_at, updated_at) \
    SELECT tenant_no, workspace_no, gen_random_uuid(), $2, campaign_type, 'draft', segment_no, from_email, from_name, schedule, \
    settings, created_by, now(), now() FROM campaigns WHERE tenant_no = 1 AND id = $1 RETURNING row_to_json(campaigns)::text";
const LAUNCH: &str = "UPDATE campaigns SET status = 'active', launched_at = now(), version = version + 1, enrollment_state = 'done', \
    enroll_total = 10 WHERE tenant_no = 1 AND id = $1 RETURNING row_to_json(campaigns)::text, campaign_no, segment_no";
const ENROLL: &str = "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
    SELECT tenant_no, $1, contact_no, now(), now(), 1, 1, 'e' FROM segment_members WHERE tenant_no = 1 AND segment_no = $2";
const BOOKS: &str = "INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open) VALUES (1, $1, 10, 10)";
const SUMS: &str = "SELECT string_agg(format('sum(%I)', column_name), ', ') FROM information_schema.columns \
    WHERE table_name = 'stats' AND data_type = 'bigint'";
const ALL: [&str; 10] = [CAMPAIGN, STEPS, FIGURES, UNDER_WAY, LIST, TOTALS, CREATE, LAUNCH, ENROLL, BOOKS];

struct Connection {
    client: Client,
    statements: Vec<Statement>,
}

struct Pool {
    connections: Vec<Mutex<Connection>>,
    turn: std::sync::atomic::AtomicUsize,
}

/// The server of the bare handlers.
pub(crate) struct Bare {
    pub(crate) port: u16,
    handle: ServerHandle,
}

impl Bare {
    pub(crate) async fn start(url: &SecretString) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(url).await?;
            let sums: String = client.query_one(SUMS, &[]).await?.get(0);
            let mut statements = Vec::new();
            for sql in ALL {
                statements.push(client.prepare(&sql.replace("{sums}", &sums)).await?);
            }
            connections.push(Mutex::new(Connection { client, statements }));
        }
        let pool = Data::new(Pool { connections, turn: 0.into() });
        let port = free_port()?;
        let app = move || {
            App::new()
                .app_data(pool.clone())
                .route("/get/{id}", web::get().to(get))
                .route("/list", web::get().to(list))
                .route("/create/{id}", web::post().to(create))
                .route("/launch/{id}", web::post().to(launch))
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let server = HttpServer::new(app).workers(threads).disable_signals().bind(("127.0.0.1", port))?.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { port, handle })
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Pool {
    /// The next connection; whoever finds it in use waits for it.
    fn next(&self) -> &Mutex<Connection> {
        let turn = self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        &self.connections[turn % self.connections.len()]
    }
}

impl Connection {
    fn statement(&self, sql: &str) -> &Statement {
        let index = ALL.iter().position(|one| *one == sql).unwrap_or_default();
        &self.statements[index]
    }
}

type Answer = actix_web::Result<HttpResponse>;

async fn get(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    let conn = pool.next().lock().await;
    let fault = error::ErrorInternalServerError;
    let found = conn.client.query_one(conn.statement(CAMPAIGN), &[&*id]).await.map_err(fault)?;
    let (campaign, number): (String, i32) = (found.get(0), found.get(1));
    let steps: String = conn.client.query_one(conn.statement(STEPS), &[&number]).await.map_err(fault)?.get(0);
    let figures = conn.client.query(conn.statement(FIGURES), &[&number]).await.map_err(fault)?;
    let under_way: i64 = conn.client.query_one(conn.statement(UNDER_WAY), &[&number]).await.map_err(fault)?.get(0);
    let figures: Vec<String> = figures.iter().map(|row| row.get(0)).collect();
    let body = format!(
        "{{\"campaign\":{campaign},\"steps\":{steps},\"figures\":[{}],\"inFlight\":{under_way}}}",
        figures.join(",")
    );
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

async fn list(pool: Data<Pool>) -> Answer {
    let conn = pool.next().lock().await;
    let fault = error::ErrorInternalServerError;
    let found = conn.client.query(conn.statement(LIST), &[]).await.map_err(fault)?;
    let numbers: Vec<i32> = found.iter().map(|row| row.get(1)).collect();
    let totals = conn.client.query(conn.statement(TOTALS), &[&numbers]).await.map_err(fault)?;
    let texts: Vec<String> = found.iter().chain(&totals).map(|row| row.get(0)).collect();
    Ok(HttpResponse::Ok().content_type("application/json").body(format!("[{}]", texts.join(","))))
}

async fn create(pool: Data<Pool>, id: Path<uuid::Uuid>, body: Bytes) -> Answer {
    let fault = error::ErrorInternalServerError;
    let wanted: serde_json::Value = serde_json::from_slice(&body).map_err(error::ErrorBadRequest)?;
    let name = wanted["name"].as_str().unwrap_or_default();
    let conn = pool.next().lock().await;
    let made: String = conn.client.query_one(conn.statement(CREATE), &[&*id, &name]).await.map_err(fault)?.get(0);
    Ok(HttpResponse::Created().content_type("application/json").body(made))
}

async fn launch(pool: Data<Pool>, id: Path<uuid::Uuid>) -> Answer {
    let mut conn = pool.next().lock().await;
    launch_on(&mut conn, *id).await.map_err(error::ErrorInternalServerError)
}

async fn launch_on(conn: &mut Connection, id: uuid::Uuid) -> Result<HttpResponse, tokio_postgres::Error> {
    let Connection { client, statements } = conn;
    let of = |sql: &str| &statements[ALL.iter().position(|one| *one == sql).unwrap_or_default()];
    let tx = client.transaction().await?;
    let found = tx.query_one(of(LAUNCH), &[&id]).await?;
    let (campaign, number, segment): (String, i32, i32) = (found.get(0), found.get(1), found.get(2));
    tx.execute(of(ENROLL), &[&number, &segment]).await?;
    tx.execute(of(BOOKS), &[&number]).await?;
    tx.commit().await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(campaign))
}
