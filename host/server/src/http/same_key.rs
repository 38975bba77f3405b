//! `Idempotency-Key`: of two requests with one key at a time, the second waits for the first.
//!
//! That there is one effect is seen to where it is written, in the unit of work. Here the work is spared: the second finds the answer of
//! the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bulkhead_runtime::{Problem, idempotency_key};
use bulkhead_types::limits::WAITERS_MAX;
use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::OwnedMutexGuard;

const HEADER: &str = "idempotency-key";

/// The key of a request; none where it has none.
pub fn key_of(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let values = headers.get_all(HEADER).iter().map(HeaderValue::as_bytes);
    idempotency_key(method.as_str(), values).map_err(|error| {
        Problem::new(400, "invalid-idempotency-key", "The idempotency key is not valid", error.to_string())
    })
}

/// Whose key, of which service.
type Owner = (String, String, String);

/// The keys of the requests that are being answered.
#[derive(Default)]
pub(super) struct Keys {
    taken: Arc<Mutex<HashMap<Owner, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Holds a key until it is dropped.
pub(super) struct Held {
    taken: Arc<Mutex<HashMap<Owner, Arc<tokio::sync::Mutex<()>>>>>,
    owner: Owner,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Keys {
    /// Waits until no other request with this key is being answered, and holds it.
    pub(super) async fn hold(
        &self,
        service: &str,
        subject: &str,
        key: &str,
        deadline: Instant,
    ) -> Result<Held, Problem> {
        let owner = (service.to_owned(), subject.to_owned(), key.to_owned());
        let turn = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.len() >= WAITERS_MAX && !taken.contains_key(&owner) {
                return Err(Problem::unavailable("as many idempotency keys are in use as the host takes"));
            }
            Arc::clone(taken.entry(owner.clone()).or_default())
        };
        // From here on the entry goes when the last one who wants it has gone, also when a client goes away.
        let mut held = Held { taken: Arc::clone(&self.taken), owner, turn: None };
        match tokio::time::timeout_at(deadline.into(), turn.lock_owned()).await {
            Ok(turn) => {
                held.turn = Some(turn);
                Ok(held)
            }
            Err(_) => {
                Err(Problem::unavailable("another request with this Idempotency-Key is still being answered"))
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = None;
        // The table's own, and nobody else's: those who wait have one each.
        if taken.get(&self.owner).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            taken.remove(&self.owner);
        }
    }
}
