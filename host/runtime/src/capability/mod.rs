//! What the host lets a component do: a file for each interface that it imports. Each interface has a view of the handler's state, which
//! has what its functions need and nothing else. The interfaces of the database share one (`database.rs`).

mod answers;
mod clock;
mod config;
mod database;
mod log;
mod outbox;
mod random;
mod services;
mod snapshot;
mod sql;
mod transaction;

use wasmtime::component::Linker;

use self::clock::ClockView;
use self::config::ConfigView;
use self::database::DatabaseView;
use self::log::LogView;
pub(crate) use self::outbox::OutboxView;
use self::random::RandomView;
pub(crate) use self::services::ServicesView;
use crate::bindings::bulkhead::service as bulkhead;
use crate::bindings::wasi;
use crate::state::State;

/// Adds every interface that has functions to a linker.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    bulkhead::snapshot::add_to_linker::<State, DatabaseView<'static>>(linker, DatabaseView::of)?;
    bulkhead::transaction::add_to_linker::<State, DatabaseView<'static>>(linker, DatabaseView::of)?;
    bulkhead::answers::add_to_linker::<State, DatabaseView<'static>>(linker, DatabaseView::of)?;
    bulkhead::outbox::add_to_linker::<State, OutboxView<'static>>(linker, OutboxView::of)?;
    bulkhead::services::add_to_linker::<State, ServicesView<'static>>(linker, ServicesView::of)?;
    bulkhead::config::add_to_linker::<State, ConfigView<'static>>(linker, ConfigView::of)?;
    bulkhead::log::add_to_linker::<State, LogView<'static>>(linker, LogView::of)?;
    wasi::clocks::wall_clock::add_to_linker::<State, ClockView<'static>>(linker, ClockView::of)?;
    wasi::random::random::add_to_linker::<State, RandomView<'static>>(linker, RandomView::of)
}

#[cfg(test)]
mod tests {
    /// Otherwise a component that uses the interface fails only when it is loaded.
    #[test]
    fn every_interface_that_the_world_imports_is_linked() {
        let (world, linked) = (include_str!("../../../../wit/world.wit"), include_str!("mod.rs"));
        let imports = world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'));
        // These two have types and no functions.
        let with_functions: Vec<&str> = imports.filter(|name| !["types", "sql"].contains(name)).collect();
        assert!(with_functions.len() >= 9, "{with_functions:?}");
        for name in with_functions {
            let name = name.split('@').next().unwrap().rsplit(['/', ':']).next().unwrap().replace('-', "_");
            assert!(linked.contains(&format!("{name}::add_to_linker::")), "{name} is not linked");
        }
    }
}
