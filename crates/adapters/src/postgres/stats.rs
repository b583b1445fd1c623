//! The columns of `stats`, named once: read as sums, written as increments.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::figures::{Counts, Tally};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::StoreResult;

use super::error::StoreErrorExt;
use super::prepared::prepared;
use std::sync::LazyLock;

macro_rules! columns {
    ($($name:ident: $($path:ident).+),+ $(,)?) => {
        /// Every figure, in the order of [`values`].
        const COLUMNS: &[&str] = &[$(stringify!($name)),+];

        /// A row of sums.
        #[derive(QueryableByName)]
        pub(crate) struct CountsRow {
            $(#[diesel(sql_type = BigInt)]
            $name: i64,)+
        }

        impl From<CountsRow> for Counts {
            fn from(row: CountsRow) -> Self {
                let mut counts = Self::default();
                $(counts.$($path).+ = row.$name;)+
                counts
            }
        }

        /// What each column holds of `counts`.
        fn values(counts: &Counts) -> [i64; COLUMNS.len()] {
            [$(counts.$($path).+),+]
        }
    };
}

columns! {
    sent: sent,
    bounced: bounced,
    returned: returned,
    undelivered: undelivered,
    confirmed: confirmed,
    opens: opens.total,
    human_opens: opens.human_total,
    opened: opens.unique,
    human_opened: opens.human_unique,
    clicks: clicks.total,
    human_clicks: clicks.human_total,
    clicked: clicks.unique,
    human_clicked: clicks.human_unique,
    replied: replied,
    complained: complained,
    unsubscribed: unsubscribed,
}

/// The figures of `stats` added up, for a `SELECT` that is read as [`CountsRow`].
pub(crate) fn sums() -> String {
    list(|name| format!("sum({name})::bigint AS {name}"))
}

fn list(item: impl Fn(&str) -> String) -> String {
    COLUMNS.iter().map(|name| item(name)).collect::<Vec<_>>().join(", ")
}

static ADD_QUARTERS: LazyLock<String> = LazyLock::new(|| {
    let arrays = (5..).take(COLUMNS.len()).map(|place| format!("${place}::bigint[]")).collect::<Vec<_>>().join(", ");
    let names = list(str::to_owned);
    let added = list(|name| format!("{name} = s.{name} + excluded.{name}"));
    format!(
        "INSERT INTO stats AS s (tenant_no, campaign_no, quarter, step, {names}) \
         SELECT $1, $2, u.* FROM unnest($3::timestamptz[], $4::smallint[], {arrays}) AS u \
         ON CONFLICT (tenant_no, campaign_no, quarter, step) DO UPDATE SET {added}"
    )
});

/// Adds the quarter-hours of `entries`, in the order of their keys.
pub(crate) async fn post_quarters(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    entries: &BookEntries,
) -> StoreResult<()> {
    let changed: Vec<_> = entries.quarters.iter().filter(|(_, counts)| **counts != Counts::default()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut insert = prepared(ADD_QUARTERS.as_str())
        .bind::<Integer, _>(key.tenant.0)
        .bind::<Integer, _>(key.campaign.0)
        .bind::<Array<Timestamptz>, _>(changed.iter().map(|((at, _), _)| *at).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(changed.iter().map(|((_, no), _)| no.0).collect::<Vec<_>>());
    for column in 0..COLUMNS.len() {
        insert = insert
            .bind::<Array<BigInt>, _>(changed.iter().map(|(_, counts)| values(counts)[column]).collect::<Vec<_>>());
    }
    insert.execute(&mut conn).await.store()?;
    Ok(())
}

/// Adds the clicks of `entries` on links, in the order of their keys.
pub(crate) async fn post_links(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    entries: &BookEntries,
) -> StoreResult<()> {
    let changed: Vec<_> = entries.links.iter().filter(|(_, tally)| **tally != Tally::default()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Tally) -> i64| changed.iter().map(|(_, tally)| of(tally)).collect::<Vec<_>>();
    let quarters: Vec<DateTime<Utc>> = changed.iter().map(|((at, ..), _)| *at).collect();
    prepared(
        "INSERT INTO link_stats AS s (tenant_no, campaign_no, quarter, step, link, clicks, human_clicks, clicked, human_clicked) \
         SELECT $1, $2, u.* FROM unnest($3::timestamptz[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[]) AS u \
         ON CONFLICT (tenant_no, campaign_no, quarter, step, link) DO UPDATE SET clicks = s.clicks + excluded.clicks, \
         human_clicks = s.human_clicks + excluded.human_clicks, clicked = s.clicked + excluded.clicked, \
         human_clicked = s.human_clicked + excluded.human_clicked",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Array<Timestamptz>, _>(quarters)
    .bind::<Array<SmallInt>, _>(changed.iter().map(|((_, no, _), _)| no.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(changed.iter().map(|((.., link), _)| link.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(|tally| tally.total))
    .bind::<Array<BigInt>, _>(column(|tally| tally.human_total))
    .bind::<Array<BigInt>, _>(column(|tally| tally.unique))
    .bind::<Array<BigInt>, _>(column(|tally| tally.human_unique))
    .execute(&mut conn)
    .await
    .store()?;
    Ok(())
}
