//! Random bytes and new ids, from the host's randomness and clock.

use std::cell::Cell;

use uuid::Uuid;

/// Random bytes, fit for keys and tokens.
pub fn random_bytes(length: usize) -> Vec<u8> {
    crate::host::random_bytes(length)
}

thread_local! {
    /// The time part of the last id: milliseconds and a 12-bit fraction.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A new UUIDv7 (RFC 9562): milliseconds, a 12-bit fraction of one (its method 3), and 62 random bits. The ids of one instance are strictly
/// increasing. The ids of several instances are in order of time, as far as the clock allows.
pub fn new_id() -> Uuid {
    let (seconds, nanoseconds) = crate::host::wall_clock();
    let milliseconds = seconds.wrapping_mul(1000).wrapping_add(u64::from(nanoseconds / 1_000_000));
    let fraction = u64::from(nanoseconds % 1_000_000) * 4096 / 1_000_000;
    let time = LAST.with(|last| {
        let time = (milliseconds << 12 | fraction).max(last.get().wrapping_add(1));
        last.set(time);
        time
    });
    id_from(time, crate::host::random_u64())
}

/// Puts an id together from its 60 bits of time and 62 of the random bits.
fn id_from(time: u64, random: u64) -> Uuid {
    let [high, low] = ((time & 0xfff) as u16).to_be_bytes();
    let [a, b, c, d, e, f, g, h] = random.to_be_bytes();
    uuid::Builder::from_unix_timestamp_millis(time >> 12, &[high, low, a, b, c, d, e, f, g, h]).into_uuid()
}

/// The backend of the crate `getrandom`, for dependencies that need random bytes. `bulkhead build` passes the flag.
#[cfg(all(target_arch = "wasm32", getrandom_backend = "custom"))]
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    destination: *mut u8,
    length: usize,
) -> Result<(), getrandom::Error> {
    let bytes = random_bytes(length);
    if bytes.len() != length {
        return Err(getrandom::Error::UNEXPECTED);
    }
    // SAFETY: `getrandom` passes a destination of `length` bytes, which the new vector cannot overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), destination, length) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_grow() {
        let ids: Vec<Uuid> = (0..10_000).map(|_| new_id()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
        assert!(ids.array_windows().all(|[one, other]| one < other));
    }

    #[test]
    fn an_id_holds_its_milliseconds() {
        let id = id_from(1_700_000_000_123 << 12 | 0xabc, u64::MAX);
        assert_eq!(id.to_string(), "018bcfe5-687b-7abc-bfff-ffffffffffff");
    }

    #[test]
    fn random_bytes_have_the_length_asked_for() {
        for length in [0, 1, 8, 33] {
            assert_eq!(random_bytes(length).len(), length);
        }
    }
}
