//! Counting the rows again, and comparing with what was counted along the way.

use super::{PgStore, PoolOptions, StoreErrorExt};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Integer, Nullable, Text, Timestamptz};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::StoreResult;
use secrecy::SecretString;
use std::time::Duration;

/// Figures that differ from the rows, each as `figure of campaign …, step …, in the quarter-hour from …: n counted, n in the rows`. Figures
/// are named as in the API. As far back as single events are kept; a mail that had its first before that is left out of the firsts, since
/// its rows begin too late, and so is the first day of mails that came back, which may have been reported before they were written down.
pub const FIGURES: &str = "WITH \
    forgotten AS (SELECT g.tenant_no, g.campaign_no, g.contact_no, g.step, g.pass, g.kind, g.link, \
            g.first_at < h.kept_since AS is_first, g.first_human_at < h.kept_since AS is_first_human \
        FROM event_horizons h JOIN engagements g ON g.tenant_no = h.tenant_no AND g.first_at < h.kept_since), \
    firsts AS (SELECT tenant_no, campaign_no, step, contact_no, pass, kind, min(at) AS at, \
        min(at) FILTER (WHERE machine IS NULL) AS human_at FROM events GROUP BY 1, 2, 3, 4, 5, 6), \
    link_firsts AS (SELECT tenant_no, campaign_no, step, contact_no, pass, link, min(at) AS at, \
        min(at) FILTER (WHERE machine IS NULL) AS human_at FROM events WHERE kind = 'c' AND link <> 0 GROUP BY 1, 2, 3, 4, 5, 6), \
    facts AS ( \
        SELECT tenant_no, campaign_no, step, ended_at AS at, 'sent' AS what, 0 AS link FROM messages WHERE state = 's' \
        UNION ALL SELECT tenant_no, campaign_no, step, ended_at, 'taken back', 0 \
            FROM messages JOIN firsts USING (tenant_no, campaign_no, step, contact_no, pass) \
            WHERE state = 's' AND kind = 'b' AND human_at IS NOT NULL \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'all ' || kind::text, 0 FROM events WHERE kind IN ('o', 'c') \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'human ' || kind::text, 0 FROM events \
            WHERE kind IN ('o', 'c') AND machine IS NULL \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'first ' || kind::text, 0 FROM firsts f WHERE kind IN ('o', 'c') \
            AND NOT EXISTS (SELECT FROM forgotten g WHERE g.tenant_no = f.tenant_no AND g.campaign_no = f.campaign_no \
                AND g.contact_no = f.contact_no AND g.step = f.step AND g.pass = f.pass AND g.kind = f.kind AND g.link = 0 AND g.is_first) \
        UNION ALL SELECT tenant_no, campaign_no, step, human_at, 'first human ' || kind::text, 0 FROM firsts f WHERE human_at IS NOT NULL \
            AND NOT EXISTS (SELECT FROM forgotten g WHERE g.tenant_no = f.tenant_no AND g.campaign_no = f.campaign_no \
                AND g.contact_no = f.contact_no AND g.step = f.step AND g.pass = f.pass AND g.kind = f.kind AND g.link = 0 AND g.is_first_human) \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'link all', link FROM events WHERE kind = 'c' AND link <> 0 \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'link human', link FROM events WHERE kind = 'c' AND link <> 0 AND machine IS NULL \
        UNION ALL SELECT tenant_no, campaign_no, step, at, 'link first', link FROM link_firsts f \
            WHERE NOT EXISTS (SELECT FROM forgotten g WHERE g.tenant_no = f.tenant_no AND g.campaign_no = f.campaign_no \
                AND g.contact_no = f.contact_no AND g.step = f.step AND g.pass = f.pass AND g.kind = 'c' AND g.link = f.link AND g.is_first) \
        UNION ALL SELECT tenant_no, campaign_no, step, human_at, 'link first human', link FROM link_firsts f WHERE human_at IS NOT NULL \
            AND NOT EXISTS (SELECT FROM forgotten g WHERE g.tenant_no = f.tenant_no AND g.campaign_no = f.campaign_no \
                AND g.contact_no = f.contact_no AND g.step = f.step AND g.pass = f.pass AND g.kind = 'c' AND g.link = f.link AND g.is_first_human)), \
    counted AS (SELECT tenant_no, campaign_no, step, date_bin('15 minutes', at, 'epoch') AS quarter, what, link, count(*) AS n \
        FROM facts GROUP BY 1, 2, 3, 4, 5, 6), \
    booked AS (SELECT tenant_no, campaign_no, step, quarter, v.what, 0 AS link, v.n FROM stats, LATERAL (VALUES \
            ('sent', sent), ('taken back', undelivered), ('all o', opens), ('human o', human_opens), ('first o', opened), ('first human o', human_opened), \
            ('all c', clicks), ('human c', human_clicks), ('first c', clicked), ('first human c', human_clicked), \
            ('first human f', bounced), ('first human b', returned), ('first human d', confirmed), ('first human r', replied), \
            ('first human p', complained), ('first human u', unsubscribed)) AS v (what, n) \
        UNION ALL SELECT tenant_no, campaign_no, step, quarter, v.what, link, v.n FROM link_stats, LATERAL (VALUES \
            ('link all', clicks), ('link human', human_clicks), ('link first', clicked), ('link first human', human_clicked)) AS v (what, n)), \
    names (what, name) AS (VALUES ('sent', 'emailsSent'), ('taken back', 'emailsDelivered (taken back)'), \
        ('first human f', 'emailsBounced (at once)'), ('first human b', 'emailsBounced (later)'), ('first human d', 'emailsConfirmed'), \
        ('first human o', 'uniqueOpens'), ('human o', 'totalOpens'), ('first o', 'allUniqueOpens'), ('all o', 'allTotalOpens'), \
        ('first human c', 'uniqueClicks'), ('human c', 'totalClicks'), ('first c', 'allUniqueClicks'), ('all c', 'allTotalClicks'), \
        ('link first human', 'uniqueClicks'), ('link human', 'totalClicks'), ('link first', 'allUniqueClicks'), \
        ('link all', 'allTotalClicks'), ('first human r', 'replies'), ('first human p', 'spamComplaints'), ('first human u', 'unsubscribes')) \
    SELECT string_agg(format('%s%s of campaign %s, step %s, in the quarter-hour from %s: %s counted, %s in the rows', coalesce(w.name, what), \
        CASE WHEN link <> 0 THEN ' of link ' || link END, coalesce(g.id::text, campaign_no::text), step, \
        to_char(quarter AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), coalesce(b.n, 0), coalesce(c.n, 0)), '; ' ORDER BY quarter, step, what, link) \
    FROM booked b FULL JOIN counted c USING (tenant_no, campaign_no, step, quarter, what, link) \
    LEFT JOIN names w USING (what) LEFT JOIN campaigns g USING (tenant_no, campaign_no) \
    LEFT JOIN event_horizons h ON h.tenant_no = g.tenant_no \
    WHERE coalesce(b.n, 0) <> coalesce(c.n, 0) AND (what = 'sent' OR h.kept_since IS NULL \
        OR quarter >= h.kept_since + CASE what WHEN 'taken back' THEN interval '1 day' ELSE interval '0' END)";

