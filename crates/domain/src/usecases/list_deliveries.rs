//! What became of each mail.

use crate::model::delivery::DeliveryKey;
use crate::ports::deliveries::{DeliveryFilter, DeliveryView};
use crate::ports::store::{StoreResult, Tx};

/// A page of deliveries, in the order of their keys.
pub async fn list_deliveries(
    tx: &mut Tx,
    filter: DeliveryFilter,
    after: Option<DeliveryKey>,
    limit: i64,
) -> StoreResult<Vec<DeliveryView>> {
    tx.deliveries().list(&filter, after, limit).await
}
