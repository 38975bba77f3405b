//! `wasi:random/random`: the host's randomness.

use bulkhead_types::limits::RANDOM_BYTES_MAX;

use crate::bindings::wasi::random::random::Host;
use crate::state::State;

impl Host for State {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            return Err(wasmtime::Error::msg(format!(
                "asked for {length} random bytes at once, and {RANDOM_BYTES_MAX} is the most"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        self.host_context.random.fill(&mut bytes);
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.host_context.random.fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bulkhead_types::{Random, SystemClock};

    use super::*;
    use crate::host_context::HostContext;
    use crate::observer::Observers;
    use crate::trial::Trial;

    /// Gives the bytes 1, 2, 3 and so on, from 1 in each call.
    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            (1..).zip(bytes).for_each(|(number, byte)| *byte = number);
        }
    }

    #[test]
    fn number_has_eight_random_bytes() {
        let host_context = HostContext {
            clock: Box::new(SystemClock),
            random: Box::new(Counting),
            directory: Default::default(),
            observers: Observers::default(),
            faults: None,
        };
        let mut state = State::new(Arc::default(), Arc::new(host_context));
        assert_eq!(state.get_random_u64().unwrap().to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(state.get_random_bytes(3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn requested_number_of_random_bytes_is_returned_up_to_a_limit() {
        let trial = Trial::new(Duration::from_secs(60));
        let mut state = trial.state();
        for length in [0, 1, RANDOM_BYTES_MAX] {
            assert_eq!(state.get_random_bytes(length).unwrap().len() as u64, length);
        }
        let refused = state.get_random_bytes(RANDOM_BYTES_MAX + 1).unwrap_err().to_string();
        assert_eq!(refused, "asked for 65537 random bytes at once, and 65536 is the most");
    }
}
