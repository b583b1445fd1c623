//! [`IdempotencyRepo`] over PostgreSQL.

use super::PgUnit;
use super::error::StoreErrorExt;
use super::json::Json;
use super::prepared::prepared;
use super::schema::idempotency_keys as stored;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::{IntervalDsl, now};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Bytea, Integer, Jsonb, SmallInt, Text, Timestamptz};
use diesel::upsert::excluded;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::address::EmailAddress;
use muster_domain::ports::idempotency::{Claim, IdempotencyRepo, Mention, StoredAnswer};
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};
use sha2::{Digest, Sha256};

/// How many outdated answers of the tenant each new one sweeps out: more than come in, so that none pile up.
const SWEPT: i32 = 20;

#[derive(QueryableByName)]
struct MentionRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = SmallInt)]
    status: i16,
    #[diesel(sql_type = Jsonb)]
    headers: Json<Headers>,
    #[diesel(sql_type = Bytea)]
    body: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl TryFrom<MentionRow> for Mention {
    type Error = StoreError;
    fn try_from(row: MentionRow) -> Result<Self, StoreError> {
        let at = row.created_at;
        let corrupt = |column| StoreError::Corrupt { table: "idempotency_keys", column, id: at.to_string() };
        let status = u16::try_from(row.status).map_err(|_| corrupt("status"))?;
        let headers = row.headers.ok_or_else(|| corrupt("headers"))?;
        let answer = StoredAnswer { status, headers, body: row.body };
        Ok(Mention { key: row.key, stored_at: row.created_at, answer })
    }
}

#[derive(QueryableByName)]
struct Got {
    #[diesel(sql_type = Bool)]
    got: bool,
}

impl PgUnit {
    /// The number of a key among advisory locks, which live in one space for the whole database.
    fn lock_number(&self, key: &str) -> i64 {
        let of = self.of();
        let hash = Sha256::new()
            .chain_update(b"idempotency")
            .chain_update(of.tenant.0.to_be_bytes())
            .chain_update(of.workspace.0.to_be_bytes())
            .chain_update(key)
            .finalize();
        hash.iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
    }
}

type Headers = Vec<(String, String)>;

/// Fingerprint, status, headers and body of an answer.
type AnswerRow = (Vec<u8>, i16, Json<Headers>, Vec<u8>);

/// Whether the lock is ours, to the end of the transaction.
async fn try_lock(mut conn: &AsyncPgConnection, number: i64) -> StoreResult<bool> {
    let Got { got } = prepared("SELECT pg_try_advisory_xact_lock($1) AS got")
        .bind::<BigInt, _>(number)
        .get_result(&mut conn)
        .await
        .store()?;
    Ok(got)
}

/// The answer to `key`. A statement of its own: it sees what the last holder of the lock committed.
async fn find(mut conn: &AsyncPgConnection, of: Workspace, key: &str) -> StoreResult<Option<AnswerRow>> {
    stored::table
        .filter(stored::tenant_no.eq(of.tenant.0))
        .filter(stored::workspace_no.eq(of.workspace.0))
        .filter(stored::key.eq(key))
        .filter(stored::created_at.gt(now.into_sql::<Timestamptz>() - 24.hours()))
        .select((stored::fingerprint, stored::status, stored::headers, stored::body))
        .first(&mut conn)
        .await
        .optional()
        .store()
}

#[async_trait]
impl IdempotencyRepo for PgUnit {
    async fn claim(&mut self, key: &str, fingerprint: [u8; 32]) -> StoreResult<Claim> {
        let (of, number) = (self.of(), self.lock_number(key));
        let (got, found) = self.ask(async move |conn| try_join!(try_lock(conn, number), find(conn, of, key))).await?;
        if !got {
            return Ok(Claim::Running);
        }
        let Some((known, status, headers, body)) = found else { return Ok(Claim::First) };
        if known != fingerprint {
            return Ok(Claim::OtherRequest);
        }
        let corrupt = |column| StoreError::Corrupt { table: "idempotency_keys", column, id: format!("lock {number}") };
        Ok(Claim::Answered(StoredAnswer {
            status: u16::try_from(status).map_err(|_| corrupt("status"))?,
            headers: headers.ok_or_else(|| corrupt("headers"))?,
            body,
        }))
    }

