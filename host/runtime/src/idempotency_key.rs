//! The header `Idempotency-Key`.

use bulkhead_types::limits::IDEMPOTENCY_KEY_BYTES_MAX;

/// An `Idempotency-Key` that is not a valid key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key is one header of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters")]
pub struct InvalidKey;

/// The key of a POST, from the values of its headers `Idempotency-Key`, for requests from outside and calls between services alike; none if
/// it has none. Keys of other methods mean nothing.
///
/// # Errors
///
/// If it has a key that is not valid. Without a key, a repeated request would have a second effect.
pub fn idempotency_key<'v>(
    method: &str,
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<Option<String>, InvalidKey> {
    if method != "POST" {
        return Ok(None);
    }
    let mut values = values.into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key = |key: &&str| {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let key = std::str::from_utf8(value).ok().map(str::trim).filter(is_key);
    match key {
        Some(key) if values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(InvalidKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_value_of_1_to_255_visible_characters() {
        let long = "x".repeat(256);
        for (values, key) in [
            (&[][..], Ok(None)),
            (&["k"][..], Ok(Some("k".to_owned()))),
            (&[" k-1 "], Ok(Some("k-1".to_owned()))),
            (&["k", "k"], Err(InvalidKey)),
            (&[""], Err(InvalidKey)),
            (&["a b"], Err(InvalidKey)),
            (&["\u{e4}"], Err(InvalidKey)),
            (&[&long], Err(InvalidKey)),
            (&[&long[1..]], Ok(Some(long[1..].to_owned()))),
        ] {
            let bytes = || values.iter().map(|value| value.as_bytes());
            assert_eq!(idempotency_key("POST", bytes()), key, "{values:?}");
            assert_eq!(idempotency_key("PUT", bytes()), Ok(None), "{values:?}");
        }
        assert_eq!(idempotency_key("POST", [&b"\xff"[..]]), Err(InvalidKey));
    }
}
