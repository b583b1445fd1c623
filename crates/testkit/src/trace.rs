//! Watching what the code does to deliveries and enrollments, and comparing each step with the tables of the domain.
//!
//! Triggers, which exist in tests only, write down every change of a row in the order in which the rows' locks let them happen.
//! The product knows nothing of it. A transaction that is rolled back takes its trace with it. The harnesses do the same with
//! the program `trace-check`.

use crate::database::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use muster_domain::model::delivery::{DeliveryState, Epoch};
use muster_domain::model::enrollment::{ExitReason, Standing};
use muster_domain::model::transitions::{DeliveryMark, check_delivery, check_enrollment};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Steps looked at.
    pub steps: usize,
    /// Which kinds of steps deliveries took.
    pub deliveries: BTreeSet<String>,
    /// Which kinds of steps enrollments took.
    pub enrollments: BTreeSet<String>,
    /// Those that are in no table, in words.
    pub unknown: Vec<String>,
}

/// Begins to watch; rows that are there already are taken as they are.
pub async fn watch(database: &TestDatabase) {
    database.run_sql(WATCH).await;
}

/// Compares everything that happened since with the tables.
///
/// # Panics
/// When the trace cannot be read.
pub async fn seen(database: &TestDatabase) -> Seen {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let lines: Result<Vec<Line>, _> = diesel::sql_query(LINES).load(&mut database.connect().await).await;
    let lines = lines.unwrap_or_else(|error| panic!("trace: {error}"));
    judge(lines.into_iter().map(|Line { line }| line)).unwrap_or_else(|line| panic!("no line of a trace: {line}"))
}

/// Compares a trace with the tables: the lines that [`LINES`] gives.
///
/// # Errors
/// The first line that is none.
pub fn judge(lines: impl Iterator<Item = String>) -> Result<Seen, String> {
    let mut check = Check::default();
    for line in lines {
        check.look_at(&TraceRow::parse(&line).ok_or(line)?);
    }
    Ok(check.end())
}

/// What was written down, a line for each change, in order.
pub const LINES: &str = "SELECT concat_ws(',', seq, place, op, tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends) \
    AS line FROM trace ORDER BY seq";

/// Has every change written down from now on, by whoever owns the tables.
pub const WATCH: &str = r#"
CREATE TABLE trace (
    seq bigint GENERATED ALWAYS AS IDENTITY, place text, op text, tenant_no int, campaign_no int, contact_no bigint, step smallint, pass int,
    state "char", epoch int, attempts smallint, resends smallint);
INSERT INTO trace (place, op, tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends)
    SELECT 'outbox', 'FOUND', tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends FROM outbox
    UNION ALL
    SELECT 'messages', 'FOUND', tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends FROM messages
    UNION ALL
    SELECT 'enrollments', 'FOUND', tenant_no, campaign_no, contact_no, 0::smallint, 0, status, 0, 0::smallint, 0::smallint FROM enrollments;
CREATE FUNCTION trace_delivery() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE r record;
BEGIN
    IF TG_OP = 'DELETE' THEN r := OLD; ELSE r := NEW; END IF;
    INSERT INTO trace (place, op, tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends)
        VALUES (TG_TABLE_NAME, TG_OP, r.tenant_no, r.campaign_no, r.contact_no, r.step, r.pass, r.state, r.epoch, r.attempts, r.resends);
    RETURN NULL;