/// Books that differ from the rows: `campaign/step: books <> rows`.
pub const BOOKS: &str = "SELECT string_agg(d.what, ', ') FROM ( \
    SELECT format('campaign %s: %s <> %s', c.campaign_no, \
        (c.audience, c.open, c.completed, c.exited), (r.audience, r.open, r.completed, r.exited)) AS what \
    FROM campaign_counters c JOIN LATERAL ( \
        SELECT count(*) AS audience, count(*) FILTER (WHERE e.status NOT IN ('c', 'x')) AS open, \
            count(*) FILTER (WHERE e.status = 'c') AS completed, count(*) FILTER (WHERE e.status = 'x') AS exited \
        FROM enrollments e WHERE e.tenant_no = c.tenant_no AND e.campaign_no = c.campaign_no) r ON true \
    WHERE (c.audience, c.open, c.completed, c.exited) IS DISTINCT FROM (r.audience, r.open, r.completed, r.exited) \
    UNION ALL \
    SELECT format('step %s/%s: %s <> %s', s.campaign_no, s.step, \
        (s.pending, s.sent, s.failed, s.suppressed, s.in_doubt, s.cancelled), \
        (o.n, m.sent, m.failed, m.suppressed, m.in_doubt, m.cancelled)) \
    FROM step_counters s \
    JOIN LATERAL (SELECT count(*) AS n FROM outbox o WHERE o.tenant_no = s.tenant_no AND o.campaign_no = s.campaign_no \
        AND o.step = s.step) o ON true \
    JOIN LATERAL (SELECT count(*) FILTER (WHERE state = 's') AS sent, count(*) FILTER (WHERE state = 'f') AS failed, \
        count(*) FILTER (WHERE state = 'u') AS suppressed, count(*) FILTER (WHERE state = 'd') AS in_doubt, \
        count(*) FILTER (WHERE state = 'x') AS cancelled \
        FROM messages m WHERE m.tenant_no = s.tenant_no AND m.campaign_no = s.campaign_no AND m.step = s.step) m ON true \
    WHERE (s.pending, s.sent, s.failed, s.suppressed, s.in_doubt, s.cancelled) \
        IS DISTINCT FROM (o.n, m.sent, m.failed, m.suppressed, m.in_doubt, m.cancelled) \
        OR s.entered <> s.pending + s.sent + s.failed + s.suppressed + s.skipped + s.in_doubt + s.cancelled) d";

