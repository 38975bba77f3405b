//! `Idempotency-Key`: if two requests have the same key at the same time, the second waits for the first.
//!
//! The unit of work guarantees a single effect when it writes. This module only saves work: the second request finds the answer of the
//! first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bulkhead_runtime::{Problem, idempotency_key, problem_kinds};
use bulkhead_types::limits::WAITERS_MAX;
use bulkhead_types::{ServiceName, Subject};
use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::OwnedMutexGuard;

const HEADER: &str = "idempotency-key";

/// The key of a request. None if it has none.
pub fn key_of(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let values = headers.get_all(HEADER).iter().map(HeaderValue::as_bytes);
    idempotency_key(method.as_str(), values)
        .map_err(|error| Problem::new(problem_kinds::INVALID_IDEMPOTENCY_KEY, error.to_string()))
}

/// The service, the subject and the key.
type Owner = (ServiceName, Subject, String);

/// The keys of the requests that are being answered.
#[derive(Default)]
pub(super) struct Keys {
    turns: Arc<Mutex<HashMap<Owner, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Holds a key until it is dropped.
pub(super) struct Held {
    turns: Arc<Mutex<HashMap<Owner, Arc<tokio::sync::Mutex<()>>>>>,
    owner: Owner,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Keys {
    /// Waits until no other request with this key is being answered, and holds it.
    pub(super) async fn hold(
        &self,
        service: &ServiceName,
        subject: &Subject,
        key: &str,
        deadline: Instant,
    ) -> Result<Held, Problem> {
        let owner = (service.clone(), subject.clone(), key.to_owned());
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= WAITERS_MAX && !turns.contains_key(&owner) {
                return Err(Problem::unavailable("as many idempotency keys are in use as the host takes"));
            }
            Arc::clone(turns.entry(owner.clone()).or_default())
        };
        // From here on the entry is removed when the last request that wants it has ended, even if a client goes away.
        let mut held = Held { turns: Arc::clone(&self.turns), owner, turn: None };
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
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = None;
        // Only the table still has it: each waiting request has a reference of its own.
        if turns.get(&self.owner).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.owner);
        }
    }
}
