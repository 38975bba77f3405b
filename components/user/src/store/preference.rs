//! The table `user_preference`.

use bulkhead_contracts::{PreferenceId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{ConstraintKind, Limit, Problem, Read, Result, Transaction, params, row};

use crate::rules::preference::PreferenceKey;

row! {
    /// A preference of a user.
    pub struct Preference {
        /// Its id.
        pub id: PreferenceId,
        /// The user.
        pub user_id: UserId,
        /// What it is called; one per user and key.
        pub preference_key: String,
        /// What the user prefers.
        pub preference_value: String,
    }
}

/// A page of a user's preferences by key, behind the one with this key.
pub fn list(read: &impl Read, user_id: UserId, behind: &str, limit: Limit) -> Result<Vec<Preference>, Error> {
    read.query_all(
        "SELECT id, user_id, preference_key, preference_value FROM user_preference \
         WHERE user_id = ?1 AND preference_key > ?2 ORDER BY preference_key LIMIT ?3",
        &params![user_id, behind, limit.and_one_more()],
    )
}

/// The preference of this user with this key.
pub fn by_key(read: &impl Read, user_id: UserId, key: &PreferenceKey) -> Result<Option<Preference>, Error> {
    read.query_optional(
        "SELECT id, user_id, preference_key, preference_value FROM user_preference \
         WHERE user_id = ?1 AND preference_key = ?2",
        &params![user_id, key],
    )
}

/// How many preferences a user has.
pub fn count(read: &impl Read, user_id: UserId) -> Result<i64, Error> {
    let (count,) =
        read.query_one("SELECT count(*) FROM user_preference WHERE user_id = ?1", &params![user_id])?;
    Ok(count)
}

/// Adds a preference: 404 where there is no such user.
pub fn insert(transaction: &Transaction, preference: &Preference) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO user_preference (id, user_id, preference_key, preference_value) VALUES (?1, ?2, ?3, ?4)",
            &params![
                preference.id,
                preference.user_id,
                preference.preference_key,
                preference.preference_value
            ],
        )
        .map_err(|error| match error.constraint() {
            Some((ConstraintKind::ForeignKey, _)) => Problem::not_found("there is no such user"),
            _ => error.into(),
        })?;
    Ok(())
}

/// Changes what a preference is.
pub fn update(transaction: &Transaction, preference: &Preference) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE user_preference SET preference_value = ?2 WHERE id = ?1",
            &params![preference.id, preference.preference_value],
        )
        .map(drop)
}

/// Deletes a preference: false where the user has none with this key.
pub fn delete(transaction: &Transaction, user_id: UserId, key: &PreferenceKey) -> Result<bool, Error> {
    let outcome = transaction.execute(
        "DELETE FROM user_preference WHERE user_id = ?1 AND preference_key = ?2",
        &params![user_id, key],
    )?;
    Ok(outcome.rows_affected > 0)
}
