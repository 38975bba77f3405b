//! What the host lets a component do: a file for each interface that it imports.

mod answers;
mod clock;
mod config;
mod log;
mod observed;
mod outbox;
mod random;
mod services;
mod snapshot;
mod sql;
mod transaction;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::Service;
use crate::state::State;

/// Adds every interface to a linker.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    Service::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl crate::bindings::bulkhead::service::types::Host for State {}
