//! Keep what recipients of mails, and programs in between, did with them.

use crate::model::delivery::DeliveryKey;
use crate::model::events::{ClickedLink, EngagementEvent, EventKind, Machine};
use crate::model::ids::{TenantNo, WorkspaceNo};
use crate::ports::events::EventReport;
use crate::ports::store::{StoreResult, Tx, Workspace};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What of a mail leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The image.
    Image,
    /// A link.
    Link(ClickedLink),
    /// The link that no person sees.
    Trap,
}

impl Place {
    /// As what a visit counts, and to which link.
    fn event(self) -> (EventKind, Option<ClickedLink>) {
        match self {
            Place::Image => (EventKind::Opened, None),
            Place::Link(link) => (EventKind::Clicked, Some(link)),
            Place::Trap => (EventKind::Clicked, None),
        }
    }
}

/// Somebody loaded the image of a mail or followed a link of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Drawn when it came, so that keeping it again keeps it once.
    pub id: Uuid,
    /// Of which mail.
    pub delivery: DeliveryKey,
    /// What of it was asked for.
    pub place: Place,
    /// What gives it away as a program.
    pub machine: Option<Machine>,
}

/// The transaction in which visits to mails of `tenant` are kept. A mail does not say which workspace sent it, and need not.
pub fn workspace_of(tenant: TenantNo) -> Workspace {
    Workspace { tenant, workspace: WorkspaceNo(0) }
}

/// Keeps visits of one tenant, each with how long ago it came. The same again changes nothing. Whom a person's visit shows to
/// have got a mail that was in doubt has got it.
pub async fn record_engagement(tx: &mut Tx, visits: &[(Visit, TimeDelta)]) -> StoreResult<EventReport> {
    let now = tx.now().await?;
    let event = |(visit, ago): &(Visit, TimeDelta)| {
        let (kind, link) = visit.place.event();
        let machine = if visit.place == Place::Trap { Some(Machine::Trap) } else { visit.machine };
        EngagementEvent { id: visit.id, delivery: visit.delivery, kind, link, at: now - *ago, machine }
    };
    let events: Vec<_> = visits.iter().map(event).collect();
    let mails: BTreeSet<DeliveryKey> = visits.iter().map(|(visit, _)| visit.delivery).collect();
    let doubts = tx.deliveries().hold_doubts(&mails).await?;
    let report = tx.events().record(&events).await?;
    if !doubts.is_empty() {
        tx.deliveries().settle_heard(&doubts, now).await?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{CampaignNo, ContactNo, LinkNo, Pass, StepNo};
    use crate::testing::MockUnit;

    fn delivery(contact: i64) -> DeliveryKey {
        let (tenant, campaign, contact) = (TenantNo(1), CampaignNo(2), ContactNo(contact));
        DeliveryKey { tenant, campaign, contact, step: StepNo(4), pass: Pass(5) }
    }

    #[tokio::test]
    async fn doubts_are_held_before_and_settled_after_what_was_seen_is_kept() {
        for doubtful in [false, true] {
            let mut order = mockall::Sequence::new();
            let mut unit = MockUnit::at("2026-03-01T09:00:00Z".parse().unwrap());
            let visit =
                |contact| Visit { id: Uuid::nil(), delivery: delivery(contact), place: Place::Image, machine: None };
            let held = unit.deliveries.expect_hold_doubts().once().in_sequence(&mut order);
            held.returning(move |mails| {
                assert_eq!(*mails, [delivery(1), delivery(2)].into(), "each once");
                Ok(if doubtful { [delivery(2)].into() } else { BTreeSet::new() })
            });
            unit.events.expect_record().once().in_sequence(&mut order).returning(|_| Ok(EventReport::default()));
            if doubtful {
                let settled = unit.deliveries.expect_settle_heard().once().in_sequence(&mut order);
                settled.withf(|doubts, _| *doubts == [delivery(2)].into()).returning(|_, _| Ok(()));
            }
            let visits = [2, 1, 2].map(|contact| (visit(contact), TimeDelta::zero()));
            record_engagement(&mut unit.into_tx(), &visits).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_follows_the_hidden_link_is_a_program_whatever_else_it_is() {
        let link = ClickedLink { no: LinkNo(7), of: 2 };
        let visit =
            |place, machine| (Visit { id: Uuid::nil(), delivery: delivery(3), place, machine }, TimeDelta::zero());
        let mut unit = MockUnit::at("2026-03-01T09:00:00Z".parse().unwrap());
        unit.deliveries.expect_hold_doubts().returning(|_| Ok(BTreeSet::new()));
        unit.events.expect_record().once().returning(move |events| {
            let told: Vec<_> = events.iter().map(|event| (event.kind, event.link, event.machine)).collect();
            let (opened, clicked) = (EventKind::Opened, EventKind::Clicked);
            let (head, trap) = (Some(Machine::Head), Some(Machine::Trap));
            assert_eq!(
                told,
                [(opened, None, None), (clicked, Some(link), head), (clicked, None, trap), (clicked, None, trap)]
            );
            Ok(EventReport::default())
        });
        let visits = [
            visit(Place::Image, None),
            visit(Place::Link(link), Some(Machine::Head)),
            visit(Place::Trap, None),
            visit(Place::Trap, Some(Machine::Head)),
        ];
        record_engagement(&mut unit.into_tx(), &visits).await.unwrap();
    }
}
