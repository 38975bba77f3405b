//! The table `user_address`.

use bulkhead_contracts::{AddressId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{ConstraintKind, Cursor, Limit, Problem, Read, Result, Transaction, params, row};

use crate::rules::address::Held;

row! {
    /// An address of a user.
    pub struct Address {
        /// Its id.
        pub id: AddressId,
        /// The user.
        pub user_id: UserId,
        /// Street and number, or what stands for them.
        pub address_line1: String,
        /// More of it; null where there is none.
        pub address_line2: Option<String>,
        /// The city.
        pub city: String,
        /// The state or province; null where there is none.
        pub state: Option<String>,
        /// The postal code.
        pub postal_code: String,
        /// By its code of ISO 3166-1 alpha-2.
        pub country: String,
        /// It is the one of the user's that is taken where none is chosen.
        pub is_default: bool,
    }
}

/// A page of a user's addresses, the oldest first.
pub fn list(
    read: &impl Read,
    user_id: UserId,
    cursor: Option<&Cursor>,
    scope: &str,
    limit: Limit,
) -> Result<Vec<Address>> {
    let behind: Option<AddressId> = cursor.map(|cursor| cursor.keys(scope)).transpose()?;
    let addresses = match behind {
        None => read.query_all(
            "SELECT id, user_id, address_line1, address_line2, city, state, postal_code, country, is_default \
             FROM user_address WHERE user_id = ?1 ORDER BY id LIMIT ?2",
            &params![user_id, limit.and_one_more()],
        ),
        Some(behind) => read.query_all(
            "SELECT id, user_id, address_line1, address_line2, city, state, postal_code, country, is_default \
             FROM user_address WHERE user_id = ?1 AND id > ?3 ORDER BY id LIMIT ?2",
            &params![user_id, limit.and_one_more(), behind],
        ),
    };
    Ok(addresses?)
}

/// The address of this user with this id.
pub fn by_id(read: &impl Read, user_id: UserId, id: AddressId) -> Result<Option<Address>, Error> {
    read.query_optional(
        "SELECT id, user_id, address_line1, address_line2, city, state, postal_code, country, is_default \
         FROM user_address WHERE id = ?1 AND user_id = ?2",
        &params![id, user_id],
    )
}

/// Which addresses a user has, the oldest first.
pub fn held(read: &impl Read, user_id: UserId) -> Result<Vec<Held>, Error> {
    let rows: Vec<(AddressId, bool)> = read.query_all(
        "SELECT id, is_default FROM user_address WHERE user_id = ?1 ORDER BY id",
        &params![user_id],
    )?;
    Ok(rows.into_iter().map(|(id, is_default)| Held { id, is_default }).collect())
}

/// Adds an address: 404 where there is no such user.
pub fn insert(transaction: &Transaction, address: &Address) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO user_address \
             (id, user_id, address_line1, address_line2, city, state, postal_code, country, is_default) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            &params![
                address.id,
                address.user_id,
                address.address_line1,
                address.address_line2,
                address.city,
                address.state,
                address.postal_code,
                address.country,
                address.is_default
            ],
        )
        .map_err(|error| match error.constraint() {
            Some((ConstraintKind::ForeignKey, _)) => Problem::not_found("there is no such user"),
            _ => error.into(),
        })?;
    Ok(())
}

/// Changes an address, but not whether it is the default.
pub fn update(transaction: &Transaction, address: &Address) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE user_address SET address_line1 = ?2, address_line2 = ?3, city = ?4, state = ?5, postal_code = ?6, \
             country = ?7 WHERE id = ?1",
            &params![
                address.id,
                address.address_line1,
                address.address_line2,
                address.city,
                address.state,
                address.postal_code,
                address.country
            ],
        )
        .map(drop)
}

/// Deletes an address: false where the user has none of that id.
pub fn delete(transaction: &Transaction, user_id: UserId, id: AddressId) -> Result<bool, Error> {
    let outcome = transaction
        .execute("DELETE FROM user_address WHERE id = ?1 AND user_id = ?2", &params![id, user_id])?;
    Ok(outcome.rows_affected > 0)
}

/// Makes this the user's one default. Where it is already, nothing is written.
pub fn set_default(transaction: &Transaction, user_id: UserId, id: AddressId) -> Result<(), Error> {
    // One after the other: at no moment may there be two.
    transaction.execute(
        "UPDATE user_address SET is_default = 0 WHERE user_id = ?1 AND is_default = 1 AND id <> ?2",
        &params![user_id, id],
    )?;
    transaction
        .execute("UPDATE user_address SET is_default = 1 WHERE id = ?1 AND is_default = 0", &params![id])
        .map(drop)
}
