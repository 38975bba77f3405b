//! A component, loaded: compiled, linked, and asked what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::Migration;
use http::HeaderValue;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};

use crate::bindings::exports::bulkhead::service::{describe, event_handler, http_handler, migrations};
use crate::cache::ComponentCache;
use crate::capability;
use crate::component_info::ComponentInfo;
use crate::described::DescribedRoutes;
use crate::diagnosis;
use crate::engine::Engine;
use crate::host_context::HostContext;
use crate::running::{Expired, Running};
use crate::spec::ServiceSpec;
use crate::state::State;
use crate::version::Version;

/// Time for `describe` and `migrations.all`.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a component can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be compiled.
    #[error("compile it: {0:#}")]
    Compile(wasmtime::Error),
    /// It imports something that does not exist, or exists in another form.
    #[error(
        "link it: {0:#}; build it again against the host's wit/ with `bulkhead build`, or run the host that it was built for"
    )]
    Link(wasmtime::Error),
    /// No instance can be made of it: it traps at its start, or wants more than it may have.
    #[error(
        "make an instance of it: {0}; what it needs at its start, memory above all, is to be within limits.memory"
    )]
    Instantiate(String),
    /// An export trapped or is of another form.
    #[error("ask its {export}: {reason}")]
    Export {
        /// The interface.
        export: &'static str,
        /// Why not, and where to look.
        reason: String,
    },
}

impl LoadError {
    fn of_export(export: &'static str, store: &Store<State>, error: &wasmtime::Error) -> Self {
        let reason = if error.downcast_ref::<Expired>().is_some() {
            format!("it did not answer within {} s", LOAD_TIMEOUT.as_secs())
        } else {
            format!("it {}", ended(store, error))
        };
        Self::Export { export, reason }
    }
}

/// How the guest code in a store ended.
fn ended(store: &Store<State>, error: &wasmtime::Error) -> String {
    let state = store.data();
    let panic = state.running.as_ref().and_then(|running| running.panic.as_ref());
    diagnosis::trapped(error, panic, state.memory.refused, &state.spec)
}

/// A component that is compiled.
pub struct Compiled {
    component: wasmtime::component::Component,
    version: Version,
}

impl Compiled {
    /// Compiles `bytes`, or takes them from the cache.
    ///
    /// # Errors
    ///
    /// [`LoadError::Compile`].
    pub fn new(engine: &Engine, cache: &ComponentCache, bytes: &[u8]) -> Result<Self, LoadError> {
        let version = Version::of(bytes);
        let component = cache.load(engine, bytes, &version).map_err(LoadError::Compile)?;
        Ok(Self { component, version })
    }
}

/// A component that can be instantiated, with what it says of itself.
pub struct Component {
    pub(crate) pre: InstancePre<State>,
    pub(crate) http: Option<http_handler::GuestIndices>,
    pub(crate) events: Option<event_handler::GuestIndices>,
    pub(crate) info: Arc<ComponentInfo>,
    /// What it is, if it says so.
    pub description: Option<describe::Description>,
    /// The schema of its database.
    pub migrations: Vec<Migration>,
}

impl Component {
    /// Links a compiled component, makes an instance of it, and asks the instance for its description and migrations. The instance gets no
    /// database and can't call other services meanwhile.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(
        engine: &Engine,
        compiled: &Compiled,
        spec: &ServiceSpec,
        host_context: &Arc<HostContext>,
    ) -> Result<Self, LoadError> {
        let mut linker = Linker::new(engine.wasmtime());
        capability::link(&mut linker).map_err(LoadError::Link)?;
        let pre = linker.instantiate_pre(&compiled.component).map_err(LoadError::Link)?;
        let http = http_handler::GuestIndices::new(&pre).ok();
        let events = event_handler::GuestIndices::new(&pre).ok();

        let mut store = new_store(engine, Arc::new(spec.clone()), Arc::clone(host_context));
        store.data_mut().running = Some(Running::starting(Instant::now() + LOAD_TIMEOUT));
        store.set_epoch_deadline(1);
        let _ticking = engine.running();
        let instance = pre
            .instantiate(&mut store)
            .map_err(|error| LoadError::Instantiate(format!("it {}", ended(&store, &error))))?;
        let description = match describe::GuestIndices::new(&pre) {
            Err(_) => None,
            Ok(indices) => {
                let ask =
                    |store: &mut Store<State>| indices.load(&mut *store, &instance)?.call_describe(store);
                let described = ask(&mut store);
                Some(described.map_err(|error| LoadError::of_export("describe", &store, &error))?)
            }
        };
        let migrations = match migrations::GuestIndices::new(&pre) {
            Err(_) => Vec::new(),
            Ok(indices) => {
                let ask = |store: &mut Store<State>| indices.load(&mut *store, &instance)?.call_all(store);
                let all = ask(&mut store);
                all.map_err(|error| LoadError::of_export("migrations", &store, &error))?
            }
        };
        let migrations = migrations
            .into_iter()
            .map(|step| Migration {
                version: step.version,
                name: step.name,
                sql: step.sql,
                reverse: step.reverse_sql,
            })
            .collect();
        let version = compiled.version.clone();
        let label = format!("{}@{version}", spec.name);
        // A service's name has only characters that a header may have.
        let label = HeaderValue::try_from(label).unwrap_or(HeaderValue::from_static(""));
        let described = Arc::new(DescribedRoutes::of(description.as_ref()));
        let info = Arc::new(ComponentInfo { version, label, described });
        Ok(Self { pre, http, events, info, description, migrations })
    }

    /// Which version it is.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.info.version
    }

    /// Whether it answers HTTP requests.
    #[must_use]
    pub fn answers_http(&self) -> bool {
        self.http.is_some()
    }

    /// Whether it consumes events.
    #[must_use]
    pub fn consumes_events(&self) -> bool {
        self.events.is_some()
    }
}

/// A store for one instance of the service.
pub(crate) fn new_store(
    engine: &Engine,
    spec: Arc<ServiceSpec>,
    host_context: Arc<HostContext>,
) -> Store<State> {
    let mut store = Store::new(engine.wasmtime(), State::new(spec, host_context));
    store.limiter(|state| &mut state.memory);
    store.epoch_deadline_callback(|mut context| context.data_mut().tick());
    store.set_hostcall_fuel(bulkhead_types::limits::HOST_CALL_BYTES_MAX);
    store
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::trial::Trial;

    #[test]
    fn empty_component_has_no_handler() {
        let trial = Trial::new(Duration::from_secs(60));
        let component = &trial.context.release.get().component;
        assert!(!component.answers_http() && !component.consumes_events());
    }
}
