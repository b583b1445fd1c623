//! Sequences as the engine reads them: versions never change, so one read lasts.

use super::StoreErrorExt;
use super::json::Json;
use super::schema::sequence_versions;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{CampaignKey, SequenceVersion};
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many versions are kept at most; then all are let go and read anew.
const KEPT: usize = 1_000;

/// Versions that were read before.
#[derive(Default)]
pub(crate) struct SequenceCache(Mutex<HashMap<(CampaignKey, SequenceVersion), Arc<Sequence>>>);

impl SequenceCache {
    fn get(&self, key: (CampaignKey, SequenceVersion)) -> Option<Arc<Sequence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn put(&self, key: (CampaignKey, SequenceVersion), sequence: Arc<Sequence>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, sequence);
    }
}

/// That version of a campaign's sequence. Only for versions that an enrollment or a mail names: those are never removed.
pub(crate) async fn of(
    conn: &mut AsyncPgConnection,
    cache: &SequenceCache,
    campaign: CampaignKey,
    version: SequenceVersion,
) -> StoreResult<Arc<Sequence>> {
    if let Some(sequence) = cache.get((campaign, version)) {
        return Ok(sequence);
    }
    let steps: Option<Json<Sequence>> = sequence_versions::table
        .find((campaign.tenant.0, campaign.campaign.0, version.0))
        .select(sequence_versions::steps)
        .first(conn)
        .await
        .optional()
        .store()?;
    let corrupt = || StoreError::Corrupt {
        table: "sequence_versions",
        column: "steps",
        id: format!("{}/{}", campaign.campaign.0, version.0),
    };
    let sequence = Arc::new(steps.ok_or_else(corrupt)?.ok_or_else(corrupt)?);
    cache.put((campaign, version), Arc::clone(&sequence));
    Ok(sequence)
}
