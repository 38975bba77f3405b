//! What becomes of a user's reviews.

use bulkhead_contracts::v1::UserDeleted;
use bulkhead_sdk::{HandleError, Received, Transaction};

use crate::store::review;

/// `user.deleted`: the user's reviews stay, and no longer say whose they are.
pub(crate) fn deleted(received: Received<UserDeleted>, transaction: Transaction) -> Result<(), HandleError> {
    review::forget_user(&transaction, received.event.id)?;
    // No answer is kept for a key of theirs: it says what they thought.
    transaction.forget_answers(&received.event.id.to_string())?;
    Ok(())
}
