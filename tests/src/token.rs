//! Tokens of a test's own making, good ones and bad ones: JWTs (RFC 7519) signed with Ed25519 (RFC 8037).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

/// A key with its id.
#[derive(Debug, Clone)]
pub struct Signer {
    key: SigningKey,
    id: String,
}

impl Signer {
    /// A new key.
    pub fn new(id: &str) -> Signer {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("random numbers");
        Signer::of(id, &secret)
    }

    /// The key with this private part.
    pub fn of(id: &str, secret: &[u8; 32]) -> Signer {
        Signer { key: SigningKey::from_bytes(secret), id: id.to_owned() }
    }

    /// The public part, as a JWK.
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": encode(self.key.verifying_key().as_bytes())})
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id}), claims)
    }

    /// A token with this header and these claims.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(self.key.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    }
}

/// A key set of these keys.
pub fn key_set(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()})
}

/// base64url without padding, as each part of a token is written.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A part of a token, by its number, as JSON.
pub fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap_or_else(|| panic!("{token} has no part {number}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}
