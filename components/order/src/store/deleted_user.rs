//! The table `deleted_user`.

use bulkhead_contracts::UserId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params};

/// This user is deleted.
pub fn exists(read: &impl Read, id: UserId) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        read.query_optional("SELECT 1 FROM deleted_user WHERE user_id_ref = ?1", &params![id])?;
    Ok(row.is_some())
}

/// Remembers that this user is deleted.
pub fn insert(transaction: &Transaction, id: UserId, deleted_at: Timestamp) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO deleted_user (user_id_ref, deleted_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            &params![id, deleted_at],
        )
        .map(drop)
}
