//! What the product service tells of its products. The replica `product` has it already when these are called.

use bulkhead_contracts::v1::ProductChanged;
use bulkhead_sdk::{HandleError, Received, Transaction};

use crate::store::item;

/// The items of open orders are called what their product is called.
pub(super) fn changed(
    received: Received<ProductChanged>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let product = received.event;
    Ok(item::rename(&transaction, product.id, &product.name)?)
}
