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