    async fn store(&mut self, key: &str, fingerprint: [u8; 32], answer: &StoredAnswer) -> StoreResult<()> {
        #[cfg(feature = "fault-injection")]
        self.answers();
        let of = self.of();
        let status = i16::try_from(answer.status).map_err(super::internal)?;
        diesel::insert_into(stored::table)
            .values((
                stored::tenant_no.eq(of.tenant.0),
                stored::workspace_no.eq(of.workspace.0),
                stored::key.eq(key),
                stored::fingerprint.eq(fingerprint.as_slice()),
                stored::status.eq(status),
                stored::headers.eq(serde_json::json!(answer.headers)),
                stored::body.eq(&answer.body),
            ))
            .on_conflict((stored::tenant_no, stored::workspace_no, stored::key))
            .do_update()
            .set((
                stored::fingerprint.eq(excluded(stored::fingerprint)),
                stored::status.eq(excluded(stored::status)),
                stored::headers.eq(excluded(stored::headers)),
                stored::body.eq(excluded(stored::body)),
                stored::created_at.eq(now),
            ))
            .execute(self.conn().await?)
            .await
            .store()?;
        diesel::sql_query(
            "DELETE FROM idempotency_keys WHERE tenant_no = $1 AND (workspace_no, key) IN (
                 SELECT workspace_no, key FROM idempotency_keys
                 WHERE tenant_no = $1 AND created_at <= now() - interval '24 hours'
                 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(SWEPT)
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(())
    }

    async fn mentions(&mut self, text: &str, email: &EmailAddress) -> StoreResult<Vec<Mention>> {
        let of = self.of();
        let rows: Vec<MentionRow> = diesel::sql_query(
            "SELECT key, status, headers, body, created_at FROM idempotency_keys
             WHERE tenant_no = $1 AND workspace_no = $2 AND (position(convert_to($3, 'UTF8') IN body) > 0
                 OR position($3 IN headers::text) > 0 OR position($4 IN lower(encode(body, 'escape'))) > 0
                 OR position($4 IN lower(key)) > 0) ORDER BY created_at, key",
        )
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<Text, _>(text)
        .bind::<Text, _>(email.key())
        .load(self.conn().await?)
        .await
        .store()?;
        rows.into_iter().map(Mention::try_from).collect()
    }

    async fn redact(&mut self, text: &str) -> StoreResult<()> {
        let of = self.of();
        diesel::sql_query(
            "UPDATE idempotency_keys SET status = 404, headers = '[]', body = ''
             WHERE tenant_no = $1 AND workspace_no = $2
                 AND (position(convert_to($3, 'UTF8') IN body) > 0 OR position($3 IN headers::text) > 0)",
        )
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<Text, _>(text)
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(())
    }

    async fn redact_address(&mut self, email: &EmailAddress) -> StoreResult<()> {
        let of = self.of();
        // Addresses are ASCII without a backslash: `escape` leaves them as they are. A key cannot be blank, nor come twice.
        diesel::sql_query(
            "UPDATE idempotency_keys k SET status = 404, headers = '[]', body = '',
                 key = CASE WHEN position($3 IN lower(key)) > 0 THEN gen_random_uuid()::text ELSE key END
             WHERE tenant_no = $1
                 AND (position($3 IN lower(encode(body, 'escape'))) > 0 OR position($3 IN lower(key)) > 0)
                 AND (workspace_no = $2 OR NOT EXISTS (SELECT FROM contacts c WHERE c.tenant_no = $1
                     AND c.email_key = $3 AND c.workspace_no = k.workspace_no))",
        )
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<Text, _>(email.key())
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(())
    }
}
