//! Keep what recipients of mails, and programs in between, did with them.

use crate::model::delivery::DeliveryKey;
use crate::model::events::{ClickedLink, EngagementEvent, EventKind, Machine};
use crate::model::ids::{TenantNo, WorkspaceNo};
use crate::ports::events::EventReport;
use crate::ports::store::{StoreResult, Tx, Workspace};
use chrono::TimeDelta;
use uuid::Uuid;

/// Somebody loaded the image of a mail or followed a link of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Drawn when it came, so that keeping it again keeps it once.
    pub id: Uuid,
    /// Of which mail.
    pub delivery: DeliveryKey,
    /// Which link was followed; `None` for the image.
    pub link: Option<ClickedLink>,
    /// What gives it away as a program.
    pub machine: Option<Machine>,
}

/// The transaction in which visits to mails of `tenant` are kept. A mail does not say which workspace sent it, and need not.
pub fn workspace_of(tenant: TenantNo) -> Workspace {
    Workspace { tenant, workspace: WorkspaceNo(0) }
}

/// Keeps visits of one tenant, each with how long ago it came. The same again changes nothing.
pub async fn record_engagement(tx: &mut Tx, visits: &[(Visit, TimeDelta)]) -> StoreResult<EventReport> {
    let now = tx.now().await?;
    let event = |(visit, ago): &(Visit, TimeDelta)| EngagementEvent {
        id: visit.id,
        delivery: visit.delivery,
        kind: if visit.link.is_some() { EventKind::Clicked } else { EventKind::Opened },
        link: visit.link,
        at: now - *ago,
        machine: visit.machine,
    };
    let events: Vec<_> = visits.iter().map(event).collect();
    tx.events().record(&events).await
}