/// What counting again came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recount {
    /// Tenants whose rows were counted.
    pub tenants: usize,
    /// Opens, clicks and reports were counted only since then, in some tenant: single events before it are not kept.
    pub since: Option<DateTime<Utc>>,
    /// Where books or figures differ from the rows, as `what campaign/step …: counted along the way <> counted now`.
    pub differences: Vec<String>,
}

#[derive(QueryableByName)]
struct TenantRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
}

#[derive(QueryableByName)]
struct HorizonRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    since: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct DifferenceRow {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

/// Counts every row of every tenant again, one tenant after the other, each comparison in one statement and so over one
/// moment: mail may be sent meanwhile. Takes as long as reading them all.
pub async fn recount(database_url: &SecretString) -> StoreResult<Recount> {
    let store = PgStore::new(database_url, PoolOptions { max_size: 1, wait: Duration::from_secs(5) })?;
    let mut tx = store.scheduler().await?;
    let tenants: Vec<TenantRow> =
        diesel::sql_query("SELECT tenant_no FROM tenants ORDER BY 1").load(&mut *tx).await.store()?;
    tx.rollback().await?;
    let mut recount = Recount { tenants: tenants.len(), ..Recount::default() };
    for TenantRow { tenant_no } in tenants {
        let mut tx = store.app(TenantNo(tenant_no)).await?;
        tx.batch_execute("SET LOCAL statement_timeout = 0").await.store()?;
        for comparison in [BOOKS, FIGURES] {
            let query = diesel::sql_query(format!("SELECT ({comparison}) AS text"));
            let row: DifferenceRow = query.get_result(&mut *tx).await.store()?;
            recount.differences.extend(row.text.map(|text| format!("tenant {tenant_no}: {text}")));
        }
        let horizon = diesel::sql_query("SELECT max(kept_since) AS since FROM event_horizons");
        let HorizonRow { since } = horizon.get_result(&mut *tx).await.store()?;
        recount.since = recount.since.max(since);
        tx.rollback().await?;
    }
    Ok(recount)
}
