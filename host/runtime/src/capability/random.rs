//! `wasi:random/random`: the host's randomness.

use bulkhead_types::Random;
use bulkhead_types::limits::RANDOM_BYTES_MAX;
use wasmtime::component::HasData;

use crate::bindings::wasi::random::random::Host;
use crate::state::State;

/// What `random` sees of a handler's state.
pub(crate) struct RandomView<'s>(&'s dyn Random);

impl HasData for RandomView<'static> {
    type Data<'s> = RandomView<'s>;
}

impl RandomView<'_> {
    pub(super) fn of(state: &mut State) -> RandomView<'_> {
        RandomView(state.host_context.random.as_ref())
    }
}

impl Host for RandomView<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            return Err(wasmtime::Error::msg(format!(
                "asked for {length} random bytes at once, and {RANDOM_BYTES_MAX} is the most"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        self.0.fill(&mut bytes);
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_types::SystemRandom;

    use super::*;

    /// Gives the bytes 1, 2, 3 and so on, from 1 in each call.
    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            (1..).zip(bytes).for_each(|(number, byte)| *byte = number);
        }
    }

    #[test]
    fn number_has_eight_random_bytes() {
        let mut view = RandomView(&Counting);
        assert_eq!(view.get_random_u64().unwrap().to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(view.get_random_bytes(3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn requested_number_of_random_bytes_is_returned_up_to_a_limit() {
        let mut view = RandomView(&SystemRandom);
        for length in [0, 1, RANDOM_BYTES_MAX] {
            assert_eq!(view.get_random_bytes(length).unwrap().len() as u64, length);
        }
        let refused = view.get_random_bytes(RANDOM_BYTES_MAX + 1).unwrap_err().to_string();
        assert_eq!(refused, "asked for 65537 random bytes at once, and 65536 is the most");
    }
}
