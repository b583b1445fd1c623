//! What action steps do to contacts, set by set. An erased contact is left alone.

use super::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::contact::FieldValue;
use muster_domain::model::effects::ContactChange;
use muster_domain::model::ids::{CampaignKey, ContactNo};
use muster_domain::ports::store::StoreResult;
use std::collections::{BTreeMap, BTreeSet};

/// The last word on each thing that a batch changes.
#[derive(Default)]
struct Changes {
    tags: BTreeMap<(i64, String), bool>,
    texts: BTreeMap<&'static str, BTreeMap<i64, Option<String>>>,
    scores: BTreeMap<i64, i32>,
    custom: BTreeMap<(i64, String), Option<FieldValue>>,
}

/// Makes the changes of a batch; of several to the same thing the last one counts.
pub(super) async fn apply<'a>(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    moves: impl Iterator<Item = (ContactNo, &'a [ContactChange])>,
) -> StoreResult<()> {
    let mut changes = Changes::default();
    let mut touched = BTreeSet::new();
    for (contact, list) in moves {
        for change in list {
            touched.insert(contact.0);
            changes.note(contact.0, change);
        }
    }
    if touched.is_empty() {
        return Ok(());
    }
    changes.write(conn, key, now).await?;
    diesel::sql_query(
        "UPDATE contacts SET updated_at = $3 WHERE tenant_no = $1 AND contact_no = ANY($2) AND erased_at IS NULL",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(touched.into_iter().collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

impl Changes {
    fn note(&mut self, contact: i64, change: &ContactChange) {
        match change {
            ContactChange::AddTag(tag) => {
                self.tags.insert((contact, tag.clone()), true);
            }
            ContactChange::RemoveTag(tag) => {
                self.tags.insert((contact, tag.clone()), false);
            }
            ContactChange::SetText(field, text) => {
                self.texts.entry(field).or_default().insert(contact, text.clone());
            }
            ContactChange::SetScore(score) => {
                self.scores.insert(contact, *score);
            }
            ContactChange::SetCustom(name, value) => {
                self.custom.insert((contact, name.clone()), value.clone());
            }
        }
    }

    async fn write(self, conn: &mut AsyncPgConnection, key: CampaignKey, now: DateTime<Utc>) -> StoreResult<()> {
        let (on, off): (Vec<_>, Vec<_>) = self.tags.into_iter().partition(|(_, there)| *there);
        add_tags(conn, key, on.into_iter().map(|(at, _)| at).unzip()).await?;
        remove_tags(conn, key, off.into_iter().map(|(at, _)| at).unzip()).await?;
        for (field, values) in self.texts {
            set_text(conn, key, now, field, values.into_iter().unzip()).await?;
        }
        set_scores(conn, key, self.scores.into_iter().unzip()).await?;
        set_custom(conn, key, self.custom).await
    }
}

async fn add_tags(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    (contacts, tags): (Vec<i64>, Vec<String>),
) -> StoreResult<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO contact_tags (tenant_no, contact_no, tag) \
         SELECT c.tenant_no, c.contact_no, u.tag FROM unnest($2::bigint[], $3::text[]) AS u (contact_no, tag) \
         JOIN contacts c ON c.tenant_no = $1 AND c.contact_no = u.contact_no AND c.erased_at IS NULL \
         ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(contacts)
    .bind::<Array<Text>, _>(tags)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn remove_tags(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    (contacts, tags): (Vec<i64>, Vec<String>),
) -> StoreResult<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "DELETE FROM contact_tags t USING unnest($2::bigint[], $3::text[]) AS u (contact_no, tag) \
         WHERE t.tenant_no = $1 AND t.contact_no = u.contact_no AND t.tag = u.tag",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(contacts)
    .bind::<Array<Text>, _>(tags)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

/// The column of a text field. Field names come from a closed list, so this is the only place where one becomes SQL.
fn column(field: &str) -> Option<&'static str> {
    Some(match field {
        "firstName" => "first_name",
        "lastName" => "last_name",
        "company" => "company",
        "jobTitle" => "job_title",
        "city" => "city",
        "state" => "state",
        "country" => "country",
        "timezone" => "timezone",
        _ => return None,
    })
}

async fn set_text(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    field: &str,
    (contacts, texts): (Vec<i64>, Vec<Option<String>>),
) -> StoreResult<()> {
    let Some(column) = column(field) else { return Ok(()) };
    diesel::sql_query(format!(
        "UPDATE contacts c SET {column} = u.value, updated_at = $4 \
         FROM unnest($2::bigint[], $3::text[]) AS u (contact_no, value) \
         WHERE c.tenant_no = $1 AND c.contact_no = u.contact_no AND c.erased_at IS NULL"
    ))
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(contacts)
    .bind::<Array<Nullable<Text>>, _>(texts)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn set_scores(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    (contacts, scores): (Vec<i64>, Vec<i32>),
) -> StoreResult<()> {
    if contacts.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "UPDATE contacts c SET lead_score = u.score FROM unnest($2::bigint[], $3::int[]) AS u (contact_no, score) \
         WHERE c.tenant_no = $1 AND c.contact_no = u.contact_no AND c.erased_at IS NULL",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(contacts)
    .bind::<Array<Integer>, _>(scores)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn set_custom(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    values: BTreeMap<(i64, String), Option<FieldValue>>,
) -> StoreResult<()> {
    if values.is_empty() {
        return Ok(());
    }
    let (at, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let (contacts, names): (Vec<i64>, Vec<String>) = at.into_iter().unzip();
    diesel::sql_query(
        "DELETE FROM contact_fields f USING unnest($2::bigint[], $3::text[]) AS u (contact_no, name) \
         WHERE f.tenant_no = $1 AND f.contact_no = u.contact_no AND f.name = u.name",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(&contacts)
    .bind::<Array<Text>, _>(&names)
    .execute(conn)
    .await
    .store()?;
    let stored: Vec<_> = values.iter().map(|value| value.as_ref().map(super::super::facts::stored)).collect();
    diesel::sql_query(
        "INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value, number) \
         SELECT c.tenant_no, c.contact_no, u.name, u.kind::\"char\", u.value, u.number \
         FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::float8[]) AS u (contact_no, name, kind, value, number) \
         JOIN contacts c ON c.tenant_no = $1 AND c.contact_no = u.contact_no AND c.erased_at IS NULL \
         WHERE u.kind IS NOT NULL",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Array<BigInt>, _>(&contacts)
    .bind::<Array<Text>, _>(&names)
    .bind::<Array<Nullable<Text>>, _>(stored.iter().map(|s| s.as_ref().map(|s| s.kind.to_string())).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(stored.iter().map(|s| s.as_ref().map(|s| s.value.clone())).collect::<Vec<_>>())
    .bind::<Array<Nullable<Double>>, _>(stored.iter().map(|s| s.as_ref().and_then(|s| s.number)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
