//! The table `login_failure`.

use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params};

use crate::rules::login::Failures;

/// So many rows whose window is over are deleted where one is written: more than are written, and few enough that it takes no time.
const DELETED_AT_ONCE_MAX: i64 = 100;

/// Whose logins fail: an email in lower case, and what stands for the client's address.
#[derive(Clone)]
pub struct Whose {
    /// The email.
    pub email: String,
    /// The client.
    pub peer: String,
}

/// The failures that are counted, also where their window is over.
pub fn find(read: &impl Read, whose: &Whose) -> Result<Option<Failures>, Error> {
    let row = read.query_optional(
        "SELECT failures, since FROM login_failure WHERE email = ?1 AND peer = ?2",
        &params![whose.email, whose.peer],
    )?;
    Ok(row.map(|(count, since)| Failures { count, since }))
}

/// Writes how many there are now, and deletes some whose window is over: that began at the first time or earlier, or at the second or later.
pub fn record(
    transaction: &Transaction,
    whose: &Whose,
    failures: Failures,
    (over_since, over_from): (Timestamp, Timestamp),
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO login_failure (email, peer, failures, since) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (email, peer) DO UPDATE SET failures = excluded.failures, since = excluded.since",
        &params![whose.email, whose.peer, failures.count, failures.since],
    )?;
    transaction
        .execute(
            "DELETE FROM login_failure WHERE (email, peer) IN \
             (SELECT email, peer FROM (SELECT email, peer FROM login_failure WHERE since <= ?1 ORDER BY since LIMIT ?3) \
             UNION ALL \
             SELECT email, peer FROM (SELECT email, peer FROM login_failure WHERE since >= ?2 ORDER BY since DESC LIMIT ?3))",
            &params![over_since, over_from, DELETED_AT_ONCE_MAX],
        )
        .map(drop)
}

/// Forgets the failures of an email from one client, after a login.
pub fn forget(transaction: &Transaction, whose: &Whose) -> Result<(), Error> {
    transaction
        .execute(
            "DELETE FROM login_failure WHERE email = ?1 AND peer = ?2",
            &params![whose.email, whose.peer],
        )
        .map(drop)
}

/// Forgets the failures of an email from everywhere. The email is in lower case.
pub fn forget_email(transaction: &Transaction, email: &str) -> Result<(), Error> {
    transaction.execute("DELETE FROM login_failure WHERE email = ?1", &params![email]).map(drop)
}
