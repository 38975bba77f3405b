//! Checks a token: a JWT (RFC 7519) in the compact form of a JWS (RFC 7515), signed with Ed25519 (`EdDSA`, RFC 8037).
//!
//! This module decides what a token may be; the token itself does not. It allows one algorithm, a key that the key set names, an issuer, an
//! audience, a subject, and an expiry that is not far away.

use bulkhead_types::Subject;
use bulkhead_types::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY, TOKEN_LIFETIME_MAX};
use ed25519_dalek::{Signature, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::Verifier;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// The prefix of the subjects of the host's own principals. No token can have such a subject.
const HOST_SUBJECTS: &str = "service:";

/// Why a token is refused. The texts are for the sender of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("it is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is no JWT that is signed with EdDSA and names its key")]
    Form,
    #[error("its key is not in the key set")]
    Key,
    #[error("its signature is not that of its key")]
    Signature,
    #[error("its issuer is another")]
    Issuer,
    #[error("its audience is another")]
    Audience,
    #[error(
        "it lacks a claim, or has one of another form: iss, aud, sub, exp and, if it has them, nbf, iat and roles"
    )]
    Claims,
    #[error("it has expired: get another")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it is valid for more than {} hours", TOKEN_LIFETIME_MAX.as_secs() / 3600)]
    TooLongLived,
    #[error("its subject is gone")]
    Revoked,
}

/// The claims of a valid token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claims {
    pub(super) subject: Subject,
    pub(super) roles: Vec<String>,
    /// Seconds since 1970.
    pub(super) expires_at: u64,
    /// Seconds since 1970. The token is not valid before this time, because it says so or did not exist yet.
    not_before: Option<u64>,
}

impl Claims {
    /// Whether a token is valid at this time, in seconds since 1970. Each request checks this, also for a token that was found valid
    /// before: the clock may have been set meanwhile.
    pub(super) fn check_times(&self, now: u64) -> Result<(), Invalid> {
        let (leeway, lifetime) = (TOKEN_LEEWAY.as_secs(), TOKEN_LIFETIME_MAX.as_secs());
        if self.expires_at.saturating_add(leeway) <= now {
            return Err(Invalid::Expired);
        }
        if self.not_before.is_some_and(|time| time > now.saturating_add(leeway)) {
            return Err(Invalid::NotYet);
        }
        // Otherwise a revocation could be forgotten before the token expires.
        if self.expires_at > now.saturating_add(lifetime + leeway) {
            return Err(Invalid::TooLongLived);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct RawClaims {
    sub: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    /// As in RFC 9068.
    #[serde(default)]
    roles: Vec<String>,
}

/// Seconds since 1970, possibly with a fraction (RFC 7519, section 2).
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(u64),
    Fraction(f64),
}

impl NumericDate {
    fn seconds(&self) -> u64 {
        match self {
            Self::Whole(seconds) => *seconds,
            // A negative time becomes 0, and a time that is too large becomes the maximum.
            Self::Fraction(seconds) => *seconds as u64,
        }
    }
}

/// The requirements for a token.
pub(super) struct Rules {
    validation: Validation,
}

impl Rules {
    pub(super) fn new(issuer: &str, audience: &str) -> Self {
        // The second host in the same process finds it already installed.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // The times are compared below, with the clock that the rest of the host uses.
        validation.validate_exp = false;
        Self { validation }
    }

    /// Checks a token with the key that it names, and at the time `now`, in seconds since 1970.
    pub(super) fn check(&self, token: &str, key: &DecodingKey, now: u64) -> Result<Claims, Invalid> {
        let decoded = jsonwebtoken::decode::<RawClaims>(token, key, &self.validation);
        let claims = decoded.map_err(|error| invalid(&error))?.claims;
        if claims.sub.is_empty() || claims.sub.starts_with(HOST_SUBJECTS) {
            return Err(Invalid::Claims);
        }
        let times = [claims.nbf, claims.iat].into_iter().flatten();
        let claims = Claims {
            subject: claims.sub.into(),
            roles: claims.roles,
            expires_at: claims.exp.seconds(),
            not_before: times.map(|time| time.seconds()).max(),
        };
        claims.check_times(now)?;
        Ok(claims)
    }
}

/// The id of the key that a token claims to be signed with. Nothing of it is checked yet.
pub(super) fn key_id(token: &str) -> Result<String, Invalid> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Invalid::TooLong);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Invalid::Form)?;
    // A token must not name extensions in `crit` that its reader does not understand. This reader understands none (RFC 7515, section
    // 4.1.11).
    let plain = header.crit.is_none() && header.enc.is_none() && header.zip.is_none();
    match header.kid {
        Some(id) if header.alg == Algorithm::EdDSA && plain => Ok(id),
        _ => Err(Invalid::Form),
    }
}

fn invalid(error: &Error) -> Invalid {
    match error.kind() {
        ErrorKind::InvalidSignature => Invalid::Signature,
        ErrorKind::InvalidIssuer => Invalid::Issuer,
        ErrorKind::InvalidAudience => Invalid::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
            Invalid::Claims
        }
        _ => Invalid::Form,
    }
}

/// A public key from the `x` of a JWK. None if it is not a point of the curve, or a point for which any signature is valid.
pub(super) fn public_key(x: &str) -> Option<DecodingKey> {
    let key = DecodingKey::from_ed_components(x).ok()?;
    let point = ed25519_key(&key).ok()?;
    (!point.is_weak()).then_some(key)
}

fn ed25519_key(key: &DecodingKey) -> Result<VerifyingKey, Error> {
    let bytes = <&[u8; 32]>::try_from(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    VerifyingKey::from_bytes(bytes).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

/// The library's cryptography: Ed25519 only, and no signing.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::EdDSA => Ok(Box::new(Ed25519(ed25519_key(key)?))),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Ed25519(VerifyingKey);

impl Verifier<Vec<u8>> for Ed25519 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), jsonwebtoken::signature::Error> {
        let refused = |_| jsonwebtoken::signature::Error::new();
        let signature = Signature::from_slice(signature).map_err(refused)?;
        self.0.verify_strict(message, &signature).map_err(refused)
    }
}

impl JwtVerifier for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
