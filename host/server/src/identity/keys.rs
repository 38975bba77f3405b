//! The key set (JWKS, RFC 7517) of the service that signs tokens. It is fetched when needed, and kept while that service is down.
//!
//! Invariants: there is one fetch at a time. A fetch never starts sooner than [`KEYS_FETCH_INTERVAL`] after the start of the last one,
//! whatever keys tokens name. A set that was fetched before a request came never decides that the request's key is unknown.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use bulkhead_runtime::{HostContext, Job, Problem, Request, Waited};
use bulkhead_types::limits::{KEYS_AGE_MAX, KEYS_FETCH_INTERVAL, KEYS_WAIT_MAX};
use bulkhead_types::{ServiceName, TraceId};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::{Mutex, oneshot};

use super::token;
use crate::tasks;

/// A set of public keys, by id.
pub(super) struct KeySet {
    keys: HashMap<String, DecodingKey>,
    /// The document as it was served.
    document: Vec<u8>,
    /// A different document gets a different number.
    pub(super) version: u64,
}

impl KeySet {
    pub(super) fn key(&self, id: &str) -> Option<&DecodingKey> {
        self.keys.get(id)
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The members of a key that are read: those of RFC 7517 and RFC 8037.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

/// The keys of a document that are for Ed25519 signatures and have an id. Other keys may be in the document too.
fn read(document: &[u8]) -> Result<HashMap<String, DecodingKey>, String> {
    let Document { keys } = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let usable = keys.into_iter().filter_map(|key| {
        let Jwk { kty, crv, x, kid, alg, usage } = serde_json::from_value(key).ok()?;
        let fits = kty == "OKP"
            && crv == "Ed25519"
            && alg.is_none_or(|alg| alg == "EdDSA")
            && usage.is_none_or(|usage| usage == "sig");
        if fits { token::public_key(&x).map(|key| (kid, key)) } else { None }
    });
    Ok(usable.collect())
}

/// The newest set, and when its fetch began.
#[derive(Clone)]
struct Fetched {
    set: Arc<KeySet>,
    began: Instant,
}

/// The source of the keys.
pub(super) struct Keys {
    host_context: Arc<HostContext>,
    service: ServiceName,
    path: String,
    newest: RwLock<Option<Fetched>>,
    /// Locked while a fetch runs. Holds the time when the last fetch began.
    last_began: Arc<Mutex<Option<Instant>>>,
}

impl Keys {
    pub(super) fn new(host_context: Arc<HostContext>, service: ServiceName, path: String) -> Arc<Self> {
        let (newest, last_began) = (RwLock::new(None), Arc::default());
        Arc::new(Self { host_context, service, path, newest, last_began })
    }

    fn newest(&self) -> Option<Fetched> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The known set. An old set is used once more while a new one is fetched.
    pub(super) fn known(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let Fetched { set, began } = self.newest()?;
        if began.elapsed() > KEYS_AGE_MAX {
            let keys = Arc::clone(self);
            tasks::passing("keys", async move {
                // If the lock is held, a fetch already runs.
                if let Ok(mut last_began) = keys.last_began.try_lock()
                    && last_began.is_none_or(|began| began.elapsed() > KEYS_AGE_MAX)
                {
                    keys.fetch(&mut last_began).await;
                }
            });
        }
        Some(set)
    }

    /// A set that has this key, fetched if necessary. None if the service has no such key now.
    ///
    /// 503 if the key is not known and the service does not answer.
    pub(super) async fn with(self: &Arc<Self>, id: &str) -> Result<Option<Arc<KeySet>>, Problem> {
        let came = Instant::now();
        if let Some(set) = self.known().filter(|set| set.key(id).is_some()) {
            return Ok(Some(set));
        }
        let tells = |fetched: &Fetched| fetched.began >= came || fetched.set.key(id).is_some();
        let asking = async {
            let mut last_began = Arc::clone(&self.last_began).lock_owned().await;
            let is_answered = self.newest().is_some_and(|newest| tells(&newest));
            // If a fetch failed meanwhile, another one would fail too.
            let was_tried = last_began.is_some_and(|began| began >= came);
            if !is_answered && !was_tried {
                let keys = Arc::clone(self);
                // A task of its own: a client that goes away must not end a fetch that others wait for.
                let fetching = tasks::passing("keys", async move {
                    if let Some(began) = *last_began {
                        tokio::time::sleep_until((began + KEYS_FETCH_INTERVAL).into()).await;
                    }
                    keys.fetch(&mut last_began).await;
                });
                let _ = fetching.await;
            }
            self.newest().filter(tells)
        };
        match tokio::time::timeout(KEYS_WAIT_MAX, asking).await.ok().flatten() {
            Some(newest) => Ok(Some(newest.set).filter(|set| set.key(id).is_some())),
            None => Err(Problem::unavailable("the keys that tokens are signed with can't be had now")),
        }
    }

    /// Asks the service. Keeps the old set if the service does not answer.
    async fn fetch(&self, last_began: &mut Option<Instant>) {
        let began = Instant::now();
        *last_began = Some(began);
        let read = match self.ask(began).await {
            Ok(document) => self.set(document),
            Err(reason) => Err(reason),
        };
        match read {
            Ok(set) => {
                let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
                *newest = Some(Fetched { set, began });
            }
            Err(reason) => {
                tracing::warn!(
                    service = self.service.as_str(),
                    path = self.path,
                    reason,
                    "the key set can't be had"
                );
            }
        }
    }

    /// The set of a document. If the known set is of the same document, returns that set.
    fn set(&self, document: Vec<u8>) -> Result<Arc<KeySet>, String> {
        let newest = self.newest();
        if let Some(newest) = newest.as_ref().filter(|newest| newest.set.document == document) {
            return Ok(Arc::clone(&newest.set));
        }
        let keys = read(&document)?;
        let version = newest.map_or(1, |newest| newest.set.version + 1);
        tracing::info!(service = self.service.as_str(), keys = keys.len(), "the key set was read");
        Ok(Arc::new(KeySet { keys, document, version }))
    }

    /// The document, from the service's own queue.
    async fn ask(&self, now: Instant) -> Result<Vec<u8>, String> {
        let queues = self.host_context.directory.get(&self.service).ok_or("there is no such service")?;
        let admission_limits = queues.admission_limits();
        let (answer, answered) = oneshot::channel();
        let deadline = now + admission_limits.request_timeout;
        let trace_id = TraceId::new(self.host_context.random.as_ref());
        let job = Job {
            request: Request {
                method: "GET".to_owned(),
                path: self.path.clone(),
                query: None,
                route: admission_limits.route_of(&self.path).unwrap_or_default().to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
                principal: None,
                peer: std::net::Ipv4Addr::LOCALHOST.to_string(),
                caller: None,
                trace_id: trace_id.to_string(),
            },
            trace_id,
            deadline,
            again: false,
            logged: false,
            idempotency_key: None,
            waited: Waited::default(),
            reply: Box::new(move |outcome| {
                let _ = answer.send(outcome);
            }),
        };
        queues.submit(&admission_limits, job).map_err(|failure| failure.to_string())?;
        let outcome = tokio::time::timeout_at(deadline.into(), answered).await;
        let answer = outcome
            .map_err(|_| "it did not answer in time".to_owned())?
            .map_err(|_| "it stopped".to_owned())?
            // The reason of the failure is already logged.
            .map_err(|failure| Problem::from(&failure).detail)?;
        if answer.status != http::StatusCode::OK {
            return Err(format!("it answered {}", answer.status));
        }
        Ok(answer.body)
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn keys_for_other_uses_are_skipped() {
        // The key of RFC 8037, appendix A.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let document = serde_json::json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "good", "alg": "EdDSA", "use": "sig", "more": 1},
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "plain"},
            {"kty": "OKP", "crv": "Ed25519", "x": x},
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "encrypts", "use": "enc"},
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "other", "alg": "HS256"},
            {"kty": "OKP", "crv": "X25519", "x": x, "kid": "agrees"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "short"},
            // Any signature is valid for the point of order 1.
            {"kty": "OKP", "crv": "Ed25519", "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "kid": "weak"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"},
            7
        ]});
        let keys = read(document.to_string().as_bytes()).unwrap();
        let mut ids: Vec<&str> = keys.keys().map(String::as_str).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["good", "plain"]);
        for document in ["", "{}", "[]", "{\"keys\": {}}"] {
            assert!(read(document.as_bytes()).is_err(), "{document}");
        }
    }
}
