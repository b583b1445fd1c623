//! Keep what recipients of mails, and programs in between, did with them.

use crate::model::delivery::DeliveryKey;
use crate::model::events::{ClickedLink, EngagementEvent, EventKind, Machine};
use crate::model::ids::{TenantNo, WorkspaceNo};
use crate::ports::events::EventReport;
use crate::ports::store::{StoreResult, Tx, Workspace};
use chrono::{DateTime, TimeDelta, Utc};
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

impl Visit {
    /// Why it is a program's, as far as is known from the visit itself.
    fn machine(&self) -> Option<Machine> {
        if self.place == Place::Trap { Some(Machine::Trap) } else { self.machine }
    }

    fn event(&self, at: DateTime<Utc>) -> EngagementEvent {
        let (kind, link) = self.place.event();
        EngagementEvent { id: self.id, delivery: self.delivery, kind, link, at, machine: self.machine() }
    }
}

/// The transaction in which visits to mails of `tenant` are kept. A mail does not say which workspace sent it, and need not.
pub fn workspace_of(tenant: TenantNo) -> Workspace {
    Workspace { tenant, workspace: WorkspaceNo(0) }
}

/// So soon after its mail server has answered, what became of a mail is written down.
const WRITTEN_DOWN_WITHIN: TimeDelta = TimeDelta::milliseconds(250);

/// What became of visits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of those that were kept.
    pub report: EventReport,
    /// Those that are not yet, by their ids: to be told again a little later.
    pub later: BTreeSet<Uuid>,
}

/// Keeps visits of one tenant, each with how long ago it came. The same again changes nothing. Whom a person's visit shows to
/// have got a mail that was in doubt has got it.
///
/// Who comes while the mail is still being sent is a program, as nobody has it yet; or a person who was quicker than what the
/// mail server's answer took to be written down. So a visit that is no older than that is left for later.
pub async fn record_engagement(tx: &mut Tx, visits: &[(Visit, TimeDelta)]) -> StoreResult<Kept> {
    let now = tx.now().await?;
    let mails: BTreeSet<DeliveryKey> = visits.iter().map(|(visit, _)| visit.delivery).collect();
    let held = tx.deliveries().hold(&mails).await?;
    let (later, kept): (Vec<&(Visit, TimeDelta)>, Vec<_>) = visits.iter().partition(|(visit, ago)| {
        visit.machine().is_none() && *ago < WRITTEN_DOWN_WITHIN && held.under_way.contains(&visit.delivery)
    });
    let events: Vec<_> = kept.into_iter().map(|(visit, ago)| visit.event(now - *ago)).collect();
    let report = tx.events().record(&events).await?;
    if !held.in_doubt.is_empty() {
        tx.deliveries().settle_heard(&held.in_doubt, now).await?;
    }
    Ok(Kept { report, later: later.into_iter().map(|(visit, _)| visit.id).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{CampaignNo, ContactNo, LinkNo, Pass, StepNo};
    use crate::ports::deliveries::HeldDeliveries;
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
            let held = unit.deliveries.expect_hold().once().in_sequence(&mut order);
            held.returning(move |mails| {
                assert_eq!(*mails, [delivery(1), delivery(2)].into(), "each once");
                let in_doubt = if doubtful { [delivery(2)].into() } else { BTreeSet::new() };
                Ok(HeldDeliveries { in_doubt, ..HeldDeliveries::default() })
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
    async fn who_may_be_a_person_is_left_for_later_for_as_long_as_the_outcome_may_take_to_be_written_down() {
        let link = Place::Link(ClickedLink { no: LinkNo(7), of: 2 });
        let just_now = WRITTEN_DOWN_WITHIN - TimeDelta::milliseconds(1);
        let visit = |contact, place, machine| Visit { id: Uuid::now_v7(), delivery: delivery(contact), place, machine };
        // Contact 1's mail is under way.
        for (visit, ago, left) in [
            (visit(1, Place::Image, None), just_now, true),
            (visit(1, link, None), TimeDelta::zero(), true),
            (visit(1, Place::Image, None), WRITTEN_DOWN_WITHIN, false),
            (visit(1, Place::Image, Some(Machine::Agent)), just_now, false),
            (visit(1, Place::Trap, None), just_now, false),
            (visit(2, link, None), just_now, false),
        ] {
            let mut unit = MockUnit::at("2026-03-01T09:00:00Z".parse().unwrap());
            let held = HeldDeliveries { under_way: [delivery(1)].into(), ..HeldDeliveries::default() };
            unit.deliveries.expect_hold().return_once(|_| Ok(held));
            unit.events.expect_record().once().returning(move |events| {
                assert_eq!(events.len(), usize::from(!left));
                Ok(EventReport::default())
            });
            let kept = record_engagement(&mut unit.into_tx(), &[(visit, ago)]).await.unwrap();
            assert_eq!(kept.later.contains(&visit.id), left, "{visit:?} {ago}");
        }
    }

    #[tokio::test]
    async fn who_follows_the_hidden_link_is_a_program_whatever_else_it_is() {
        let link = ClickedLink { no: LinkNo(7), of: 2 };
        let visit =
            |place, machine| (Visit { id: Uuid::nil(), delivery: delivery(3), place, machine }, TimeDelta::zero());
        let mut unit = MockUnit::at("2026-03-01T09:00:00Z".parse().unwrap());
        unit.deliveries.expect_hold().returning(|_| Ok(HeldDeliveries::default()));
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
