//! Passwords, and their hashes: argon2id (RFC 9106), version 19, one lane, a salt of 16 bytes and an output of 32, written as a PHC
//! string (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>), which carries its own cost.
//!
//! What hashes takes a [`Compute`], so only a handler that declares it can call it. Passwords are compared as they were typed, byte
//! by byte: nothing is trimmed or normalised.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::{Column, Compute, Errors, FromJson, Parameter, Problem, Schema, Value, serde_json};
use zeroize::Zeroizing;

/// The shortest new password, in characters (Unicode scalar values).
pub const LENGTH_MIN: usize = 10;
/// The longest new password, in characters.
pub const LENGTH_MAX: usize = 128;
/// The longest password that is looked at, in characters: more than any may have, so that a mistyped one is wrong and not invalid.
pub const GIVEN_LENGTH_MAX: usize = 1000;

/// The least memory that argon2 works with, in KiB.
pub const MEMORY_KIB_MIN: u32 = Params::MIN_M_COST;
/// The most memory that a hash may take, in KiB: an instance has 64 MiB for all that it does.
pub const MEMORY_KIB_MAX: u32 = 48 * 1024;
/// The most passes over the memory. With the default memory more than about 50 take longer than a request may.
pub const ITERATIONS_MAX: u32 = 1000;

const LANES: u32 = 1;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB: [`MEMORY_KIB_MIN`] to [`MEMORY_KIB_MAX`].
    pub memory_kib: u32,
    /// Passes over it: 1 to [`ITERATIONS_MAX`].
    pub iterations: u32,
}

/// A password that someone wants to have: 10 to 128 characters, of any kind.
#[derive(Clone)]
pub struct NewPassword(Zeroizing<String>);

/// A password that someone says is theirs: up to 1000 characters of any kind.
#[derive(Clone)]
pub struct GivenPassword(Zeroizing<String>);

/// A hash, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

macro_rules! secrets {
    ($($name:ident),+) => { $(
        /// Hidden: it is a secret.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+ };
}

secrets!(NewPassword, GivenPassword, PasswordHash);

macro_rules! passwords {
    ($($name:ident, $length_min:expr, $length_max:expr);+) => { $(
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl Schema for $name {
            fn schema() -> serde_json::Value {
                json!({
                    "type": "string",
                    "format": "password",
                    "minLength": $length_min,
                    "maxLength": $length_max,
                    "writeOnly": true,
                })
            }
        }

        impl FromJson for $name {
            fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
                let Node::Text(text) = node else {
                    return bulkhead_sdk::value::expected("a string", &node, errors);
                };
                let text = Zeroizing::new(text.into_owned());
                if ($length_min..=$length_max).contains(&text.chars().count()) {
                    return Some(Self(text));
                }
                errors.add(match $length_min {
                    0 => format!("must have at most {} characters", $length_max),
                    _ => format!("must have {} to {} characters", $length_min, $length_max),
                });
                None
            }
        }
    )+ };
}

passwords!(NewPassword, LENGTH_MIN, LENGTH_MAX; GivenPassword, 0, GIVEN_LENGTH_MAX);

impl Parameter for PasswordHash {
    fn parameter(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

impl Column for PasswordHash {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Self)
    }
}

/// Why a password could not be hashed: the instance has too little memory, or what is stored is no hash. Nothing of either is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashError(String);

impl From<Error> for HashError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<HashError> for Problem {
    fn from(HashError(why): HashError) -> Self {
        Problem::internal(format!("a password could not be hashed: {why}"))
    }
}

impl Cost {
    fn parameters(self) -> Result<Params, HashError> {
        Ok(Params::new(self.memory_kib, self.iterations, LANES, Some(OUTPUT_BYTES)).map_err(Error::from)?)
    }
}

impl PasswordHash {
    fn read(&self) -> Result<Phc, HashError> {
        Phc::new(&self.0).map_err(|error| HashError(format!("what is stored is no hash ({error})")))
    }

    /// A hash of this cost that no password has: what is verified against where there is none, so that it takes the same time. Made
    /// without hashing.
    pub fn of_nobody(cost: Cost) -> Result<Self, HashError> {
        let made_of = |error: argon2::password_hash::phc::Error| HashError(error.to_string());
        let hash = Phc {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&cost.parameters()?)?,
            salt: Some(Salt::new(&[0; SALT_BYTES]).map_err(made_of)?),
            hash: Some(Output::new(&[0; OUTPUT_BYTES]).map_err(made_of)?),
        };
        Ok(Self(hash.to_string()))
    }

    /// It was made just as [`hash`] makes it at this cost.
    pub fn has_cost(&self, cost: Cost) -> Result<bool, HashError> {
        let hash = self.read()?;
        Ok(hash.algorithm == ARGON2ID_IDENT
            && hash.version == Some(Version::V0x13.into())
            && Params::try_from(&hash)? == cost.parameters()?)
    }
}

