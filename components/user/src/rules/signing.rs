//! Keys and tokens: JSON Web Tokens (RFC 7519) in the compact form of JWS (RFC 7515), signed by Ed25519 (RFC 8032, and RFC 8037 for its
//! names), and the public keys as a JSON Web Key Set (RFC 7517).

use bulkhead_sdk::encoding::base64url_encode;
use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::{Timestamp, Uuid, reply};
use ed25519_dalek::{Signer as _, SigningKey};

/// How long a token is valid.
pub const TOKEN_SECONDS: i64 = 3600;
/// How long the key set serves a retired key beyond the last token that it signed: a login that read the key before it was
/// retired may sign a moment after, and clocks differ. As much may a key be ahead of the clock.
pub const LEEWAY_SECONDS: i64 = 60;
/// Bytes of a private key.
pub const PRIVATE_KEY_BYTES: usize = 32;

const HOUR_MILLISECONDS: i64 = 3_600_000;

reply! {
    /// A public key (RFC 8037, section 2).
    pub struct PublicKey {
        /// The kind of key: `OKP`.
        pub kty: String,
        /// The curve: `Ed25519`.
        pub crv: String,
        /// What it is for, signatures: `sig`.
        pub r#use: String,
        /// The algorithm: `EdDSA`.
        pub alg: String,
        /// The key's id, which stands in the header of the tokens that it signed.
        pub kid: String,
        /// The public key in base64url.
        pub x: String,
    }
}

impl PublicKey {
    /// The public key with this id and these bytes.
    pub fn new(id: Uuid, bytes: &[u8]) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            r#use: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: id.to_string(),
            x: base64url_encode(bytes),
        }
    }
}

/// A key that signs.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: Uuid,
    /// Since when it signs.
    pub created_at: Timestamp,
    /// Its private half.
    pub private: SigningKey,
}

impl Key {
    /// It has signed for as long as a key may, and another one is to be made. So it is with a key from the future, which was made by a
    /// clock that was ahead: it would sign for as much longer.
    pub fn is_old(&self, hours_max: i64, now: Timestamp) -> bool {
        self.created_at.plus_milliseconds(hours_max.saturating_mul(HOUR_MILLISECONDS)) <= now
            || self.created_at > now.plus_milliseconds(1000 * LEEWAY_SECONDS)
    }
}

/// A key that was retired at this time or earlier signed no token that is still valid: it is not served any more.
pub fn unused_since(now: Timestamp) -> Timestamp {
    now.plus_milliseconds(-1000 * (TOKEN_SECONDS + LEEWAY_SECONDS))
}

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'c> {
    /// `iss`: who made it.
    pub issuer: &'c str,
    /// `aud`: for whom.
    pub audience: &'c str,
    /// `sub`: whose it is.
    pub subject: Uuid,
    /// `roles`: what they may do.
    pub roles: &'c [&'c str],
    /// `iat`: when it was made, in whole seconds. The host refuses it before that time: the clock may have been ahead.
    pub issued_at: Timestamp,
    /// `jti`: its own id.
    pub id: Uuid,
}

/// A token, and when it ends.
#[derive(Clone)]
pub struct Token {
    /// The compact form.
    pub text: String,
    /// `exp`: an hour after it was made.
    pub expires_at: Timestamp,
}

