//! An outbox in memory, whose storage fails as it is told.

use super::A_MOMENT;
use async_trait::async_trait;
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::ContactFacts;
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch, RetryPolicy};
use muster_domain::model::ids::{CampaignKey, CampaignNo, ContactNo, Pass, SequenceVersion, StepNo, TenantNo};
use muster_domain::model::sequence::{Sequence, Target};
use muster_domain::ports::delivery::{
    BeginReport, Beginning, ClaimReport, Claimed, DeliveryStore, DynReservations, Finished, Letter, RecordReport,
    RenewReport, Sender,
};
use muster_domain::ports::store::StoreResult;
use muster_domain::testing::a_step;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

/// What is asked of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Claim,
    Begin,
    Round,
}

pub(super) fn campaign(number: i32) -> CampaignKey {
    CampaignKey { tenant: TenantNo(number), campaign: CampaignNo(number) }
}

pub(super) fn attempt(campaign: CampaignKey, contact: i64) -> Attempt {
    let CampaignKey { tenant, campaign } = campaign;
    let key = DeliveryKey { tenant, campaign, contact: ContactNo(contact), step: StepNo(1), pass: Pass(1) };
    Attempt { key, epoch: Epoch(0) }
}

fn letter(attempt: Attempt) -> Letter {
    let address = |text| EmailAddress::parse(text).unwrap();
    let sender = Sender {
        from_email: address("news@example.test"),
        from_name: "News".to_owned(),
        reply_to: None,
        unsubscribe: false,
        track_opens: false,
        track_clicks: false,
        postal_address: None,
    };
    Letter {
        claimed: Claimed { attempt, version: SequenceVersion(1), attempts: 0, queued_at: chrono::DateTime::UNIX_EPOCH },
        recipient: address("ada@example.test"),
        facts: ContactFacts::default(),
        sender: Arc::new(sender),
        sequence: Arc::new(Sequence { steps: vec![a_step(1, Target::End)] }),
    }
}

type Trouble = Box<dyn Fn(Asked, CampaignKey) -> StoreResult<()> + Send + Sync>;

/// Mails of campaigns that are called by their numbers.
pub(super) struct Outbox {
    pending: Mutex<BTreeMap<CampaignKey, VecDeque<Attempt>>>,
    /// Claimed, and neither given back nor ended.
    claimed: Mutex<HashSet<Attempt>>,
    /// What was asked of storage and when.
    asked: Mutex<Vec<(Asked, CampaignKey, Instant)>>,
    /// Whose mail was recorded as sent, and when.
    sent: Mutex<Vec<(CampaignKey, Instant)>>,
    /// Whose leases were renewed, and when.
    renewed: Mutex<Vec<(CampaignKey, Instant)>>,
    trouble: Trouble,
}

impl Outbox {
    /// So many mails of each campaign, and what storage says when it is asked for one of them.
    pub(super) fn of(
        mails: &[(i32, i64)],
        trouble: impl Fn(Asked, CampaignKey) -> StoreResult<()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let pile = |(number, count): &(i32, i64)| {
            (campaign(*number), (1..=*count).map(|contact| attempt(campaign(*number), contact)).collect())
        };
        Arc::new(Self {
            pending: Mutex::new(mails.iter().map(pile).collect()),
            claimed: Mutex::default(),
            asked: Mutex::default(),
            sent: Mutex::default(),
            renewed: Mutex::default(),
            trouble: Box::new(trouble),
        })
    }

    /// Somebody has this one in hand.
    pub(super) fn has_claimed(&self, attempt: Attempt) {
        self.claimed.lock().unwrap().insert(attempt);
    }

    pub(super) fn pending(&self, number: i32) -> usize {
        self.piles().get(&campaign(number)).map_or(0, VecDeque::len)
    }

