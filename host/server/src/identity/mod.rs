//! Who a request is from: its token is checked here, once, at the edge, for all services.
//!
//! The manifest names the source of the public keys (a service of the application and a path), and the accepted issuer and audience. A
//! request without a token has no principal. A request with an invalid token gets 401, whatever its route. Services get the principal and
//! never the token.
//!
//! Left out on purpose: sessions, refresh, and the meaning of roles. Services decide these.

mod keys;
mod revocation;
mod token;

use std::sync::{Arc, Weak};

use bulkhead_runtime::{HostContext, Principal, Problem, problem_kinds};
use bulkhead_types::limits::TOKENS_CACHED;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use quick_cache::sync::Cache;

use self::keys::{KeySet, Keys};
pub(crate) use self::revocation::Revocations;
use self::revocation::Unknown;
use self::token::{Claims, Invalid, Rules};
use bulkhead_manifest::Auth;

/// A token that was found valid.
#[derive(Clone)]
struct Good {
    claims: Arc<Claims>,
    /// The version of the key set that it was checked against.
    version: u64,
}

/// The token check.
pub(crate) struct Identity {
    host_context: Arc<HostContext>,
    keys: Arc<Keys>,
    rules: Rules,
    revocations: Option<Arc<Revocations>>,
    /// Tokens that were found valid. Checking a signature takes as long as the rest of a read.
    good: Cache<String, Good>,
}

impl Identity {
    pub(crate) fn new(
        host_context: Arc<HostContext>,
        auth: &Auth,
        revocations: Option<Arc<Revocations>>,
    ) -> Self {
        let keys = Keys::new(Arc::clone(&host_context), auth.service.clone(), auth.path.clone());
        let rules = Rules::new(&auth.issuer, &auth.audience);
        Self { host_context, keys, rules, revocations, good: Cache::new(TOKENS_CACHED) }
    }

    async fn of(&self, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
        let Some(token) = bearer(headers)? else { return Ok(None) };
        let claims = self.claims(token).await?;
        if let Some(revocations) = &self.revocations {
            match revocations.has(&claims.subject).await {
                Ok(false) => {}
                Ok(true) => return Err(refused(Invalid::Revoked)),
                Err(Unknown) => {
                    return Err(Problem::unavailable(
                        "the host can't check now whether the token was revoked; try again later",
                    ));
                }
            }
        }
        Ok(Some(Principal {
            subject: claims.subject.to_string(),
            roles: claims.roles.clone(),
            expires_at: Some(claims.expires_at),
        }))
    }

    async fn claims(&self, token: &str) -> Result<Arc<Claims>, Problem> {
        let now = self.host_context.clock.now().as_secs();
        if let Some(set) = self.keys.known()
            && let Some(good) = self.good.get(token).filter(|good| good.version == set.version)
        {
            if let Err(why) = good.claims.check_times(now) {
                self.good.remove(token);
                return Err(refused(why));
            }
            return Ok(good.claims);
        }
        let id = token::key_id(token).map_err(refused)?;
        let set = self.keys.with(&id).await?;
        let claims = self.check(token, set.as_deref(), &id, now).map_err(refused)?;
        Ok(claims)
    }

    fn check(&self, token: &str, set: Option<&KeySet>, id: &str, now: u64) -> Result<Arc<Claims>, Invalid> {
        let (set, key) = set.and_then(|set| Some((set, set.key(id)?))).ok_or(Invalid::Key)?;
        let claims = Arc::new(self.rules.check(token, key, now)?);
        let good = Good { claims: Arc::clone(&claims), version: set.version };
        self.good.insert(token.to_owned(), good);
        Ok(claims)
    }
}

/// The token check for listeners: each has a copy of the same handle. The check ends with its application, and then requests are refused.
/// So the connection to the event log of revocations is closed before its writer, even if a listener still serves.
#[derive(Clone)]
pub(crate) struct TokenCheck(Weak<Identity>);

impl TokenCheck {
    pub(crate) fn new(identity: &Arc<Identity>) -> Self {
        Self(Arc::downgrade(identity))
    }

    /// The principal of a request. None if it has no token.
    pub(crate) async fn of(&self, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
        let Some(identity) = self.0.upgrade() else {
            return Err(Problem::unavailable("the host is stopping; nothing was done"));
        };
        identity.of(headers).await
    }
}

/// The token of a request (RFC 6750, section 2.1). None if there is no `Authorization`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let parts = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
    let token =
        parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    match token {
        Some(token) if !token.is_empty() && values.next().is_none() => Ok(Some(token)),
        _ => Err(invalid_token("there is one header Authorization: Bearer TOKEN, or none".to_owned())),
    }
}

fn refused(why: Invalid) -> Problem {
    invalid_token(format!("the token is refused: {why}"))
}

fn invalid_token(detail: String) -> Problem {
    Problem::new(problem_kinds::INVALID_TOKEN, detail)
}