/// Makes a token.
pub fn sign(key: &Key, claims: &Claims<'_>) -> Token {
    let issued_at = claims.issued_at.unix_milliseconds().div_euclid(1000);
    let expires_at = issued_at + TOKEN_SECONDS;
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": key.id.to_string()});
    let payload = json!({
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject.to_string(),
        "roles": claims.roles,
        "iat": issued_at,
        "exp": expires_at,
        "jti": claims.id.to_string(),
    });
    let encode = |value: bulkhead_sdk::serde_json::Value| base64url_encode(value.to_string().as_bytes());
    let mut text = format!("{}.{}", encode(header), encode(payload));
    let signature = key.private.sign(text.as_bytes());
    text.push('.');
    text.push_str(&base64url_encode(&signature.to_bytes()));
    Token { text, expires_at: Timestamp::from_unix_milliseconds(expires_at.saturating_mul(1000)) }
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::encoding::base64url_decode;
    use bulkhead_sdk::serde_json::{self, Value};
    use ed25519_dalek::{Signature, VerifyingKey};

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_milliseconds(1_700_000_000_000 + milliseconds)
    }

    fn key() -> Key {
        Key {
            id: Uuid::from_u128(7),
            created_at: at(0),
            private: SigningKey::from_bytes(&[7; PRIVATE_KEY_BYTES]),
        }
    }

    fn token() -> Token {
        let claims = Claims {
            issuer: "shop",
            audience: "shop",
            subject: Uuid::from_u128(8),
            roles: &["customer"],
            issued_at: at(999),
            id: Uuid::from_u128(9),
        };
        sign(&key(), &claims)
    }

    fn part(token: &Token, position: usize) -> Vec<u8> {
        base64url_decode(token.text.split('.').nth(position).expect("a part")).expect("base64url")
    }

    #[test]
    fn a_token_states_subject_roles_and_expiry() {
        let token = token();
        assert_eq!(token.text.split('.').count(), 3);
        let [header, payload]: [Value; 2] =
            [0, 1].map(|position| serde_json::from_slice(&part(&token, position)).expect("JSON"));
        assert_eq!(
            header,
            json!({"alg": "EdDSA", "typ": "JWT", "kid": "00000000-0000-0000-0000-000000000007"})
        );
        assert_eq!(
            payload,
            json!({
                "iss": "shop",
                "aud": "shop",
                "sub": "00000000-0000-0000-0000-000000000008",
                "roles": ["customer"],
                "iat": 1_700_000_000,
                "exp": 1_700_003_600,
                "jti": "00000000-0000-0000-0000-000000000009",
            })
        );
        assert_eq!(token.expires_at, at(3_600_000));
    }

    #[test]
    fn a_token_is_verified_only_by_the_served_key() {
        let token = token();
        let served = PublicKey::new(key().id, key().private.verifying_key().as_bytes());
        let bytes: [u8; 32] = base64url_decode(&served.x).expect("base64url").try_into().expect("32 bytes");
        let served = VerifyingKey::from_bytes(&bytes).expect("a key");
        let (signed, _) = token.text.rsplit_once('.').expect("a signature");
        let signature = Signature::from_slice(&part(&token, 2)).expect("a signature");
        assert!(served.verify_strict(signed.as_bytes(), &signature).is_ok());
        assert!(served.verify_strict(format!("{signed}A").as_bytes(), &signature).is_err());
        let other = SigningKey::from_bytes(&[8; PRIVATE_KEY_BYTES]).verifying_key();
        assert!(other.verify_strict(signed.as_bytes(), &signature).is_err());
    }

    #[test]
    fn a_public_key_matches_the_example_of_rfc_8037() {
        // The key pair of its appendix A.1.
        let bytes = base64url_decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64url");
        let private = SigningKey::from_bytes(&bytes.try_into().expect("32 bytes"));
        let served = PublicKey::new(Uuid::from_u128(7), private.verifying_key().as_bytes());
        assert_eq!(
            serde_json::to_value(served).expect("JSON"),
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": "00000000-0000-0000-0000-000000000007",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            })
        );
    }

    #[test]
    fn a_key_signs_for_the_configured_hours() {
        for (milliseconds, expected) in [(0, false), (7_199_999, false), (7_200_000, true)] {
            assert_eq!(key().is_old(2, at(milliseconds)), expected, "{milliseconds}");
        }
        assert!(!key().is_old(i64::MAX, at(0)));
    }

    #[test]
    fn a_key_from_the_future_signs_for_a_minute_at_most() {
        for (milliseconds, expected) in [(-1, false), (-60_000, false), (-60_001, true), (-604_800_000, true)]
        {
            assert_eq!(key().is_old(2, at(milliseconds)), expected, "{milliseconds}");
        }
    }

    #[test]
    fn a_retired_key_is_served_until_its_last_token_has_expired_and_a_minute_more() {
        let retired_at = at(0);
        for (seconds, served) in [(0, true), (3600, true), (3659, true), (3660, false)] {
            assert_eq!(retired_at > unused_since(at(seconds * 1000)), served, "{seconds}");
        }
    }

    #[test]
    fn debug_output_hides_the_private_key() {
        assert!(!format!("{:?}", key()).contains("7, 7, 7"));
    }
}
