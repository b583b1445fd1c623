//! Ending everything that is open in a campaign, in a few statements however much there is.

use super::StoreErrorExt;
use crate::postgres::deliver::being_sent;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, CChar, Integer, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_domain::model::books::BookEntries;
use muster_domain::model::ids::{CampaignKey, StepNo};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct EndedRow {
    #[diesel(sql_type = CChar)]
    status: u8,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct CancelledRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    /// It waited to be sent once more after a doubt.
    #[diesel(sql_type = Bool)]
    doubtful: bool,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Exits every open enrollment and cancels every mail that has not begun. What it adds to the books is the caller's to post.
pub(super) async fn end_all(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    conn.batch_execute("SET LOCAL statement_timeout = '600s'").await.store()?;
    let mut entries = BookEntries::default();
    for row in end_enrollments(conn, key, now).await? {
        entries.campaign.open -= row.n;
        entries.campaign.exited += row.n;
        if row.status == b'w' {
            let line = entries.step(StepNo(row.step));
            line.pending -= row.n;
            line.cancelled += row.n;
        }
    }
    hold_under_way(conn, key).await?;
    for row in cancel_mail(conn, key, now).await? {
        let line = entries.step(StepNo(row.step));
        line.pending -= row.n;
        *(if row.doubtful { &mut line.in_doubt } else { &mut line.cancelled }) += row.n;
    }
    diesel::sql_query(
        "UPDATE campaigns SET enrollment_state = 'done' WHERE tenant_no = $1 AND campaign_no = $2 AND enrollment_state = 'running'",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .execute(conn)
    .await
    .store()?;
    Ok(entries)
}

/// `8` is `Passage::WaitCancelled`, `1101` is `Passage::Left(CampaignEnded)`; a test holds them together.
async fn end_enrollments(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
) -> StoreResult<Vec<EndedRow>> {
    diesel::sql_query(
        "WITH open AS MATERIALIZED ( \
             SELECT contact_no, status, step, version FROM enrollments \
             WHERE tenant_no = $1 AND campaign_no = $2 AND status IN ('e', 'r', 'w', 'd') ORDER BY contact_no FOR UPDATE), \
         ended AS ( \
             UPDATE enrollments e SET status = 'x', exit_reason = 'e', ended_at = $3, due_at = NULL FROM open o \
             WHERE e.tenant_no = $1 AND e.campaign_no = $2 AND e.contact_no = o.contact_no), \
         told AS ( \
             INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
             SELECT $1, $2, contact_no, $3, version, \
                    CASE status WHEN 'w' THEN ARRAY[step, 8, step, 1101] ELSE ARRAY[step, 1101] END::smallint[] FROM open) \
         SELECT status, step, count(*) AS n FROM open GROUP BY status, step",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .get_results(conn)
    .await
    .store()
}

/// Locks what is under way: whoever is recording it has queued it again by now, and it is cancelled; whoever records it
/// later finds the campaign over. Nothing of it is begun again any more.
async fn hold_under_way(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<()> {
    diesel::sql_query(
        concat!(
            "UPDATE outbox o SET by_hand = false FROM (SELECT contact_no, step, pass FROM outbox \
                 WHERE tenant_no = $1 AND campaign_no = $2 AND ",
            being_sent!(),
            " ORDER BY contact_no, step, pass FOR UPDATE) AS w \
             WHERE o.tenant_no = $1 AND o.campaign_no = $2 AND o.contact_no = w.contact_no AND o.step = w.step AND o.pass = w.pass"
        ),
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

/// What waited to be sent once more after a doubt stays in doubt (see `DeliveryState::given_resends`).
async fn cancel_mail(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
) -> StoreResult<Vec<CancelledRow>> {
    diesel::sql_query(
        "WITH gone AS ( \
             DELETE FROM outbox o USING (SELECT contact_no, step, pass FROM outbox \
                 WHERE tenant_no = $1 AND campaign_no = $2 AND state <> 's' ORDER BY contact_no, step, pass FOR UPDATE) AS w \
             WHERE o.tenant_no = $1 AND o.campaign_no = $2 AND o.contact_no = w.contact_no AND o.step = w.step AND o.pass = w.pass \
             RETURNING o.contact_no, o.step, o.pass, attempts, resends, epoch, version, queued_at), \
         kept AS ( \
             INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, resends, epoch, version, queued_at, ended_at, detail) \
             SELECT $1, $2, contact_no, step, pass, CASE WHEN resends > 0 THEN 'd' ELSE 'x' END::\"char\", attempts, resends, \
                 epoch, version, queued_at, $3, 'the campaign ended' FROM gone) \
         SELECT step, resends > 0 AS doubtful, count(*) AS n FROM gone GROUP BY step, resends > 0",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .get_results(conn)
    .await
    .store()
}

#[cfg(test)]
mod tests {
    use muster_domain::model::enrollment::{ExitReason, Passage};

    #[test]
    fn the_numbers_in_the_statement_are_the_domains() {
        assert_eq!(Passage::WaitCancelled.code(), 8);
        assert_eq!(Passage::Left(ExitReason::CampaignEnded).code(), 1101);
    }
}
