//! The delivery protocol and nothing else: what a program costs at least that promises that nothing is lost or sent twice.
//!
//! Claims, begins and records of the same rows in the same tables, with the same order of durable commits and writes to the mail
//! server, and nothing beside: no template and no message to be made, nothing looked up of a contact, no unsubscribe kept out, no
//! guard against another worker's claim, no role and no row-level security, no journal, no history, no books. Mails are claimed ten
//! begins ahead; all sessions begin together, because fewer transactions cost less than sessions that stand idle, and each begin has its
//! locks while the one before it is committed.

use super::database::{Database, connect};
use anyhow::{Context, Result};
use futures::future::try_join_all;
use futures::try_join;
use muster_domain::model::ids::CampaignKey;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_postgres::{Client, Statement};

/// Begins whose mails are claimed together.
const AHEAD: usize = 10;
/// Between records.
const EVERY: Duration = Duration::from_millis(40);
/// Mails in a claim, at least.
const WORTH_A_CLAIM: usize = 100;
/// The same plans for every size of batch, and none made anew.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan";

const LOCK: &str = "SELECT pg_advisory_xact_lock_shared(1, $1), pg_advisory_xact_lock_shared(2, $2)";
/// The keys of the mails, as rows to be joined: so each is looked up by itself, whatever is believed of the queue.
macro_rules! mails {
    () => {
        "(SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.contact_no, $4::smallint AS step, $5::int AS pass \
            FROM unnest($3::bigint[]) AS u (contact_no) OFFSET 0) AS a"
    };
}
const BEGIN: &str = concat!(
    "UPDATE outbox o SET state = 's', attempts = o.attempts + 1 FROM ",
    mails!(),
    " WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
        AND o.pass = a.pass AND o.state = 'c' \
        AND (SELECT status = 'active' FROM campaigns WHERE tenant_no = $1 AND campaign_no = $2)"
);
const PASS_ON: &str = concat!(
    "UPDATE enrollments e SET status = 'c', ended_at = now(), last_email_sent_at = now() FROM ",
    mails!(),
    " WHERE e.tenant_no = a.tenant_no AND e.campaign_no = a.campaign_no AND e.contact_no = a.contact_no"
);
const RECORD: &str = concat!(
    "WITH gone AS (DELETE FROM outbox o USING ",
    mails!(),
    " WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
        AND o.pass = a.pass RETURNING o.*) \
    INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, resends, epoch, version, queued_at, ended_at) \
    SELECT tenant_no, campaign_no, contact_no, step, pass, 's', attempts, resends, epoch, version, queued_at, now() FROM gone"
);

/// What is sent: one step of one campaign.
#[derive(Clone, Copy)]
struct Queue {
    key: CampaignKey,
    step: i16,
    pass: i32,
}

/// Mails a second, for so long or until all are sent, by so many sessions with the server at `port`; each of so many octets.
pub(crate) async fn alone(
    database: &Database,
    key: CampaignKey,
    port: u16,
    (sessions, bytes): (usize, usize),
    at_most: Duration,
) -> Result<f64> {
    let first = database.client().query_one("SELECT step, pass FROM outbox LIMIT 1", &[]).await?;
    let queue = Queue { key, step: first.get(0), pass: first.get(1) };
    let (claimed, claims) = mpsc::channel(1);
    let (sent, outcomes) = mpsc::unbounded_channel();
    let claiming = claim(connect(&database.url).await?, key, sessions, claimed);
    let sending = send(database, queue, port, (sessions, bytes), claims, sent, at_most);
    let recording = record(connect(&database.url).await?, queue, outcomes);
    // Each ends with the one before it; a claim that nobody takes is no failure.
    let ((), begun, (count, recorded)) = try_join!(claiming, sending, recording)?;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    Ok(count as f64 / recorded.duration_since(begun).as_secs_f64())
}

/// A claim of so many mails. How many stands in the text: of a plan for any number a tenth of the queue would be expected to be wanted.
fn claim_of(mails: usize) -> String {
    format!(
        "WITH due AS MATERIALIZED (SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox \
            WHERE tenant_no = $1 AND campaign_no = $2 AND lease_until IS NULL AND retry_at IS NULL AND due_at <= now() \
            ORDER BY due_at LIMIT {mails} FOR UPDATE SKIP LOCKED) \
        UPDATE outbox o SET state = 'c', epoch = o.epoch + 1, lease_until = clock_timestamp() + interval '1 minute' FROM due \
        WHERE o.tenant_no = due.tenant_no AND o.campaign_no = due.campaign_no AND o.contact_no = due.contact_no \
            AND o.step = due.step AND o.pass = due.pass \
        RETURNING o.contact_no"
    )
}

