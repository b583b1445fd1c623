//! Whose turn it is: those with due mail, but for those that had nothing to give just now, or failed.

use super::left_out::LeftOut;
use super::turn::{Failure, How, TurnEnd};
use crate::fault::storage_is_away;
use muster_domain::model::fairness::Turns;
use muster_domain::model::ids::{CampaignKey, TenantNo};
use muster_domain::ports::store::StoreResult;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The list of campaigns with due mail is read again after this long.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The order of turns, and who is not in it.
#[derive(Default)]
pub(super) struct Rota {
    turns: Turns,
    read_at: Option<Instant>,
    /// Campaigns whose due mail somebody else held, and when that was seen.
    fruitless: HashMap<CampaignKey, Instant>,
    left_out: LeftOut,
}

impl Rota {
    /// Whether the list of campaigns with due mail is to be read.
    pub(super) fn is_old(&self) -> bool {
        self.turns.is_empty() || self.read_at.is_none_or(|at| at.elapsed() >= READ_AGAIN_AFTER)
    }

    /// These have due mail.
    pub(super) fn read(&mut self, due: Vec<CampaignKey>) {
        self.fruitless.retain(|_, at| at.elapsed() < READ_AGAIN_AFTER);
        self.left_out.forget();
        let Self { fruitless, left_out, .. } = self;
        let may = |campaign: &CampaignKey| !fruitless.contains_key(campaign) && !left_out.holds(*campaign);
        self.turns.replace(due.into_iter().filter(may));
        self.read_at = Some(Instant::now());
    }

    /// Those who have turns.
    pub(super) fn tenants(&self) -> impl Iterator<Item = TenantNo> {
        self.turns.tenants()
    }

    /// See [`Turns::next_turn`].
    pub(super) fn next_turn(&mut self, may: impl Fn(TenantNo) -> bool) -> Option<CampaignKey> {
        self.turns.next_turn(may)
    }

    /// Takes note of how a turn ended. An error means that storage is away; every other failure is the campaign's own.
    pub(super) fn ended(&mut self, TurnEnd { campaign, how }: TurnEnd) -> StoreResult<()> {
        if !matches!(how, How::More) {
            self.turns.remove(campaign);
        }
        match how {
            How::More | How::Drained => self.left_out.succeeded(campaign),
            How::Fruitless => {
                self.fruitless.insert(campaign, Instant::now());
            }
            How::Failed(Failure::Store(error)) if storage_is_away(&error) => return Err(error),
            How::Failed(failure) => self.left_out.failed(campaign, &failure),
        }
        Ok(())
    }
}
