//! `/.well-known/jwks.json`.

use bulkhead_sdk::{Json, Result, Snapshot, now, reply};

use super::reply::KeptForAMinute;
use crate::rules::signing::{PublicKey, unused_since};
use crate::store::signing_key;

reply! {
    /// A JSON Web Key Set (RFC 7517, section 5).
    pub struct KeySet {
        /// The keys of all tokens that are valid; none before the first login.
        pub keys: Vec<PublicKey>,
    }
}

pub(super) fn list(snapshot: Snapshot) -> Result<KeptForAMinute<Json<KeySet>>> {
    let keys = signing_key::served(&snapshot, unused_since(now()))?;
    Ok(KeptForAMinute(Json(KeySet { keys })))
}
