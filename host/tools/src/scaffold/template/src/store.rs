//! The table `entry`. The statements' texts are fixed, so that the host keeps them prepared.

use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Limit, Read, Timestamp, Transaction, Uuid, params, row};

row! {
    /// An entry.
    pub struct Entry {
        /// Its id, a UUIDv7: later entries have greater ones.
        pub id: Uuid,
        /// What it says.
        pub text: String,
        /// When it was kept.
        pub created_at: Timestamp,
    }
}

/// The entry with this id.
pub fn by_id(read: &impl Read, id: Uuid) -> Result<Option<Entry>, Error> {
    read.query_optional("SELECT id, text, created_at FROM entry WHERE id = ?1", &params![id])
}

/// A page of entries, the newest first, behind the one with this id.
pub fn list(read: &impl Read, behind: Uuid, limit: Limit) -> Result<Vec<Entry>, Error> {
    read.query_all(
        "SELECT id, text, created_at FROM entry WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        &params![behind, limit.and_one_more()],
    )
}

/// Adds an entry. Only a [`Transaction`] can write.
pub fn insert(transaction: &Transaction, entry: &Entry) -> Result<(), Error> {
    let statement = "INSERT INTO entry (id, text, created_at) VALUES (?1, ?2, ?3)";
    transaction.execute(statement, &params![entry.id, entry.text, entry.created_at]).map(drop)
}
