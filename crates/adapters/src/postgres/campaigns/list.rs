//! Pages of campaigns.

use super::rows::{JoinedRow, columns, into_campaign, joined};
use crate::postgres::prepared::prepared;
use crate::postgres::schema::campaigns;
use crate::postgres::stats::{CountsRow, sums};
use crate::postgres::{PgUnit, StoreErrorExt};
use diesel::QueryableByName;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::figures::Counts;
use muster_domain::model::ids::{CampaignNo, TenantNo};
use muster_domain::ports::campaigns::{CampaignOrder, CampaignQuery, CampaignSummary};
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::BTreeMap;
use std::sync::LazyLock;

diesel::define_sql_function! {
    /// Text as it is compared without regard to case, see the migrations.
    fn muster_fold(text: Text) -> Text;
}

pub(super) async fn list(unit: &mut PgUnit, query: &CampaignQuery) -> StoreResult<Vec<CampaignSummary>> {
    let of = unit.of();
    let rows = unit.ask(async move |conn| page(conn, of, query).await).await?;
    let found = rows.into_iter().map(|row| into_campaign(of, row)).collect::<StoreResult<Vec<_>>>()?;
    let mut counts =
        counts(unit.conn().await?, of.tenant, found.iter().map(|campaign| campaign.no.0).collect()).await?;
    Ok(found
        .into_iter()
        .map(|campaign| CampaignSummary { counts: counts.remove(&campaign.no).unwrap_or_default(), campaign })
        .collect())
}

async fn page(mut conn: &AsyncPgConnection, of: Workspace, query: &CampaignQuery) -> StoreResult<Vec<JoinedRow>> {
    let mut rows = joined()
        .filter(campaigns::tenant_no.eq(of.tenant.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .select(columns())
        .into_boxed();
    if let Some(status) = query.filter.status {
        rows = rows.filter(campaigns::status.eq(status.as_str()));
    }
    if let Some(kind) = query.filter.campaign_type {
        rows = rows.filter(campaigns::campaign_type.eq(kind.as_str()));
    }
    if let Some(text) = &query.filter.name_contains {
        rows = rows.filter(muster_fold(campaigns::name).like(muster_fold(containing(text))));
    }
    let name = muster_fold(campaigns::name);
    if let Some(place) = query.after.clone() {
        let (at, no) = (place.created_at, place.no.0);
        let after = muster_fold(place.name);
        rows = match (query.order, query.descending) {
            (CampaignOrder::CreatedAt, false) => rows.filter(
                campaigns::created_at.gt(at).or(campaigns::created_at.eq(at).and(campaigns::campaign_no.gt(no))),
            ),
            (CampaignOrder::CreatedAt, true) => rows.filter(
                campaigns::created_at.lt(at).or(campaigns::created_at.eq(at).and(campaigns::campaign_no.lt(no))),
            ),
            (CampaignOrder::Name, false) => {
                rows.filter(name.gt(after.clone()).or(name.eq(after).and(campaigns::campaign_no.gt(no))))
            }
            (CampaignOrder::Name, true) => {
                rows.filter(name.lt(after.clone()).or(name.eq(after).and(campaigns::campaign_no.lt(no))))
            }
        };
    }
    let rows = match (query.order, query.descending) {
        (CampaignOrder::CreatedAt, false) => rows.order((campaigns::created_at.asc(), campaigns::campaign_no.asc())),
        (CampaignOrder::CreatedAt, true) => rows.order((campaigns::created_at.desc(), campaigns::campaign_no.desc())),
        (CampaignOrder::Name, false) => rows.order((name.asc(), campaigns::campaign_no.asc())),
        (CampaignOrder::Name, true) => rows.order((name.desc(), campaigns::campaign_no.desc())),
    };
    let mut found = Limited { query: rows, limit: round_up(query.limit) }.load(&mut conn).await.store()?;
    found.truncate(usize::try_from(query.limit).unwrap_or(0));
    Ok(found)
}

/// A query with a limit that its text says. Were it a parameter, the planner would guess a tenth of the table in a plan for
/// any value, find that dearer than one for this value, and plan anew each time: three times what the page takes.
struct Limited<Q> {
    query: Q,
    limit: i64,
}

/// Few limits, so that few texts are kept for a connection. The largest is more than a page may have.
fn round_up(limit: i64) -> i64 {
    [21, 51, 101].into_iter().find(|enough| limit <= *enough).unwrap_or(limit)
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Limited<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(&format!(" LIMIT {}", self.limit));
        Ok(())
    }
}

impl<Q> QueryId for Limited<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Limited<Q> {
    type SqlType = Q::SqlType;
}

/// A LIKE pattern for texts that hold `text`, taken literally.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[derive(QueryableByName)]
struct TotalsRow {
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(embed)]
    counts: CountsRow,
}

static TOTALS: LazyLock<String> = LazyLock::new(|| {
    let sums = sums();
    format!("SELECT campaign_no, {sums} FROM stats WHERE tenant_no = $1 AND campaign_no = ANY($2) GROUP BY campaign_no")
});

async fn counts(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    campaigns: Vec<i32>,
) -> StoreResult<BTreeMap<CampaignNo, Counts>> {
    let rows: Vec<TotalsRow> = prepared(TOTALS.as_str())
        .bind::<Integer, _>(tenant.0)
        .bind::<Array<Integer>, _>(campaigns)
        .load(conn)
        .await
        .store()?;
    Ok(rows.into_iter().map(|row| (CampaignNo(row.campaign_no), row.counts.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::pool::{PgStore, PoolOptions};
    use crate::postgres::tx::Role;
    use diesel::sql_types::BigInt;
    use muster_testkit::mail_queue::MailQueue;
    use std::time::Duration;

    #[test]
    fn what_a_pattern_means_is_taken_literally() {
        assert_eq!(super::containing(r"50%_a\b"), r"%50\%\_a\\b%");
    }

    #[derive(QueryableByName)]
    struct Plans {
        #[diesel(sql_type = BigInt)]
        once: i64,
        #[diesel(sql_type = BigInt)]
        anew: i64,
    }

    #[tokio::test]
    async fn a_page_of_many_campaigns_is_planned_a_few_times_and_then_no_more() {
        let queue = MailQueue::of(1).await;
        queue
            .run(
                "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, from_name, \
                 schedule, settings, created_by, created_at, updated_at) \
                 SELECT tenant_no, workspace_no, gen_random_uuid(), name, campaign_type, 'draft', segment_no, from_email, from_name, \
                 schedule, settings, created_by, now() + n * interval '1 second', now() FROM campaigns, generate_series(1, 3000) AS n",
            )
            .await;
        queue.run("VACUUM ANALYZE campaigns").await;
        let options = PoolOptions { max_size: 1, wait: Duration::from_secs(5) };
        let store = PgStore::new(queue.database.url(), options).unwrap();
        let mut unit = PgUnit::new(store, Role::App(queue.key.tenant), queue.workspace);
        let query = CampaignQuery { limit: 21, descending: true, ..CampaignQuery::default() };
        for _ in 0..20 {
            assert_eq!(list(&mut unit, &query).await.unwrap().len(), 21);
        }
        let plans: Plans = diesel::sql_query(
            "SELECT generic_plans AS once, custom_plans AS anew FROM pg_prepared_statements \
             WHERE statement LIKE 'SELECT \"campaigns\"%LIMIT%'",
        )
        .get_result(unit.conn().await.unwrap())
        .await
        .unwrap();
        assert_eq!((plans.once, plans.anew), (15, 5), "PostgreSQL tries five before it keeps one");
    }
}
