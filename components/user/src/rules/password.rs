//! Passwords, and their hashes: argon2id (RFC 9106), version 19, one lane, a salt of 16 bytes and an output of 32, written as a PHC
//! string (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>), which carries its own cost.
//!
//! What hashes takes a [`Compute`], so only a handler that declares it can call it.
//!
//! The same password is typed in different characters on different systems: `é` is one on most, and two on some. So passwords are compared
//! in one form ([`prepare`]): that of the profile OpaqueString (RFC 8265, section 4.2), which keeps case and width, and trims nothing.
//! Unlike the profile, no character is refused: a table of those that are allowed would refuse every one that is newer.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::{Column, Compute, Errors, FromJson, Parameter, Problem, Schema, Value, serde_json};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

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

/// A password that someone wants to have: 10 to 128 characters of any kind, in the one form.
#[derive(Clone)]
pub struct NewPassword(Zeroizing<String>);

/// A password that someone says is theirs: up to 1000 characters of any kind, in the one form.
#[derive(Clone)]
pub struct GivenPassword {
    prepared: Zeroizing<String>,
    /// As it was typed, where that is another form: hashes from before there was one form are of it.
    typed: Option<Zeroizing<String>>,
}

/// Whether a password is the one that a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// It is another one.
    No,
    /// It is.
    Yes,
    /// It is, but the hash is of another form of it, and is to be made again.
    AsTyped,
}

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

/// The one form of a password: spaces of any kind are U+0020, and the rest is composed canonically (NFC).
pub fn prepare(password: &str) -> Zeroizing<String> {
    // NFC of UTF-8 is at most three times as long: with that room, no copy of the secret is left behind by growing.
    let mut prepared = Zeroizing::new(String::with_capacity(password.len().saturating_mul(3)));
    let spaced = password.chars().map(|character| if is_other_space(character) { ' ' } else { character });
    prepared.extend(spaced.nfc());
    prepared
}

/// The spaces of Unicode (`Zs`) that are not ASCII.
fn is_other_space(character: char) -> bool {
    matches!(
        character,
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

fn schema(length_min: usize, length_max: usize) -> serde_json::Value {
    json!({
        "type": "string",
        "format": "password",
        "minLength": length_min,
        "maxLength": length_max,
        "writeOnly": true,
    })
}

fn typed(node: Node<'_>, errors: &mut Errors) -> Option<Zeroizing<String>> {
    match node {
        Node::Text(text) => Some(Zeroizing::new(text.into_owned())),
        other => bulkhead_sdk::value::expected("a string", &other, errors),
    }
}

impl AsRef<[u8]> for NewPassword {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Schema for NewPassword {
    fn schema() -> serde_json::Value {
        schema(LENGTH_MIN, LENGTH_MAX)
    }
}

impl FromJson for NewPassword {
    /// The length is that of the one form: each character counts once, however it was typed.
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        let prepared = prepare(&typed(node, errors)?);
        if (LENGTH_MIN..=LENGTH_MAX).contains(&prepared.chars().count()) {
            return Some(Self(prepared));
        }
        errors.add(format!("must have {LENGTH_MIN} to {LENGTH_MAX} characters"));
        None
    }
}

impl AsRef<[u8]> for GivenPassword {
    fn as_ref(&self) -> &[u8] {
        self.prepared.as_bytes()
    }
}

impl Schema for GivenPassword {
    fn schema() -> serde_json::Value {
        schema(0, GIVEN_LENGTH_MAX)
    }
}

impl FromJson for GivenPassword {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        let typed = typed(node, errors)?;
        if typed.chars().count() > GIVEN_LENGTH_MAX {
            errors.add(format!("must have at most {GIVEN_LENGTH_MAX} characters"));
            return None;
        }
        let prepared = prepare(&typed);
        let typed = (*prepared != *typed).then_some(typed);
        Some(Self { prepared, typed })
    }
}

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

/// Whether it is the password that this is the hash of: by a computation at the hash's own cost, and a comparison in constant time.
/// A password that was typed in another form than the one takes two where the first says no, whosever it is.
pub fn verify(
    compute: &Compute,
    password: &GivenPassword,
    hash: &PasswordHash,
) -> Result<Verified, HashError> {
    let hash = hash.read()?;
    if is_of(compute, &password.prepared, &hash)? {
        return Ok(Verified::Yes);
    }
    match &password.typed {
        Some(typed) if is_of(compute, typed, &hash)? => Ok(Verified::AsTyped),
        _ => Ok(Verified::No),
    }
}

fn is_of(_: &Compute, password: &str, hash: &Phc) -> Result<bool, HashError> {
    match Argon2::default().verify_password(password.as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
