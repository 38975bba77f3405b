//! The table `signing_key`.

use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, Uuid, params};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::rules::signing::{Key, PRIVATE_KEY_BYTES, PublicKey};

/// The key that signs; none before the first login.
pub fn active(read: &impl Read) -> Result<Option<Key>, Error> {
    let row: Option<(Uuid, Vec<u8>, Timestamp)> = read.query_optional(
        "SELECT id, private_key, created_at FROM signing_key WHERE retired_at IS NULL",
        &[],
    )?;
    row.map(|(id, bytes, created_at)| {
        let bytes = Zeroizing::new(bytes);
        let private: &[u8; PRIVATE_KEY_BYTES] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| Error::InvalidValue("the private key is not of 32 bytes".to_owned()))?;
        Ok(Key { id, created_at, private: SigningKey::from_bytes(private) })
    })
    .transpose()
}

/// The public keys of all tokens that may still be valid, the oldest first: those that were retired after the time from which on
/// a retired key is unused.
pub fn served(read: &impl Read, unused_since: Timestamp) -> Result<Vec<PublicKey>, Error> {
    let rows: Vec<(Uuid, Vec<u8>)> = read.query_all(
        "SELECT id, public_key FROM signing_key WHERE retired_at IS NULL OR retired_at > ?1 ORDER BY id",
        &params![unused_since],
    )?;
    Ok(rows.into_iter().map(|(id, bytes)| PublicKey::new(id, &bytes)).collect())
}

/// Puts a new key in the place of the one that signs, which is retired, and deletes the retired ones that are unused. One that was retired in
/// the future, by a clock that was ahead, was retired by now.
pub fn rotate(transaction: &Transaction, new: &Key, unused_since: Timestamp) -> Result<(), Error> {
    transaction.execute("DELETE FROM signing_key WHERE retired_at <= ?1", &params![unused_since])?;
    transaction
        .execute("UPDATE signing_key SET retired_at = ?1 WHERE retired_at > ?1", &params![new.created_at])?;
    transaction.execute(
        "UPDATE signing_key SET private_key = NULL, retired_at = ?1 WHERE retired_at IS NULL",
        &params![new.created_at],
    )?;
    transaction
        .execute(
            "INSERT INTO signing_key (id, public_key, private_key, created_at) VALUES (?1, ?2, ?3, ?4)",
            &params![
                new.id,
                new.private.verifying_key().as_bytes()[..],
                new.private.as_bytes()[..],
                new.created_at
            ],
        )
        .map(drop)
}
