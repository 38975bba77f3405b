//! `wasi:clocks/wall-clock`: the host's clock.

use bulkhead_types::Clock;
use bulkhead_types::limits::EPOCH_TICK;
use wasmtime::component::HasData;

use crate::bindings::wasi::clocks::wall_clock::{Datetime, Host};
use crate::state::State;

/// What the clock sees of a handler's state.
pub(crate) struct ClockView<'s>(&'s dyn Clock);

impl HasData for ClockView<'static> {
    type Data<'s> = ClockView<'s>;
}

impl ClockView<'_> {
    pub(super) fn of(state: &mut State) -> ClockView<'_> {
        ClockView(state.host_context.clock.as_ref())
    }
}

impl Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let now = self.0.now();
        Ok(Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        // Not finer than a tick: with a finer clock a guest could measure what is not its own.
        Ok(Datetime { seconds: EPOCH_TICK.as_secs(), nanoseconds: EPOCH_TICK.subsec_nanos() })
    }
}
