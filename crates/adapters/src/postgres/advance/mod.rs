//! [`AdvanceStore`] over PostgreSQL: one batch of one campaign is one transaction and about six statements, however
//! many enrollments it holds.

mod claim;
mod effects;
mod write_back;

use super::locks::{self, Lock};
use super::sequences;
use super::tx::{Patience, Role};
use super::{PgStore, StoreErrorExt, books};
use async_trait::async_trait;
use claim::ActiveCampaign;
use diesel_async::AsyncPgConnection;
use muster_domain::model::contact::ContactFacts;
use muster_domain::model::enrollment::DueEnrollment;
use muster_domain::model::ids::{CampaignKey, ContactNo};
use muster_domain::model::rules::Engaged;
use muster_domain::ports::advance::{AdvanceReport, AdvanceStore, Claim, Decide, Due};
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::{BTreeSet, HashMap};
use write_back::Move;

#[async_trait]
impl AdvanceStore for PgStore {
    async fn advance(&self, claim: Claim, decide: &Decide) -> StoreResult<AdvanceReport> {
        let mut tx = self.open(Role::App(claim.campaign.tenant), Patience::Request).await?;
        locks::share(&mut tx, Lock::Campaign(claim.campaign.campaign)).await?;
        let Some(campaign) = claim::active_campaign(&mut tx, claim.campaign).await? else {
            tx.rollback().await?;
            return Ok(AdvanceReport::default());
        };
        let due = claim::claim_due(&mut tx, &claim, campaign.now).await?;
        if due.is_empty() {
            tx.rollback().await?;
            return Ok(AdvanceReport::default());
        }
        let moves = self.decide_all(&mut tx, claim.campaign, &campaign, &due, decide).await?;
        let report = write_back::write_back(&mut tx, claim.campaign, campaign.now, &moves).await?;
        let changed = moves.iter().filter_map(|m| Some((m.due.contact, m.outcome.as_ref().ok()?.changes.as_slice())));
        effects::apply(&mut tx, claim.campaign, campaign.now, changed).await?;
        books::post(&tx, claim.campaign, &report.entries).await?;
        tx.commit().await?;
        Ok(AdvanceReport { up_to: due.last().map(|last| last.due_at), ..report.figures })
    }
}

impl PgStore {
    async fn decide_all<'a>(
        &self,
        conn: &mut AsyncPgConnection,
        key: CampaignKey,
        campaign: &ActiveCampaign,
        due: &'a [DueEnrollment],
        decide: &Decide,
    ) -> StoreResult<Vec<Move<'a>>> {
        let versions: BTreeSet<_> = due.iter().map(|enrollment| enrollment.version).collect();
        let mut known = HashMap::new();
        for version in versions {
            known.insert(version, sequences::of(conn, self.sequences(), key, version).await?);
        }
        let asking: Vec<ContactNo> =
            due.iter().filter(|e| known[&e.version].needs_facts()).map(|e| e.contact).collect();
        let mut facts = super::facts::of(conn, key.tenant, &asking).await?;
        let questions: BTreeSet<Engaged> = known.values().flat_map(|sequence| sequence.questions()).collect();
        let of = Workspace { tenant: key.tenant, workspace: campaign.workspace };
        for question in questions {
            for contact in super::facts::engaged(conn, of, key.campaign, &question, &asking).await? {
                facts.entry(contact).and_modify(|facts| {
                    facts.engaged.insert(question.clone());
                });
            }
        }
        Ok(due
            .iter()
            .map(|enrollment| {
                let sequence = &known[&enrollment.version];
                let facts = facts.remove(&enrollment.contact).unwrap_or_else(ContactFacts::default);
                let timezone = campaign.timezone;
                let outcome = decide(Due { enrollment, sequence, facts, timezone, now: campaign.now });
                if let Err(error) = &outcome {
                    tracing::error!(campaign = key.campaign.0, contact = enrollment.contact.0, %error, "enrollment cannot be moved on");
                }
                Move { due: enrollment, outcome }
            })
            .collect())
    }
}