/// Hashes a password. The salt is random, and new each time.
pub fn hash(
    _: &Compute,
    cost: Cost,
    password: &impl AsRef<[u8]>,
    salt: &[u8; SALT_BYTES],
) -> Result<PasswordHash, HashError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.parameters()?);
    let hash = argon2.hash_password_with_salt(password.as_ref(), salt)?;
    Ok(PasswordHash(hash.to_string()))
}

/// Whether it is the password that this is the hash of: by one computation at the hash's own cost, and a comparison in constant time.
pub fn verify(_: &Compute, password: &GivenPassword, hash: &PasswordHash) -> Result<bool, HashError> {
    match Argon2::default().verify_password(password.as_ref(), &hash.read()?) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: MEMORY_KIB_MIN, iterations: 1 };
    const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

    fn read<T: FromJson>(text: &str) -> Result<T, String> {
        let mut errors = Errors::default();
        T::from_json(Node::Text(text.into()), &mut errors)
            .ok_or_else(|| errors.into_found()[0].message.clone())
    }

    fn given(text: &str) -> GivenPassword {
        read(text).expect("a password")
    }

    #[test]
    fn a_new_password_has_10_to_128_characters_of_any_kind() {
        for text in ["0123456789", "          ", "ä\u{0}\n\t🔑 pass", &"🔑".repeat(128)] {
            assert_eq!(read::<NewPassword>(text).expect(text).as_ref(), text.as_bytes());
        }
        for text in ["", "012345678", "🔑🔑🔑🔑🔑🔑🔑🔑🔑", &"p".repeat(129)] {
            assert!(read::<NewPassword>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_given_password_may_be_anything_up_to_1000_characters() {
        for text in ["", " ", &"🔑".repeat(1000)] {
            assert!(read::<GivenPassword>(text).is_ok(), "{text}");
        }
        assert!(read::<GivenPassword>(&"p".repeat(1001)).is_err());
    }

    #[test]
    fn no_message_and_no_debug_shows_a_password_or_a_hash() {
        let secret = "tr0ub4dor";
        assert!(!read::<NewPassword>(secret).expect_err("too short").contains(secret));
        assert!(!read::<GivenPassword>(&secret.repeat(200)).expect_err("too long").contains(secret));
        let long = read::<NewPassword>(&secret.repeat(2)).expect("a password");
        let hash = hash(&Compute::in_a_test(), CHEAP, &long, &SALT).expect("a hash");
        assert_eq!(
            format!("{long:?} {:?} {hash:?}", given(secret)),
            "NewPassword(..) GivenPassword(..) PasswordHash(..)"
        );
    }

    #[test]
    fn a_password_is_verified_by_its_hash_alone() {
        let compute = Compute::in_a_test();
        let new: NewPassword = read("correct horse").expect("a password");
        let hash = hash(&compute, CHEAP, &new, &SALT).expect("a hash");
        for (text, expected) in
            [("correct horse", true), ("correct horse ", false), ("Correct horse", false), ("", false)]
        {
            assert_eq!(verify(&compute, &given(text), &hash), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_hash_is_written_as_the_reference_implementation_writes_it() {
        // Made by the reference implementation in C (https://github.com/P-H-C/phc-winner-argon2).
        let reference =
            "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E";
        let cost = Cost { memory_kib: 64, iterations: 2 };
        let hash =
            hash(&Compute::in_a_test(), cost, &given("password"), b"somesaltsomesalt").expect("a hash");
        assert_eq!(hash.0, reference);
    }

    #[test]
    fn a_hash_knows_its_cost() {
        let hash = hash(&Compute::in_a_test(), CHEAP, &given("correct horse"), &SALT).expect("a hash");
        for (cost, expected) in [
            (CHEAP, true),
            (Cost { iterations: 2, ..CHEAP }, false),
            (Cost { memory_kib: MEMORY_KIB_MIN + 1, ..CHEAP }, false),
        ] {
            assert_eq!(hash.has_cost(cost), Ok(expected), "{cost:?}");
        }
        let other = PasswordHash(hash.0.replace("argon2id", "argon2i"));
        assert_eq!(other.has_cost(CHEAP), Ok(false));
    }

    #[test]
    fn the_hash_of_nobody_has_the_same_cost_and_no_password() {
        let nobody = PasswordHash::of_nobody(CHEAP).expect("a hash");
        assert_eq!(nobody.has_cost(CHEAP), Ok(true));
        for text in ["", "correct horse"] {
            assert_eq!(verify(&Compute::in_a_test(), &given(text), &nobody), Ok(false));
        }
    }

    #[test]
    fn what_is_no_hash_is_an_error_and_not_a_wrong_password() {
        for text in ["", "plain", "$argon2id$v=19$m=8,t=1,p=1", "$md5$v=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA"]
        {
            let verified = verify(&Compute::in_a_test(), &given("plain"), &PasswordHash(text.to_owned()));
            assert_ne!(verified, Ok(true), "{text}");
            if !text.contains("argon2id") {
                assert!(verified.is_err(), "{text}");
            }
        }
    }
}
