//! `config`: the settings and secrets of the manifest.

use std::collections::BTreeMap;

use wasmtime::component::HasData;

use crate::bindings::bulkhead::service::config::Host;
use crate::state::State;

/// What `config` sees of a handler's state.
pub(crate) struct ConfigView<'s> {
    config: &'s BTreeMap<String, String>,
    secrets: &'s BTreeMap<String, String>,
}

impl HasData for ConfigView<'static> {
    type Data<'s> = ConfigView<'s>;
}

impl ConfigView<'_> {
    pub(super) fn of(state: &mut State) -> ConfigView<'_> {
        ConfigView { config: &state.spec.config, secrets: &state.spec.secrets }
    }
}

impl Host for ConfigView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.config.get(&key).cloned())
    }

    fn get_secret(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.secrets.get(&key).cloned())
    }
}