/// Claims for as long as somebody takes it.
async fn claim(client: Client, key: CampaignKey, sessions: usize, claimed: mpsc::Sender<Vec<i64>>) -> Result<()> {
    client.batch_execute(PLANS).await?;
    let claim = client.prepare(&claim_of((sessions * AHEAD).max(WORTH_A_CLAIM))).await?;
    loop {
        let rows = client.query(&claim, &[&key.tenant.0, &key.campaign.0]).await?;
        let mails: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if mails.is_empty() {
            return Ok(());
        }
        for part in mails.chunks(sessions) {
            if claimed.send(part.to_vec()).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A connection for begins, of which the next has its locks while another is committed.
struct Begins {
    client: Client,
    lock: Statement,
    begin: Statement,
}

impl Begins {
    async fn over(client: Client) -> Result<Self> {
        client.batch_execute(PLANS).await?;
        let (lock, begin) = try_join!(client.prepare(LOCK), client.prepare(BEGIN))?;
        Ok(Self { client, lock, begin })
    }

    /// Locks and marks the next mails, if there are any.
    async fn next(&self, queue: Queue, claims: &mut mpsc::Receiver<Vec<i64>>) -> Result<Option<Vec<i64>>> {
        let Some(mails) = claims.recv().await else { return Ok(None) };
        run(&self.client, queue, &[(&self.lock, false), (&self.begin, true)], &mails).await?;
        Ok(Some(mails))
    }

    async fn commit(&self) -> Result<()> {
        Ok(self.client.batch_execute("COMMIT").await?)
    }
}

/// All sessions begin a mail each, in one transaction; when it is committed each hands over its own, with the sender of its next behind
/// it. Answers when it began.
async fn send(
    database: &Database,
    queue: Queue,
    port: u16,
    (sessions, bytes): (usize, usize),
    mut claims: mpsc::Receiver<Vec<i64>>,
    sent: mpsc::UnboundedSender<Vec<i64>>,
    at_most: Duration,
) -> Result<Instant> {
    let mut here = Begins::over(connect(&database.url).await?).await?;
    let mut there = Begins::over(connect(&database.url).await?).await?;
    let mut sessions = try_join_all((0..sessions).map(|_| Session::open(port))).await?;
    let message = message(bytes);
    let (mut begun, mut since) = (Vec::new(), None);
    let mut next = here.next(queue, &mut claims).await?;
    while let Some(mails) = next {
        let since = *since.get_or_insert_with(Instant::now);
        hand_over(&mut sessions, &message, begun.len(), mails.len()).await?;
        sent.send(begun)?;
        let ahead = async { if since.elapsed() > at_most { Ok(None) } else { there.next(queue, &mut claims).await } };
        ((), next) = try_join!(here.commit(), ahead)?;
        begun = mails;
        std::mem::swap(&mut here, &mut there);
    }
    hand_over(&mut sessions, &message, begun.len(), 0).await?;
    sent.send(begun)?;
    since.context("nothing was queued")
}

/// So many messages, and behind them so many senders of the next.
async fn hand_over(sessions: &mut [Session], message: &[u8], messages: usize, senders: usize) -> Result<()> {
    let each = sessions.iter_mut().enumerate().take(messages.max(senders));
    try_join_all(each.map(|(n, session)| session.exchange((n < messages).then_some(message), n < senders))).await?;
    Ok(())
}

/// Records what was sent meanwhile, until nobody sends any more. Answers with how many mails there were, and when the last was
/// recorded.
async fn record(
    client: Client,
    queue: Queue,
    mut outcomes: mpsc::UnboundedReceiver<Vec<i64>>,
) -> Result<(usize, Instant)> {
    let (mut count, mut recorded) = (0, Instant::now());
    client.batch_execute(PLANS).await?;
    let (pass_on, record) = try_join!(client.prepare(PASS_ON), client.prepare(RECORD))?;
    while let Some(mut mails) = outcomes.recv().await {
        while let Ok(more) = outcomes.try_recv() {
            mails.extend(more);
        }
        run(&client, queue, &[(&pass_on, true), (&record, true)], &mails).await?;
        client.batch_execute("COMMIT").await?;
        (count, recorded) = (count + mails.len(), Instant::now());
        tokio::time::sleep(EVERY).await;
    }
    Ok((count, recorded))
}

/// Opens a transaction and runs these in it, in one flight; some are told of the mails, and have to find them all.
async fn run(client: &Client, queue: Queue, statements: &[(&Statement, bool)], mails: &Vec<i64>) -> Result<()> {
    let Queue { key, step, pass } = queue;
    let all = mails.len() as u64;
    let each = statements.iter().map(|(statement, of_mails)| async {
        if *of_mails {
            let found = client.execute(*statement, &[&key.tenant.0, &key.campaign.0, mails, &step, &pass]).await?;
            anyhow::ensure!(found == all, "{found} of {all} mails were found");
        } else {
            client.execute(*statement, &[&key.tenant.0, &key.campaign.0]).await?;
        }
        Ok(())
    });
    let (begin, each) = (async { anyhow::Ok(client.batch_execute("BEGIN").await?) }, try_join_all(each));
    // Polled in this order, they are sent in this order.
    try_join!(begin, each)?;
    Ok(())
}

/// A message of so many octets that is ready to be written, with its end.
fn message(bytes: usize) -> Vec<u8> {
    let line = "The harvest was good this year, and the cellar is full to the roof....\r\n";
    let head = "Subject: News\r\n\r\n";
    format!("{head}{}.\r\n", line.repeat(bytes.saturating_sub(head.len()) / line.len())).into_bytes()
}

/// A connection whose other side takes whatever is written, and says so.
struct Session {
    stream: BufReader<TcpStream>,
    reply: String,
}

impl Session {
    async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut session = Self { stream: BufReader::new(stream), reply: String::new() };
        session.replies(1).await?;
        session.stream.write_all(b"HELO bench.example.test\r\n").await?;
        session.replies(1).await?;
        Ok(session)
    }

    /// A message, and the sender of the next behind it, as far as they are there.
    async fn exchange(&mut self, message: Option<&[u8]>, sender: bool) -> Result<()> {
        let commands: &[u8] = b"MAIL FROM:<news@example.test>\r\nRCPT TO:<reader@example.test>\r\nDATA\r\n";
        let commands = if sender { commands } else { &[] };
        self.stream.write_all(&[message.unwrap_or_default(), commands].concat()).await?;
        self.replies(usize::from(message.is_some()) + if sender { 3 } else { 0 }).await
    }

    async fn replies(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.reply.clear();
            self.stream.read_line(&mut self.reply).await?;
            anyhow::ensure!(self.reply.starts_with(['2', '3']), "the mail server said {:?}", self.reply);
        }
        Ok(())
    }
}
