//! [`SegmentRepo`] over PostgreSQL.

use super::contacts::read;
use super::rule_sql::{self, Members};
use super::schema::{campaigns, contacts, segment_members, segments};
use super::statement::Statement;
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer};
use diesel_async::RunQueryDsl;
use muster_domain::model::contact::Contact;
use muster_domain::model::ids::{ContactId, ContactNo, SegmentId, SegmentNo};
use muster_domain::model::rules::Rule;
use muster_domain::model::segment::{Segment, SegmentDefinition};
use muster_domain::ports::segments::{Audience, Removal, SegmentRepo};
use muster_domain::ports::store::{StoreError, StoreResult};
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = segments)]
struct SegmentRow {
    segment_no: i32,
    id: Uuid,
    name: String,
    rules: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<SegmentRow> for Segment {
    type Error = StoreError;
    fn try_from(row: SegmentRow) -> Result<Self, StoreError> {
        let definition =
            match row.rules {
                None => SegmentDefinition::Static,
                Some(rules) => {
                    SegmentDefinition::Dynamic(serde_json::from_value::<Rule>(rules).map_err(|_| {
                        StoreError::Corrupt { table: "segments", column: "rules", id: row.id.to_string() }
                    })?)
                }
            };
        Ok(Segment {
            no: SegmentNo(row.segment_no),
            id: SegmentId(row.id),
            name: row.name,
            definition,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A rule as its column holds it.
fn to_json(definition: &SegmentDefinition) -> StoreResult<Option<Value>> {
    definition.rules().map(serde_json::to_value).transpose().map_err(super::internal)
}

impl<'a> From<&'a Audience> for Members<'a> {
    fn from(audience: &'a Audience) -> Self {
        match audience {
            Audience::Listed(no) => Members::Listed(*no),
            Audience::Matching(rule) => Members::Matching(rule),
        }
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
}

#[async_trait]
impl SegmentRepo for PgUnit {
    async fn insert(&mut self, name: &str, definition: &SegmentDefinition, now: DateTime<Utc>) -> StoreResult<Segment> {
        let of = self.of();
        let row: SegmentRow = diesel::insert_into(segments::table)
            .values((
                segments::tenant_no.eq(of.tenant.0),
                segments::workspace_no.eq(of.workspace.0),
                segments::id.eq(Uuid::now_v7()),
                segments::name.eq(name),
                segments::kind.eq(definition.kind().as_str()),
                segments::rules.eq(to_json(definition)?),
                segments::created_at.eq(now),
                segments::updated_at.eq(now),
            ))
            .returning(SegmentRow::as_returning())
            .get_result(self.conn().await?)
            .await
            .store()?;
        row.try_into()
    }

    async fn find(&mut self, id: SegmentId) -> StoreResult<Option<Segment>> {
        let of = self.of();
        let row: Option<SegmentRow> = segments::table
            .filter(segments::tenant_no.eq(of.tenant.0).and(segments::workspace_no.eq(of.workspace.0)))
            .filter(segments::id.eq(id.0))
            .select(SegmentRow::as_select())
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        row.map(Segment::try_from).transpose()
    }

    async fn find_for_update(&mut self, id: SegmentId) -> StoreResult<Option<Segment>> {
        let of = self.of();
        let row: Option<SegmentRow> = segments::table
            .filter(segments::tenant_no.eq(of.tenant.0).and(segments::workspace_no.eq(of.workspace.0)))
            .filter(segments::id.eq(id.0))
            .select(SegmentRow::as_select())
            .for_update()
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        row.map(Segment::try_from).transpose()
    }

    async fn list(&mut self, after: Option<SegmentNo>, limit: u32) -> StoreResult<Vec<Segment>> {
        let of = self.of();
        let rows: Vec<SegmentRow> = segments::table
            .filter(segments::tenant_no.eq(of.tenant.0).and(segments::workspace_no.eq(of.workspace.0)))
            .filter(segments::segment_no.lt(after.map_or(i32::MAX, |no| no.0)))
            .order(segments::segment_no.desc())
            .limit(i64::from(limit))
            .select(SegmentRow::as_select())
            .load(self.conn().await?)
            .await
            .store()?;
        rows.into_iter().map(Segment::try_from).collect()
    }

    async fn save(&mut self, segment: &Segment) -> StoreResult<()> {
        let of = self.of();
        diesel::update(segments::table)
            .filter(segments::tenant_no.eq(of.tenant.0).and(segments::workspace_no.eq(of.workspace.0)))
            .filter(segments::segment_no.eq(segment.no.0))
            .set((
                segments::name.eq(&segment.name),
                segments::rules.eq(to_json(&segment.definition)?),
                segments::updated_at.eq(segment.updated_at),
            ))
            .execute(self.conn().await?)
            .await
            .store()?;
        Ok(())
    }

    async fn remove(&mut self, no: SegmentNo) -> StoreResult<Removal> {
        let of = self.of();
        // The row is locked: whoever is just storing a campaign that names it either shows here or finds it gone.
        let of_tenant = campaigns::tenant_no.eq(of.tenant.0);
        let named = campaigns::table.filter(of_tenant.and(campaigns::segment_no.eq(no.0)));
        if diesel::select(exists(named)).get_result(self.conn().await?).await.store()? {
            return Ok(Removal::InUse);
        }
        diesel::delete(segment_members::table)
            .filter(segment_members::tenant_no.eq(of.tenant.0).and(segment_members::segment_no.eq(no.0)))
            .execute(self.conn().await?)
            .await
            .store()?;
        diesel::delete(segments::table)
            .filter(segments::tenant_no.eq(of.tenant.0).and(segments::workspace_no.eq(of.workspace.0)))
            .filter(segments::segment_no.eq(no.0))
            .execute(self.conn().await?)
            .await
            .store()?;
        Ok(Removal::Removed)
    }

    async fn count_members(&mut self, audience: &Audience) -> StoreResult<i64> {
        let mut statement = Statement::new("SELECT count(*) AS contact_no");
        rule_sql::push_from(&mut statement, self.of(), audience.into());
        let count: Number = statement.into_query().get_result(self.conn().await?).await.store()?;
        Ok(count.contact_no)
    }

    async fn list_members(
        &mut self,
        audience: &Audience,
        after: Option<ContactNo>,
        limit: u32,
    ) -> StoreResult<Vec<Contact>> {
        let after = after.map_or(0, |no| no.0);
        let members = rule_sql::select_members(self.of(), audience.into(), after, i64::MAX, i64::from(limit));
        let numbers: Vec<Number> = members.into_query().load(self.conn().await?).await.store()?;
        let numbers: Vec<_> = numbers.into_iter().map(|row| ContactNo(row.contact_no)).collect();
        let of = self.of();
        read::by_number(self.conn().await?, of, &numbers).await
    }

    async fn resolve(&mut self, wanted: &[ContactId]) -> StoreResult<Vec<Option<ContactNo>>> {
        let of = self.of();
        let found: Vec<(Uuid, i64)> = contacts::table
            .filter(contacts::tenant_no.eq(of.tenant.0).and(contacts::workspace_no.eq(of.workspace.0)))
            .filter(contacts::id.eq_any(wanted.iter().map(|id| id.0)).and(contacts::erased_at.is_null()))
            .order(contacts::contact_no)
            .select((contacts::id, contacts::contact_no))
            .for_key_share()
            .load(self.conn().await?)
            .await
            .store()?;
        let found: HashMap<Uuid, i64> = found.into_iter().collect();
        Ok(wanted.iter().map(|id| found.get(&id.0).copied().map(ContactNo)).collect())
    }

    async fn add_members(&mut self, no: SegmentNo, contacts: &[ContactNo]) -> StoreResult<u64> {
        let of = self.of();
        let added = diesel::sql_query(
            "INSERT INTO segment_members (tenant_no, segment_no, contact_no) \
             SELECT $1, $2, u.contact_no FROM unnest($3::bigint[]) AS u(contact_no) ORDER BY 3 ON CONFLICT DO NOTHING",
        )
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(no.0)
        .bind::<Array<BigInt>, _>(contacts.iter().map(|contact| contact.0).collect::<Vec<_>>())
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(added as u64)
    }

    async fn remove_members(&mut self, no: SegmentNo, contacts: &[ContactNo]) -> StoreResult<u64> {
        let of = self.of();
        let removed = diesel::delete(segment_members::table)
            .filter(segment_members::tenant_no.eq(of.tenant.0).and(segment_members::segment_no.eq(no.0)))
            .filter(segment_members::contact_no.eq_any(contacts.iter().map(|contact| contact.0)))
            .execute(self.conn().await?)
            .await
            .store()?;
        Ok(removed as u64)
    }
}
