//! Making a database's business time run faster than the clock. How it runs is [`TimeLapse`]'s affair.
//!
//! [`TimeLapse`]: muster_domain::ports::work::TimeLapse

use super::migrate::{MigrateError, connect};
use diesel::sql_types::{Bool, Double, Nullable};
use diesel::{QueryResult, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use secrecy::SecretString;

/// Why a database's time was not changed.
#[derive(Debug, thiserror::Error)]
pub enum TimeLapseError {
    /// Campaigns in it run in real time. Whoever waits for their mail would get it too early.
    #[error("the database holds campaigns that run in real time")]
    InUse,
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A statement failed.
    #[error("the database's time cannot be changed: {0}")]
    Failed(String),
}

impl From<MigrateError> for TimeLapseError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Unreachable(reason) => Self::Unreachable(reason),
            MigrateError::Failed(reason) => Self::Failed(reason),
        }
    }
}

impl From<diesel::result::Error> for TimeLapseError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How business time runs in a database, and whether anybody is there to notice a change.
#[derive(Debug, Clone, Copy, PartialEq, QueryableByName)]
pub struct TimeInUse {
    /// How much faster than the clock it runs; `None` where both are the same.
    #[diesel(sql_type = Nullable<Double>)]
    pub factor: Option<f64>,
    /// Whether there is a tenant.
    #[diesel(sql_type = Bool)]
    pub has_tenants: bool,
    /// Whether there is a campaign.
    #[diesel(sql_type = Bool)]
    pub has_campaigns: bool,
}

/// How business time runs in a migrated database.
pub async fn time_in_use(database_url: &SecretString) -> Result<TimeInUse, TimeLapseError> {
    let mut conn = connect(database_url).await?;
    conn.batch_execute("BEGIN").await?;
    Ok(look(&mut conn).await?)
}

/// Makes business time run `factor` times faster than the clock, from now on, in a migrated database without campaigns,
/// or in one where it does so already.
pub async fn begin_time_lapse(database_url: &SecretString, factor: f64) -> Result<(), TimeLapseError> {
    let mut conn = connect(database_url).await?;
    // Ended by its last statement, or with the connection.
    conn.batch_execute("BEGIN").await?;
    let found = look(&mut conn).await?;
    if found.factor.is_none() && found.has_campaigns {
        return Err(TimeLapseError::InUse);
    }
    diesel::sql_query(
        "INSERT INTO virtual_clock (factor, virtual_now, ticked_at) VALUES ($1, (SELECT muster_now()), clock_timestamp()) \
         ON CONFLICT (one) DO UPDATE SET factor = excluded.factor, ticked_at = excluded.ticked_at",
    )
    .bind::<Double, _>(factor)
    .execute(&mut conn)
    .await?;
    Ok(conn.batch_execute("COMMIT").await?)
}

/// Looks over all tenants, which the owner of the tables may not, within the transaction that is open.
async fn look(conn: &mut AsyncPgConnection) -> QueryResult<TimeInUse> {
    conn.batch_execute("SET LOCAL ROLE muster_scheduler").await?;
    let found = diesel::sql_query(
        "SELECT (SELECT factor FROM virtual_clock) AS factor, EXISTS (SELECT tenant_no FROM tenants) AS has_tenants, \
         EXISTS (SELECT campaign_no FROM campaigns) AS has_campaigns",
    )
    .get_result(conn)
    .await?;
    conn.batch_execute("RESET ROLE").await?;
    Ok(found)
}
