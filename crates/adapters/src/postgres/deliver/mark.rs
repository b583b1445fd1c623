//! Claims turned into sends: the mark by which a process that finds a delivery knows that it may have gone out.

use super::gate::is_open;
use super::rows::AttemptColumns;
use super::{bind_attempts, enough_ms, lease_ms};
use crate::postgres::StoreErrorExt;
use crate::postgres::prepared::prepared;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::Attempt;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::StoreResult;
use std::collections::HashSet;

/// Only those that are still of their epoch. A batch may have two claims of one delivery: a process that stood still for longer
/// than a lease has its old one in hand when it claims again. The lease is left as it is where it lasts, so that no index is
/// written.
macro_rules! mark {
    ($more:expr) => {
        concat!(
            "UPDATE outbox o SET state = 's', attempts = o.attempts + 1, \
                 lease_until = CASE WHEN o.lease_until > clock_timestamp() + $8 * interval '1 millisecond' THEN o.lease_until \
                     ELSE clock_timestamp() + $7 * interval '1 millisecond' END \
             FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
                 FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) \
                 AS u (contact_no, step, pass, epoch) OFFSET 0) AS a \
             WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
             AND o.pass = a.pass AND o.epoch = a.epoch AND o.state = 'c'",
            $more,
            " RETURNING o.contact_no, o.step, o.pass, o.epoch"
        )
    };
}

pub(super) const SENDING: &str = mark!("");

/// None of a campaign that may not send, which would only be taken back, and none of one with limits, which are held first. Nor
/// outside of a transaction, should it have been refused to open.
pub(super) const AT_ONCE: &str = mark!(concat!(
    " AND (SELECT true FROM campaigns WHERE tenant_no = $1 AND campaign_no = $2 AND ",
    is_open!(),
    " AND NOT settings ?| ARRAY['dailyLimit', 'hourlyLimit'] AND current_setting('app.tenant_no', true) = $1::text)"
));

/// Turns claims into sends; answers those that it did turn.
pub(super) async fn sending(
    conn: &AsyncPgConnection,
    key: CampaignKey,
    going: &[Attempt],
) -> StoreResult<HashSet<Attempt>> {
    run(conn, key, going, SENDING).await
}

/// The same, in the flight of the locks: see [`AT_ONCE`] for what is left out.
pub(super) async fn at_once(
    conn: &AsyncPgConnection,
    key: CampaignKey,
    all: &[Attempt],
) -> StoreResult<HashSet<Attempt>> {
    run(conn, key, all, AT_ONCE).await
}

async fn run(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    going: &[Attempt],
    sql: &'static str,
) -> StoreResult<HashSet<Attempt>> {
    if going.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<AttemptColumns> = bind_attempts(prepared(sql), key, going)
        .bind::<BigInt, _>(lease_ms())
        .bind::<BigInt, _>(enough_ms())
        .get_results(&mut conn)
        .await
        .store()?;
    Ok(rows.iter().map(|row| row.attempt(key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::deliver::open;
    use crate::postgres::{PgStore, PoolOptions};
    use muster_domain::model::schedule::Settings;
    use muster_domain::ports::delivery::DeliveryStore;
    use muster_testkit::mail_queue::{MailQueue, QueuePlan};
    use std::time::Duration;

    fn store(queue: &MailQueue) -> PgStore {
        PgStore::new(queue.database.url(), PoolOptions { max_size: 2, wait: Duration::from_secs(5) }).unwrap()
    }

    async fn claimed(store: &PgStore, key: CampaignKey) -> Vec<Attempt> {
        let letters = store.claim(key, 10).await.unwrap().letters;
        letters.iter().map(|letter| letter.claimed.attempt).collect()
    }

    async fn marked(queue: &MailQueue) -> usize {
        let store = store(queue);
        let all = claimed(&store, queue.key).await;
        let tx = open(&store, queue.key.tenant).await.unwrap();
        let marked = at_once(&tx, queue.key, &all).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(usize::try_from(queue.queued('s').await).unwrap(), marked.len());
        marked.len()
    }

    #[tokio::test]
    async fn the_flight_of_the_locks_marks_what_nothing_else_is_to_be_locked_for() {
        assert_eq!(marked(&MailQueue::of(3).await).await, 3);
        for (daily_limit, hourly_limit) in [(Some(9), None), (None, Some(9))] {
            let settings = Settings { daily_limit, hourly_limit, ..Settings::default() };
            let queue = MailQueue::with(QueuePlan { contacts: 3, settings, ..QueuePlan::default() }).await;
            assert_eq!(marked(&queue).await, 0);
        }
    }

    #[tokio::test]
    async fn nothing_is_marked_at_once_of_a_campaign_that_may_not_send() {
        for may_not in ["status = 'paused', paused_at = now()", "enrollment_state = 'running'"] {
            let queue = MailQueue::of(3).await;
            let store = store(&queue);
            let all = claimed(&store, queue.key).await;
            queue.run(&format!("UPDATE campaigns SET {may_not}")).await;
            let tx = open(&store, queue.key.tenant).await.unwrap();
            assert_eq!(at_once(&tx, queue.key, &all).await.unwrap(), HashSet::new(), "{may_not}");
            tx.rollback().await.unwrap();
        }
    }

    #[tokio::test]
    async fn nothing_is_marked_outside_of_a_transaction() {
        let queue = MailQueue::of(3).await;
        let all = claimed(&store(&queue), queue.key).await;
        let conn = queue.database.connect().await;
        assert_eq!(at_once(&conn, queue.key, &all).await.unwrap(), HashSet::new());
        assert_eq!(queue.queued('c').await, 3);
        assert_eq!(sending(&conn, queue.key, &all).await.unwrap().len(), 3, "by whoever may do anything");
    }
}
