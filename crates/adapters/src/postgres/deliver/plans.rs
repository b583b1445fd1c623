//! How PostgreSQL carries out what is asked most often, as the roles that ask it.

use super::{claim, due, mark, rows};
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_testkit::mail_queue::MailQueue;

#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = "QUERY PLAN")]
    line: String,
}

async fn explain(conn: &mut AsyncPgConnection, execute: &str) -> String {
    let rows: Vec<PlanRow> = diesel::sql_query(format!("EXPLAIN {execute}")).get_results(conn).await.unwrap();
    rows.into_iter().map(|row| row.line + "\n").collect()
}

/// Half of the mail waits for another attempt, later; a tenth is due.
async fn busy_queue() -> MailQueue {
    let queue = MailQueue::of(20_000).await;
    queue.run("UPDATE outbox SET retry_at = now() + interval '1 hour', attempts = 1 WHERE contact_no % 2 = 0").await;
    queue.run("UPDATE outbox SET due_at = now() + interval '1 hour' WHERE contact_no % 10 <> 1").await;
    queue.run("VACUUM ANALYZE outbox").await;
    queue.run("VACUUM ANALYZE campaigns").await;
    queue
}

#[tokio::test]
async fn a_claim_reads_the_front_of_two_indexes() {
    let queue = busy_queue().await;
    let mut conn = queue.database.connect().await;
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; SET ROLE muster_app; SET app.tenant_no = '{}'; \
         PREPARE claim (int, int, bigint, bigint, timestamptz, bigint) AS {}",
        queue.key.tenant.0,
        claim::SQL
    );
    conn.batch_execute(&prepare).await.unwrap();
    let plan = explain(
        &mut conn,
        &format!("EXECUTE claim ({}, {}, 50, 50, now(), 30000)", queue.key.tenant.0, queue.key.campaign.0),
    )
    .await;
    assert!(plan.contains("Index Scan using outbox_due") && plan.contains("Index Scan using outbox_again"), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("Seq Scan on outbox"), "{plan}");
}

#[tokio::test]
async fn finding_due_campaigns_probes_two_indexes() {
    let queue = busy_queue().await;
    let mut conn = queue.database.connect().await;
    conn.batch_execute("SET ROLE muster_scheduler").await.unwrap();
    let plan = explain(&mut conn, due::SQL).await;
    assert!(plan.contains("using outbox_due") && plan.contains("using outbox_again"), "{plan}");
    assert!(!plan.contains("Seq Scan on outbox"), "{plan}");
}

#[tokio::test]
async fn rows_are_looked_up_by_their_keys_where_nothing_is_known_of_a_campaign() {
    let queue = MailQueue::of(20_000).await;
    let mut conn = queue.database.connect().await;
    let (tenant, campaign) = (queue.key.tenant.0, queue.key.campaign.0);
    conn.batch_execute(&format!("SET ROLE muster_app; SET app.tenant_no = '{tenant}'")).await.unwrap();
    let statements = [("lock", rows::LOCK), ("still_sends", rows::STILL_SENDS)];
    for (name, sql) in statements {
        let prepare = format!("PREPARE {name} (int, int, bigint[], smallint[], int[], int[]) AS {sql}");
        conn.batch_execute(&prepare).await.unwrap();
    }
    let keys = format!("({tenant}, {campaign}, '{{1,2,3}}', '{{1,1,1}}', '{{1,1,1}}', '{{1,1,1}}')");
    let modes = ["force_custom_plan", "force_generic_plan"];
    for (mode, (name, _)) in modes.into_iter().flat_map(|mode| statements.map(|statement| (mode, statement))) {
        conn.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.unwrap();
        let plan = explain(&mut conn, &format!("EXECUTE {name} {keys}")).await;
        assert!(plan.contains("outbox_pkey") && plan.contains("enrollments_pkey"), "{plan}");
        assert!(
            plan.matches("contact_no = a.contact_no").count() == 2 && !plan.contains("Filter: (contact_no"),
            "{plan}"
        );
    }
}

/// Statistics of a moment at which hardly anything was claimed make an index of what is claimed look like the shortest way to
/// a row that is to be claimed; it is read from end to end then, by every begin.
#[tokio::test]
async fn claims_are_looked_up_by_their_keys_and_never_among_everything_that_is_claimed() {
    let queue = MailQueue::of(20_000).await;
    queue.run("UPDATE outbox SET state = 'c', lease_until = now() WHERE contact_no % 10000 = 1").await;
    queue.run("VACUUM ANALYZE outbox").await;
    let mut conn = queue.database.connect().await;
    let (tenant, campaign) = (queue.key.tenant.0, queue.key.campaign.0);
    let batch = format!("{tenant}, {campaign}, '{{1,2,3}}', '{{1,1,1}}', '{{1,1,1}}', '{{1,1,1}}'");
    conn.batch_execute(&format!(
        "SET plan_cache_mode = force_generic_plan; SET ROLE muster_app; SET app.tenant_no = '{tenant}'"
    ))
    .await
    .unwrap();
    for (name, sql, more) in [
        ("sending", mark::SENDING, ", 30000, 20000"),
        ("at_once", mark::AT_ONCE, ", 30000, 20000"),
        ("put_back", rows::PUT_BACK, ""),
    ] {
        conn.batch_execute(&format!("PREPARE {name} AS {sql}")).await.unwrap();
        let plan = explain(&mut conn, &format!("EXECUTE {name} ({batch}{more})")).await;
        assert!(plan.contains("using outbox_pkey") && plan.contains("contact_no = a.contact_no"), "{plan}");
        assert!(!plan.contains("outbox_leased") && !plan.contains("Join Filter"), "{plan}");
    }
}