    /// When mails of this campaign were recorded as sent.
    pub(super) fn sent(&self, number: i32) -> Vec<Instant> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(of, _)| *of == campaign(number)).map(|(_, at)| *at).collect()
    }

    /// When that was asked of this campaign.
    pub(super) fn asked(&self, what: Asked, number: i32) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(one, of, _)| (*one, *of) == (what, campaign(number))).map(|(.., at)| *at).collect()
    }

    /// When a lease of this campaign was renewed.
    pub(super) fn renewed(&self, number: i32) -> Vec<Instant> {
        let renewed = self.renewed.lock().unwrap();
        renewed.iter().filter(|(of, _)| *of == campaign(number)).map(|(_, at)| *at).collect()
    }

    fn piles(&self) -> MutexGuard<'_, BTreeMap<CampaignKey, VecDeque<Attempt>>> {
        self.pending.lock().unwrap()
    }

    /// Makes those pending again that nobody else has claimed since.
    fn put_back(&self, campaign: CampaignKey, attempts: &[Attempt]) {
        let mut claimed = self.claimed.lock().unwrap();
        let back = attempts.iter().filter(|attempt| claimed.remove(attempt));
        self.piles().entry(campaign).or_default().extend(back);
    }

    async fn ask(&self, what: Asked, campaign: CampaignKey) -> StoreResult<()> {
        sleep(A_MOMENT).await;
        self.asked.lock().unwrap().push((what, campaign, Instant::now()));
        (self.trouble)(what, campaign)
    }
}

#[async_trait]
impl DeliveryStore for Outbox {
    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>> {
        sleep(A_MOMENT).await;
        Ok(self.piles().iter().filter(|(_, pile)| !pile.is_empty()).map(|(campaign, _)| *campaign).collect())
    }

    async fn claim(&self, campaign: CampaignKey, limit: usize) -> StoreResult<ClaimReport> {
        self.ask(Asked::Claim, campaign).await?;
        let mut piles = self.piles();
        let pile = piles.entry(campaign).or_default();
        let mut claimed = self.claimed.lock().unwrap();
        let claim = |Attempt { key, epoch: Epoch(before) }| {
            let attempt = Attempt { key, epoch: Epoch(before + 1) };
            claimed.insert(attempt);
            letter(attempt)
        };
        let letters = pile.drain(..limit.min(pile.len())).map(claim).collect();
        Ok(ClaimReport { letters, not_before: None })
    }

    async fn begin(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport> {
        self.ask(Asked::Begin, campaign).await?;
        let attempts: Vec<Attempt> = batch.iter().map(|one| one.attempt).collect();
        let mut begun = reservations.reserve(&attempts).await;
        while reservations.has_more() {
            self.ask(Asked::Round, campaign).await?;
            begun.extend(reservations.further().await);
        }
        let returned: Vec<Attempt> = attempts.into_iter().filter(|attempt| !begun.contains(attempt)).collect();
        self.put_back(campaign, &returned);
        Ok(BeginReport { begun, returned, ..BeginReport::default() })
    }

    async fn record(&self, of: CampaignKey, finished: &[Finished], _: &RetryPolicy) -> StoreResult<RecordReport> {
        sleep(A_MOMENT).await;
        self.sent.lock().unwrap().extend(finished.iter().map(|_| (of, Instant::now())));
        let mut claimed = self.claimed.lock().unwrap();
        claimed.retain(|attempt| finished.iter().all(|one| one.attempt != *attempt));
        Ok(RecordReport { sent: finished.len(), ..RecordReport::default() })
    }

    async fn give_back(&self, campaign: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport> {
        sleep(A_MOMENT).await;
        self.put_back(campaign, attempts);
        Ok(RecordReport::default())
    }

    /// None of a campaign that it does not know.
    async fn renew(&self, attempts: &[Attempt]) -> RenewReport {
        let held = attempts.iter().map(|attempt| (attempt.key.campaign_key(), Instant::now()));
        self.renewed.lock().unwrap().extend(held);
        let piles = self.piles();
        let known = attempts.iter().filter(|attempt| piles.contains_key(&attempt.key.campaign_key()));
        RenewReport { renewed: known.copied().collect(), trouble: None }
    }
}
