//! Which version of a component: the SHA-256 of its bytes.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Characters of a hash that are shown: enough to tell versions of a service apart.
const SHORT: usize = 12;

/// A version of a component. It is shown by the first 12 characters of its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Arc<str>);

impl Version {
    /// The version that a component's bytes are.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        let hash: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(hash.into())
    }

    /// The version with this SHA-256, in 64 hexadecimal digits; none if the text is something else.
    #[must_use]
    pub fn from_sha256(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.into()))
    }

    /// The SHA-256, in 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.get(..SHORT).unwrap_or(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn version_is_the_hash_of_the_bytes() {
        // The empty message of FIPS 180-4.
        let version = Version::of(b"");
        assert_eq!(version.sha256(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(version.to_string(), "e3b0c44298fc");
        let upper = version.sha256().to_ascii_uppercase();
        for other in ["../../etc/passwd", "", "e3b0", &upper, &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(Version::from_sha256(other), None, "{other}");
        }
        assert_eq!(Version::from_sha256(version.sha256()), Some(version));
    }
}