END $$;
CREATE FUNCTION trace_enrollment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE r record;
BEGIN
    IF TG_OP = 'DELETE' THEN r := OLD; ELSE r := NEW; END IF;
    INSERT INTO trace (place, op, tenant_no, campaign_no, contact_no, step, pass, state, epoch, attempts, resends)
        VALUES (TG_TABLE_NAME, TG_OP, r.tenant_no, r.campaign_no, r.contact_no, 0, 0, r.status, 0, 0, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER trace_rows AFTER INSERT OR DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION trace_delivery();
CREATE TRIGGER trace_rows AFTER INSERT OR DELETE ON messages FOR EACH ROW EXECUTE FUNCTION trace_delivery();
CREATE TRIGGER trace_rows AFTER INSERT OR DELETE ON enrollments FOR EACH ROW EXECUTE FUNCTION trace_enrollment();
CREATE TRIGGER trace_changes AFTER UPDATE ON outbox FOR EACH ROW
    WHEN ((OLD.state, OLD.epoch, OLD.attempts, OLD.resends) IS DISTINCT FROM (NEW.state, NEW.epoch, NEW.attempts, NEW.resends))
    EXECUTE FUNCTION trace_delivery();
CREATE TRIGGER trace_changes AFTER UPDATE ON messages FOR EACH ROW
    WHEN ((OLD.state, OLD.epoch, OLD.attempts, OLD.resends) IS DISTINCT FROM (NEW.state, NEW.epoch, NEW.attempts, NEW.resends))
    EXECUTE FUNCTION trace_delivery();
CREATE TRIGGER trace_changes AFTER UPDATE ON enrollments FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION trace_enrollment();
"#;

#[derive(Debug)]
struct TraceRow {
    seq: i64,
    place: String,
    op: String,
    tenant_no: i32,
    campaign_no: i32,
    contact_no: i64,
    step: i16,
    pass: i32,
    state: u8,
    epoch: i32,
    attempts: i16,
    resends: i16,
}

impl TraceRow {
    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.trim_end().split(',');
        let row = Self {
            seq: cell(&mut cells)?,
            place: cell(&mut cells)?,
            op: cell(&mut cells)?,
            tenant_no: cell(&mut cells)?,
            campaign_no: cell(&mut cells)?,
            contact_no: cell(&mut cells)?,
            step: cell(&mut cells)?,
            pass: cell(&mut cells)?,
            state: *cells.next()?.as_bytes().first()?,
            epoch: cell(&mut cells)?,
            attempts: cell(&mut cells)?,
            resends: cell(&mut cells)?,
        };
        cells.next().is_none().then_some(row)
    }

    fn mark(&self) -> Option<DeliveryMark> {
        let state = match (self.place.as_str(), self.state) {
            ("outbox", b'p') => DeliveryState::Pending,
            ("outbox", b'c') => DeliveryState::Claimed,
            ("outbox", b's') => DeliveryState::Sending,
            ("messages", b's') => DeliveryState::Sent,
            ("messages", b'f') => DeliveryState::Failed,
            ("messages", b'u') => DeliveryState::Suppressed,
            ("messages", b'k') => DeliveryState::Skipped,
            ("messages", b'd') => DeliveryState::InDoubt,
            ("messages", b'x') => DeliveryState::Cancelled,
            _ => return None,
        };
        Some(DeliveryMark { state, epoch: Epoch(self.epoch), attempts: self.attempts, resends: self.resends })
    }

    fn standing(&self) -> Option<Standing> {
        let open = [Standing::Enrolled, Standing::Ready, Standing::Waiting, Standing::Delivering, Standing::Completed];
        let left = Standing::Exited(ExitReason::Manual);
        open.into_iter().chain([left]).find(|standing| standing.code() == self.state)
    }
}

fn cell<'a, T: std::str::FromStr>(cells: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    cells.next()?.parse().ok()
}

type Delivery = (i32, i32, i64, i16, i32);

#[derive(Default)]
struct Check {
    seen: Seen,
    /// Where each delivery stands, and whether its row is between the two tables.
    deliveries: BTreeMap<Delivery, (DeliveryMark, bool)>,
    enrollments: BTreeMap<(i32, i32, i64), Standing>,
}

impl Check {
    fn look_at(&mut self, row: &TraceRow) {
        if row.place == "enrollments" { self.enrollment(row) } else { self.delivery(row) }
    }

    fn unknown(&mut self, row: &TraceRow, what: impl std::fmt::Display) {
        let TraceRow { seq, place, op, tenant_no, campaign_no, contact_no, step, pass, .. } = row;
        let key = format!("tenant {tenant_no}, campaign {campaign_no}, contact {contact_no}, step {step}, pass {pass}");
        self.seen.unknown.push(format!("#{seq}, {op} in {place}, {key}: {what}"));
    }

    fn delivery(&mut self, row: &TraceRow) {
        let key = (row.tenant_no, row.campaign_no, row.contact_no, row.step, row.pass);
        let Some(after) = row.mark() else { return self.unknown(row, "no such state") };
        let before = self.deliveries.get(&key).copied();
        match (row.op.as_str(), before) {
            ("FOUND", _) => {
                self.deliveries.insert(key, (after, false));
                return;
            }
            ("DELETE", Some((mark, false))) => {
                self.deliveries.insert(key, (mark, true));
                return;
            }
            ("INSERT", Some((_, false))) => return self.unknown(row, "a second row of the same delivery"),
            ("UPDATE" | "DELETE", None | Some((_, true))) => {
                return self.unknown(row, "a row that was not there");
            }
            _ => {}
        }
        self.seen.steps += 1;
        let before = before.map(|(mark, _)| mark);
        match check_delivery(before, after) {
            Ok(()) => {
                let from = before.map_or_else(|| "none".to_owned(), |mark| format!("{:?}", mark.state));
                self.seen.deliveries.insert(format!("{from} → {:?}", after.state));
            }
            Err(error) => self.unknown(row, error),
        }
        self.deliveries.insert(key, (after, false));
    }

    fn enrollment(&mut self, row: &TraceRow) {
        let key = (row.tenant_no, row.campaign_no, row.contact_no);
        let Some(after) = row.standing() else { return self.unknown(row, "no such standing") };
        if row.op == "DELETE" {
            return self.unknown(row, "enrollments are kept");
        }
        let before = self.enrollments.insert(key, after);
        if row.op == "FOUND" {
            return;
        }
        self.seen.steps += 1;
        match check_enrollment(before, after) {
            Ok(()) => {
                self.seen.enrollments.insert(format!("{before:?} → {after:?}"));
            }
            Err(error) => self.unknown(row, error),
        }
    }

    fn end(mut self) -> Seen {
        let gone = self.deliveries.iter().filter(|(_, (_, between))| *between);
        let gone: Vec<String> = gone.map(|(key, (mark, _))| format!("{key:?} is gone, last {mark:?}")).collect();
        self.seen.unknown.extend(gone);
        self.seen
    }
}
