//! `config`: the settings and secrets of the manifest.

use crate::bindings::bulkhead::service::config::Host;
use crate::state::State;

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.spec.config.get(&key).cloned())
    }

    fn get_secret(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.spec.secrets.get(&key).cloned())
    }
}
