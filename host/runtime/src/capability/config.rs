//! `config`: the settings and secrets of the manifest.

use wasmtime::component::HasData;

use crate::bindings::bulkhead::service::config::Host;
use crate::spec::ServiceSpec;
use crate::state::State;

/// What `config` sees of a handler's state.
pub(crate) struct ConfigView<'s>(&'s ServiceSpec);

impl HasData for ConfigView<'static> {
    type Data<'s> = ConfigView<'s>;
}

impl ConfigView<'_> {
    pub(super) fn of(state: &mut State) -> ConfigView<'_> {
        ConfigView(&state.spec)
    }
}

impl Host for ConfigView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.0.config.get(&key).cloned())
    }

    fn get_secret(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.0.secrets.get(&key).cloned())
    }
}
