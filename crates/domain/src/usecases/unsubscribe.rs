//! Do what the recipient of a mail asks for with its unsubscribe link.

use crate::model::delivery::DeliveryKey;
use crate::model::ids::WorkspaceNo;
use crate::ports::store::{StoreResult, Tx, Workspace};
use crate::ports::suppressions::Unsubscribed;

/// The transaction in which the recipient of `delivery` unsubscribes. The link does not say which workspace sent it,
/// and need not: the address is suppressed in the whole tenant.
pub fn workspace_of(delivery: DeliveryKey) -> Workspace {
    Workspace { tenant: delivery.tenant, workspace: WorkspaceNo(0) }
}

/// Suppresses the recipient's address in the tenant and ends its open enrollments. Once this is committed no delivery
/// to that address begins. The same again changes nothing.
pub async fn unsubscribe(tx: &mut Tx, delivery: DeliveryKey) -> StoreResult<Unsubscribed> {
    let now = tx.now().await?;
    tx.suppressions().unsubscribe(delivery, now).await
}
