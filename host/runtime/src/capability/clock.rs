//! `wasi:clocks/wall-clock`: the host's clock.

use bulkhead_types::limits::EPOCH_TICK;

use crate::bindings::wasi::clocks::wall_clock::{Datetime, Host};
use crate::state::State;

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let now = self.host_context.clock.now();
        Ok(Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        // Not finer than a tick: with a finer clock a guest could measure what is not its own.
        Ok(Datetime { seconds: EPOCH_TICK.as_secs(), nanoseconds: EPOCH_TICK.subsec_nanos() })
    }
}
