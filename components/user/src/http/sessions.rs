//! `/sessions`.
//!
//! A login takes the same time whether the email or the password is wrong: both paths read the same rows, hash as often at the same cost
//! and write the same row. (A user whose hash is of another cost than new ones, until their next login, is the exception.) A login that
//! succeeds writes nothing, unless it forgets failures, makes a key, or brings a hash to the cost that is set now.

use bulkhead_contracts::{Admin, Customer, UserId};
use bulkhead_sdk::extract::Context;
use bulkhead_sdk::{
    Body, Compute, Created, Effects, Extract, Json, Principal, Problem, Result, Snapshot, Timestamp,
    Transaction, body, new_id, now, reply,
};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::random;
use super::reply::NotKept;
use crate::problems::{INVALID_CREDENTIALS, TOO_MANY_LOGINS};
use crate::rules::admin;
use crate::rules::email::Email;
use crate::rules::login::peer_key;
use crate::rules::password::{self, GivenPassword, Verified};
use crate::rules::signing::{self, Claims, Key, PRIVATE_KEY_BYTES};
use crate::settings::{Settings, settings};
use crate::store::login_failure::{self, Whose};
use crate::store::signing_key;
use crate::store::user::{self, Credentials};

body! {
    /// Who logs in.
    pub struct Login {
        /// In upper or lower case.
        pub email: Email,
        /// The password.
        pub password: GivenPassword,
    }
}

reply! {
    /// A session.
    pub struct Session {
        /// What to send as `Authorization: Bearer TOKEN`: a JSON Web Token.
        pub token: String,
        /// `Bearer`.
        pub token_type: String,
        /// When it ends.
        pub expires_at: Timestamp,
        /// Whose it is.
        pub user_id: UserId,
    }
}

reply! {
    /// The session that a request was made in.
    pub struct CurrentSession {
        /// Whose it is.
        pub user_id: UserId,
        /// What they may do.
        pub roles: Vec<String>,
        /// When it ends; null where it does not.
        pub expires_at: Option<Timestamp>,
    }
}

/// The address of the client.
#[derive(Debug)]
pub(super) struct Peer(String);

impl Extract for Peer {
    fn extract(context: &Context<'_>) -> Result<Self> {
        Ok(Self(context.request.peer.clone()))
    }
}

/// Who has logged in.
struct LoggedIn {
    id: UserId,
    roles: &'static [&'static str],
}

pub(super) fn create(
    Peer(peer): Peer,
    compute: Compute,
    Body(login): Body<Login>,
    snapshot: Snapshot,
    transaction: Transaction,
) -> Result<NotKept<Created<Session>>> {
    let settings = settings();
    let now = now();
    let whose = Whose { email: login.email.to_lower_case(), peer: peer_key(&peer) };
    let failures = login_failure::find(&snapshot, &whose)?;
    if let Some(seconds) = settings.throttle.retry_after_seconds(failures, now) {
        return Err(too_many_logins(seconds));
    }

    let credentials = user::credentials_by_email(&snapshot, &login.email)?;
    let hash = credentials.as_ref().map_or(&settings.hash_of_nobody, |credentials| &credentials.hash);
    let verified = password::verify(&compute, &login.password, hash)?;
    let is_administrator = settings
        .administrator
        .as_ref()
        .is_some_and(|administrator| administrator.accepts(&login.email, &login.password));

    let logged_in = if is_administrator {
        LoggedIn { id: admin::id(), roles: Admin::ROLES }
    } else if let Some(credentials) = credentials.filter(|_| verified != Verified::No) {
        renew_hash(&compute, settings, (&login.password, verified), &credentials, &transaction)?;
        LoggedIn { id: credentials.id, roles: Customer::ROLES }
    } else {
        // Read again: another one may have failed meanwhile, and both count.
        let failures = login_failure::find(&transaction, &whose)?;
        let throttle = settings.throttle;
        let failures = throttle.after_failure(failures, now);
        let over = (throttle.over_since(now), throttle.over_from(now));
        login_failure::record(&transaction, &whose, failures, over)?;
        return Err(invalid_credentials());
    };
    if failures.is_some() {
        login_failure::forget(&transaction, &whose)?;
    }

    let key = key_to_sign_with(settings, &snapshot, &transaction, now)?;
    let token = signing::sign(
        &key,
        &Claims {
            issuer: &settings.issuer,
            audience: &settings.audience,
            subject: logged_in.id.uuid(),
            roles: logged_in.roles,
            issued_at: now,
            id: new_id(),
        },
    );
    let session = Session {
        token: token.text,
        token_type: "Bearer".to_owned(),
        expires_at: token.expires_at,
        user_id: logged_in.id,
    };
    Ok(NotKept(Created { location: "/sessions/current".to_owned(), body: session }))
}

/// Stores the password's hash again where it is not of the cost that is set now, or not of the password's one form.
fn renew_hash(
    compute: &Compute,
    settings: &Settings,
    (password, verified): (&GivenPassword, Verified),
    credentials: &Credentials,
    transaction: &Transaction,
) -> Result<()> {
    if verified != Verified::AsTyped && credentials.hash.has_cost(settings.cost)? {
        return Ok(());
    }
    let new = password::hash(compute, settings.cost, password, &random()?)?;
    Ok(user::replace_hash(transaction, credentials.id, (&credentials.hash, &new))?)
}

/// The key that signs: the one that is there, or a new one where there is none or it is old.
fn key_to_sign_with(
    settings: &Settings,
    snapshot: &Snapshot,
    transaction: &Transaction,
    now: Timestamp,
) -> Result<Key> {
    let is_young = |key: &Key| !key.is_old(settings.signing_key_hours, now);
    if let Some(key) = signing_key::active(snapshot)?.filter(is_young) {
        return Ok(key);
    }
    let bytes: Zeroizing<[u8; PRIVATE_KEY_BYTES]> = Zeroizing::new(random()?);
    let new = Key { id: new_id(), created_at: now, private: SigningKey::from_bytes(&bytes) };
    // Another login may have made one since the snapshot: within the unit of work nobody can.
    if let Some(key) = signing_key::active(transaction)?.filter(is_young) {
        return Ok(key);
    }
    signing_key::rotate(transaction, &new, signing::unused_since(now))?;
    Ok(new)
}

/// One and the same for a wrong email and a wrong password. The failure that was counted stays; the answer is kept for no idempotency key,
/// as no answer of a login is: whoever mistyped may send the right password under the same one.
fn invalid_credentials() -> Problem {
    Problem::of(INVALID_CREDENTIALS, "the email or the password is wrong")
        .with_header("www-authenticate", "Bearer")
        .with_header("cache-control", "no-store")
        .with_effects(Effects::Commit)
}

fn too_many_logins(seconds: i64) -> Problem {
    Problem::of(TOO_MANY_LOGINS, "too many logins with this email have failed from this address")
        .with_header("retry-after", seconds.to_string())
}

pub(super) fn current(principal: Principal, snapshot: Snapshot) -> Result<Json<CurrentSession>> {
    let user_id: UserId = principal.subject.parse().map_err(|_| Problem::unauthenticated())?;
    // The administrator is no user of the database.
    if user_id != admin::id() && !user::exists(&snapshot, user_id)? {
        return Err(Problem::unauthenticated());
    }
    let seconds = principal.expires_at.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    let expires_at = seconds.map(|seconds| Timestamp::from_unix_milliseconds(seconds.saturating_mul(1000)));
    Ok(Json(CurrentSession { user_id, roles: principal.roles, expires_at }))
}
