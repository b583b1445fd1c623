//! Recipients that were refused while their mail was being sent: the same follows as when it had come back later.

use super::{bind_attempts, rows};
use crate::postgres::StoreErrorExt;
use crate::postgres::contacts::hold;
use crate::postgres::exits::Exits;
use crate::postgres::feedback::note_soft_bounce;
use crate::postgres::prepared::prepared;
use crate::postgres::suppressions::recipient;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::bounce::{BounceClass, SoftBouncePolicy};
use muster_domain::model::delivery::{Attempt, DeliveryKey, RetryPolicy, SendOutcome};
use muster_domain::model::ids::{CampaignKey, ContactNo, Pass, StepNo};
use muster_domain::ports::store::StoreResult;
use std::collections::HashMap;

#[derive(QueryableByName)]
struct RefusedRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// Suppresses the addresses that refused mail for good, or too often until no attempt was left, in the whole tenant, and takes their
/// contacts out of every campaign: contacts are locked before enrollments, and enrollments before the outbox. Only for attempts
/// that are still under way, and contacts that had no other address when the mail was queued.
pub(super) async fn give_up_refused(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    outcomes: &HashMap<Attempt, &SendOutcome>,
    policy: &RetryPolicy,
) -> StoreResult<Exits> {
    let of = |is: fn(&SendOutcome) -> bool| {
        outcomes.iter().filter(move |(_, outcome)| is(outcome)).map(|(attempt, _)| *attempt).collect::<Vec<_>>()
    };
    let hard = of(|outcome| matches!(outcome, SendOutcome::Failed { bounced: Some(BounceClass::Hard), .. }));
    let soft = of(|outcome| matches!(outcome, SendOutcome::Failed { bounced: Some(BounceClass::Soft), .. }));
    let for_now = of(|outcome| matches!(outcome, SendOutcome::Retry { soft: true, .. }));
    let hard = under_way(conn, key, &hard).await?;
    let mut soft = under_way(conn, key, &soft).await?;
    let last = |row: &RefusedRow| policy.after(row.attempts, 0.0).is_none();
    soft.extend(under_way(conn, key, &for_now).await?.into_iter().filter(last));
    if hard.is_empty() && soft.is_empty() {
        return Ok(Exits::default());
    }
    let numbers: Vec<ContactNo> = hard.iter().chain(&soft).map(|row| ContactNo(row.contact_no)).collect();
    // Whoever else has one of these addresses, too: all of them at once and in rising order, as everybody does.
    hold::hold(conn, key.tenant, &keys(&addresses(hard.iter().chain(&soft))?), &numbers).await?;
    let mut given_up = hard;
    for row in soft {
        let bounced_at = note_soft_bounce(conn, row.delivery(key), row.now).await?;
        if SoftBouncePolicy::default().is_exhausted(&bounced_at, row.now) {
            given_up.push(row);
        }
    }
    let Some(now) = given_up.as_slice().first().map(|row| row.now) else { return Ok(Exits::default()) };
    let addresses = addresses(&given_up)?;
    // They are held already: this is to know them from the others.
    let contacts = hold::hold(conn, key.tenant, &keys(&addresses), &[]).await?;
    // Leaving locks a part of what will be written down: so all of that is locked before, in the order of its keys.
    rows::lock(conn, key, outcomes.keys()).await?;
    recipient::give_up(conn, key, addresses, &contacts, now).await
}

async fn under_way(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    refused: &[Attempt],
) -> StoreResult<Vec<RefusedRow>> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT a.contact_no, a.step, a.pass, o.attempts, c.email, (SELECT muster_now()) AS now \
        FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) AS a (contact_no, step, pass, epoch) \
        CROSS JOIN LATERAL (SELECT queued_at, attempts FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no \
            AND step = a.step AND pass = a.pass AND epoch = a.epoch AND state <> 'p' OFFSET 0) AS o \
        CROSS JOIN LATERAL (SELECT email FROM contacts WHERE tenant_no = $1 AND contact_no = a.contact_no AND email IS NOT NULL \
            AND coalesce(email_changed_at <= o.queued_at, true) OFFSET 0) AS c";
    bind_attempts(prepared(sql), key, refused).get_results(conn).await.store()
}

fn addresses<'a>(rows: impl IntoIterator<Item = &'a RefusedRow>) -> StoreResult<Vec<EmailAddress>> {
    rows.into_iter().map(|row| recipient::read_address(&row.email, row.contact_no)).collect()
}

fn keys(addresses: &[EmailAddress]) -> Vec<String> {
    addresses.iter().map(EmailAddress::key).collect()
}

impl RefusedRow {
    fn delivery(&self, key: CampaignKey) -> DeliveryKey {
        let CampaignKey { tenant, campaign } = key;
        let (contact, step, pass) = (ContactNo(self.contact_no), StepNo(self.step), Pass(self.pass));
        DeliveryKey { tenant, campaign, contact, step, pass }
    }
}
