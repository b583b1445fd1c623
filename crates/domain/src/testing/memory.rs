//! Campaigns that stay stored, for tests of more than one call.

use super::builders::a_campaign;
use crate::model::campaign::Campaign;
use crate::model::ids::{CampaignId, CampaignNo, SegmentNo, SequenceVersion, StepId};
use crate::model::rules::Mails;
use crate::model::sequence::Sequence;
use crate::ports::campaigns::{CampaignWithFigures, Enrolling, MockCampaignRepo, NewCampaign, RegisteredStep, Saved};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

#[derive(Default)]
struct Memory {
    campaigns: Vec<Campaign>,
    sequences: BTreeMap<(CampaignNo, SequenceVersion), Sequence>,
    ids: u128,
}

impl Memory {
    fn find(&self, id: CampaignId) -> Option<Campaign> {
        self.campaigns.iter().find(|campaign| campaign.id == id).cloned()
    }

    fn find_with_steps(&self, id: CampaignId) -> Option<(Campaign, Sequence)> {
        let campaign = self.find(id)?;
        let sequence = self.sequences.get(&(campaign.no, campaign.sequence_version)).cloned().unwrap_or_default();
        Some((campaign, sequence))
    }

    fn insert(&mut self, new: &NewCampaign) -> Campaign {
        let number = self.campaigns.len() + 1;
        let campaign = Campaign {
            no: CampaignNo(i32::try_from(number).unwrap_or(i32::MAX)),
            id: CampaignId(Uuid::from_u128(number as u128)),
            campaign_type: new.campaign_type,
            segment: new.segment,
            segment_id: new.segment_id,
            content: new.content.clone(),
            sequence_version: new.sequence_version,
            next_step_no: new.next_step_no,
            created_by: new.created_by,
            created_at: new.created_at,
            updated_at: new.created_at,
            ..a_campaign()
        };
        self.campaigns.push(campaign.clone());
        campaign
    }

    fn save(&mut self, changed: &Campaign) -> Saved {
        let Some(stored) = self.campaigns.iter_mut().find(|campaign| campaign.no == changed.no) else {
            return Saved::Stale;
        };
        if stored.version != changed.version {
            return Saved::Stale;
        }
        *stored = Campaign { version: changed.version + 1, ..changed.clone() };
        Saved::Stored
    }

    fn save_launched(&mut self, changed: &Campaign, enrolling: Enrolling) -> Option<Campaign> {
        let launched = Campaign {
            enrollment_state: enrolling.state,
            enroll_total: enrolling.total,
            total_contacts: changed.total_contacts + enrolling.enrolled,
            ..changed.clone()
        };
        (self.save(&launched) == Saved::Stored).then(|| self.find(changed.id)).flatten()
    }

    fn known(&self, named: &Mails) -> Mails {
        let campaigns = self.campaigns.iter().filter(|campaign| named.campaigns.contains(&campaign.id));
        let steps = self
            .campaigns
            .iter()
            .flat_map(|campaign| self.registered(campaign).into_iter().map(|step| (campaign.id, step)));
        let steps = steps.filter(|(_, step)| named.steps.contains_key(&step.id));
        Mails {
            campaigns: campaigns.map(|campaign| campaign.id).collect(),
            steps: steps.map(|(campaign, step)| (step.id, Some((campaign, step.step_type)))).collect(),
        }
    }

    fn registered(&self, campaign: &Campaign) -> Vec<RegisteredStep> {
        let versions = self.sequences.iter().filter(|((no, _), _)| *no == campaign.no);
        let mut steps: Vec<_> = versions
            .flat_map(|(_, sequence)| &sequence.steps)
            .map(|step| RegisteredStep { no: step.no, id: step.id, step_type: step.step_type() })
            .collect();
        steps.sort_by_key(|step| step.no);
        steps.dedup();
        steps
    }
}

/// A mock that keeps what is stored, beginning with `campaigns`; every segment exists. It cannot list.
pub fn remembering(campaigns: Vec<Campaign>) -> MockCampaignRepo {
    let memory = Arc::new(Mutex::new(Memory { campaigns, ..Memory::default() }));
    let mut repo = MockCampaignRepo::new();
    macro_rules! on {
        ($expect:ident, |$memory:ident $(, $arg:pat_param)*| $answer:expr) => {{
            let memory = Arc::clone(&memory);
            repo.$expect().returning(move |$($arg),*| {
                let mut $memory = lock(&memory);
                let _ = &mut $memory;
                Ok($answer)
            });
        }};
    }
    on!(expect_insert, |memory, new| memory.insert(new));
    on!(expect_find, |memory, id| memory.find(id));
    on!(expect_find_with_steps, |memory, id| memory.find_with_steps(id));
    on!(expect_find_with_figures, |memory, id| memory.find_with_steps(id).map(|(campaign, sequence)| {
        CampaignWithFigures { campaign, sequence, counts: BTreeMap::new(), in_flight: 0 }
    }));
    on!(expect_find_for_update, |memory, id| memory.find(id));
    on!(expect_find_for_share, |memory, id| memory.find(id));
    on!(expect_find_by_no_for_update, |memory, no| memory.campaigns.iter().find(|c| c.no == no).cloned());
    on!(expect_find_with_steps_for_update, |memory, id| memory.find_with_steps(id));
    on!(expect_save_launched, |memory, campaign, enrolling| memory.save_launched(campaign, enrolling));
    on!(expect_save, |memory, campaign| memory.save(campaign));
    on!(expect_delete, |memory, gone| memory.campaigns.retain(|campaign| campaign.no != gone.no));
    on!(expect_find_segment, |_memory, _| Some(SegmentNo(1)));
    on!(expect_sequence, |memory, campaign, version| {
        memory.sequences.get(&(campaign.no, version)).cloned().unwrap_or_default()
    });
    on!(expect_registered_steps, |memory, campaign| memory.registered(campaign));
    on!(expect_known_mails, |memory, named| memory.known(named));
    on!(expect_new_step_ids, |memory, count| {
        let from = memory.ids + 1;
        memory.ids += count as u128;
        (from..=memory.ids).map(|id| StepId(Uuid::from_u128(id))).collect()
    });
    on!(expect_add_sequence, |memory, campaign, sequence| {
        memory.sequences.insert((campaign.no, campaign.sequence_version), sequence.clone());
    });
    repo
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
