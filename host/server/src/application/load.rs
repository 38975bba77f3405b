//! Loading components. Each one is read, compiled, and asked for its description, which is compared with the manifest's grants.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use bulkhead_build::{Imports, check_imports};
use bulkhead_manifest::{Manifest, ServiceSection, example_database};
use bulkhead_runtime::{
    Compiled, Component, ComponentCache, Engine, HostContext, Observer, Observers, Queues, queues,
};
use bulkhead_types::limits::COMPONENT_BYTES_MAX;
use bulkhead_types::{ServiceName, SystemClock, SystemRandom, limits};

use super::{Application, Fault, StartError, at, databases};
use crate::figures::RuntimeFigures;
use crate::interface::problems;

/// Spare instances, beyond one for each thread: for components that a load asks for their description, and for the threads of a rebuild.
pub(super) const SPARE_INSTANCES: usize = 16;

/// Components that are loaded and checked, with the engine and context that they run in.
pub(super) struct Loaded<'m> {
    pub(super) engine: Engine,
    pub(super) queues: BTreeMap<ServiceName, (Queues, bulkhead_runtime::QueueEnds)>,
    pub(super) host_context: Arc<HostContext>,
    pub(super) runtime_figures: Arc<RuntimeFigures>,
    pub(super) components: Vec<(&'m ServiceSection, Component)>,
}

/// Returns a component's bytes, or what is wrong.
type Read<'r> = dyn Fn(&str, &ServiceSection) -> Result<Vec<u8>, Vec<String>> + 'r;

/// Everything that is wrong with the components of services.
pub(super) type Faults<'m> = Vec<(&'m ServiceSection, Vec<Fault>)>;

pub(super) fn load_all<'m>(manifest: &'m Manifest, read: &Read<'_>) -> Result<Loaded<'m>, StartError> {
    let cache = ComponentCache::open(&databases::cache(&manifest.data));
    let (loaded, faults) = load_good(manifest, &cache, read)?;
    if faults.is_empty() {
        return Ok(loaded);
    }
    Err(StartError(faults.into_iter().flat_map(|(entry, errors)| at(manifest, entry, errors)).collect()))
}

/// Loads the components that have no faults, and returns the faults of the others.
///
/// # Errors
///
/// If the machine lacks the resources to run components.
pub(super) fn load_good<'m>(
    manifest: &'m Manifest,
    cache: &ComponentCache,
    read: &Read<'_>,
) -> Result<(Loaded<'m>, Faults<'m>), StartError> {
    let runtime_figures = Arc::new(RuntimeFigures::new(manifest.services.keys()));
    let observers = Observers::new(vec![Arc::clone(&runtime_figures) as Arc<dyn Observer>]);
    let (engine, queues) = (engine(manifest)?, all_queues(manifest, &observers));
    let directory = queues.iter().map(|(name, (queues, _))| (name.clone(), queues.clone())).collect();
    let host_context = Arc::new(HostContext {
        clock: Box::new(SystemClock),
        random: Box::new(SystemRandom),
        directory,
        observers,
        faults: None,
    });
    let mut faults = Faults::new();
    let mut components = Vec::new();
    for (name, entry) in &manifest.services {
        let path = entry.source.component(name);
        let file = path.display();
        let compiled = read(name, entry).and_then(|bytes| {
            let imports = imports(&bytes, &file)?;
            Ok((imports, compile(&engine, cache, &bytes, &file)?))
        });
        let loaded = compiled
            .map_err(Fault::all)
            .and_then(|(imports, compiled)| load(&engine, &compiled, &imports, entry, &host_context, &file));
        match loaded {
            Ok(component) => components.push((entry, component)),
            Err(errors) => faults.push((entry, errors)),
        }
    }
    let described = components.iter().filter_map(|(entry, component): &(&ServiceSection, Component)| {
        Some((entry.spec.name.as_str(), component.description.as_ref()?))
    });
    for (name, error) in problems::clashes(described) {
        if let Some(entry) = manifest.services.get(name) {
            faults.push((entry, vec![error.into()]));
        }
    }
    Ok((Loaded { engine, queues, host_context, runtime_figures, components }, faults))
}

fn engine(manifest: &Manifest) -> Result<Engine, StartError> {
    let limits = manifest.services.values().map(|entry| &entry.spec.limits);
    let workers: usize = limits
        .clone()
        .map(|limits| limits.read_workers + limits.write_workers + limits.compute_workers)
        .sum();
    let memory = limits.map(|limits| limits.memory).max().unwrap_or(limits::MEMORY_DEFAULT);
    // A worker has one instance at a time. So do a subscription worker and the two threads of a service's timers and parked events.
    let delivery_threads = manifest.subscriptions().len() + 2 * manifest.services.len();
    let instances = u32::try_from(workers + delivery_threads + SPARE_INSTANCES).unwrap_or(u32::MAX);
    Engine::new(instances, memory).map_err(|error| {
        StartError(vec![format!(
            "reserve address space for {instances} instances: {error:#}; lower limits.read_workers or limits.write_workers"
        )])
    })
}

fn all_queues(
    manifest: &Manifest,
    observers: &Observers,
) -> BTreeMap<ServiceName, (Queues, bulkhead_runtime::QueueEnds)> {
    manifest.services.iter().map(|(name, entry)| (name.clone(), queues(&entry.spec, observers))).collect()
}

/// The imports and exports of a component, if it is a component of the host's world. An error names `file`.
pub(super) fn imports(bytes: &[u8], file: &dyn Display) -> Result<Imports, Vec<String>> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        let most = COMPONENT_BYTES_MAX >> 20;
        return Err(vec![format!(
            "load {file}: it has more than {most} MiB, the most that a component may have"
        )]);
    }
    check_imports(bytes).map_err(|error| vec![format!("load {file}: {error}")])
}

/// Compiles a component, or loads it from the cache.
pub(super) fn compile(
    engine: &Engine,
    cache: &ComponentCache,
    bytes: &[u8],
    file: &dyn Display,
) -> Result<Compiled, Vec<String>> {
    Compiled::new(engine, cache, bytes).map_err(|error| vec![format!("load {file}: {error}")])
}

/// Creates an instance of a component and asks it for its description. Returns all that is wrong with it.
fn load(
    engine: &Engine,
    compiled: &Compiled,
    imports: &Imports,
    entry: &ServiceSection,
    host_context: &Arc<HostContext>,
    file: &dyn Display,
) -> Result<Component, Vec<Fault>> {
    let component = Component::load(engine, compiled, &entry.spec, host_context)
        .map_err(|error| vec![format!("load {file}: {error}").into()])?;
    let wrong = missing_grants(entry, imports, &component);
    if wrong.is_empty() { Ok(component) } else { Err(wrong) }
}

impl Application {
    /// The "try" step of a deploy and of a reload: creates an instance of a component with a section of the manifest, and asks it for its
    /// description.
    pub(super) fn try_component(
        &self,
        compiled: &Compiled,
        imports: &Imports,
        entry: &ServiceSection,
    ) -> Result<Arc<Component>, Vec<Fault>> {
        let host_context = self.host_context();
        let load = || load(&self.engine, compiled, imports, entry, &host_context, &"the component");
        self.cache.gently(load).map(Arc::new)
    }

    /// Finds problem kinds that would share a code if these components replaced those of their services. Returns the service and the
    /// reason.
    pub(super) fn clashes<'c>(
        &self,
        tried: impl Iterator<Item = (&'c ServiceName, &'c Component)>,
    ) -> Vec<(ServiceName, String)> {
        let mut described = self.described();
        for (name, component) in tried {
            described.extend(component.description.clone().map(|description| (name.clone(), description)));
        }
        let described = described.iter().map(|(name, description)| (name.as_str(), description));
        let clashes = problems::clashes(described).into_iter();
        clashes.map(|(name, error)| (name.into(), error)).collect()
    }
}

/// A component that is compiled and checked against the host's world, for a test harness that builds many applications from it.
pub struct CompiledFile {
    compiled: Compiled,
    imports: Imports,
    /// The name that errors use.
    file: String,
}

impl CompiledFile {
    /// Checks and compiles the bytes of `file`, or loads the compiled form from the cache.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with what to do.
    pub fn new(
        engine: &Engine,
        cache: &ComponentCache,
        bytes: &[u8],
        file: &dyn Display,
    ) -> Result<Self, Vec<String>> {
        let imports = imports(bytes, file)?;
        Ok(Self { compiled: compile(engine, cache, bytes, file)?, imports, file: file.to_string() })
    }

    /// Asks an instance for its description, and compares it with the manifest's grants, as a start does.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with what to do.
    pub fn load(
        &self,
        engine: &Engine,
        entry: &ServiceSection,
        host_context: &Arc<HostContext>,
    ) -> Result<Component, Vec<String>> {
        load(engine, &self.compiled, &self.imports, entry, host_context, &self.file).map_err(Fault::messages)
    }
}

/// What the component uses without a grant in the manifest, and what the manifest routes to it although the component lacks it.
fn missing_grants(entry: &ServiceSection, imports: &Imports, component: &Component) -> Vec<Fault> {
    let (spec, lines) = (&entry.spec, &entry.lines);
    let mistakes = component.description.as_ref().map(crate::interface::mistakes);
    let mut wrong = Fault::all(mistakes.unwrap_or_default());
    let mut lacks = |key: &str, uses: &str, lacks: &str, example: String| {
        let message = format!("the component {uses}, and its section of the manifest {lacks}; add {example}");
        wrong.push(Fault::at(lines.of(key), message));
    };
    let database = example_database(&spec.name);
    for interface in
        ["snapshot", "transaction", "outbox", "answers"].map(|name| format!("bulkhead:service/{name}"))
    {
        if imports.imports(&interface) && entry.database.is_none() {
            lacks("database", &format!("imports {interface}"), "names no `database`", database.clone());
        }
    }
    if !component.migrations.is_empty() && entry.database.is_none() {
        lacks("database", "has migrations", "names no `database`", database);
    }
    if imports.imports("bulkhead:service/services") && spec.grants.calls.is_empty() {
        lacks(
            "calls",
            "imports bulkhead:service/services",
            "lists no service in `calls`",
            "calls = [\"…\"] with the services that it calls".to_owned(),
        );
    }
    if let Some(description) = &component.description {
        for kind in &description.publishes {
            if !spec.grants.publishes.contains(kind) {
                lacks(
                    "publishes",
                    &format!("publishes {kind}"),
                    &format!("does not list {kind} in `publishes`"),
                    format!("\"{kind}\" to publishes"),
                );
            }
        }
        for kind in &description.subscribes {
            if !spec.grants.subscribes.contains(kind) && !spec.grants.timers.contains(kind) {
                lacks(
                    "subscribes",
                    &format!("subscribes to {kind}"),
                    &format!("does not list {kind} in `subscribes`"),
                    format!("\"{kind}\" to subscribes"),
                );
            }
        }
        let handled = |kind: &&String| !description.subscribes.contains(kind);
        for kind in spec.grants.subscribes.iter().chain(&spec.grants.timers).filter(handled) {
            let message = format!(
                "the manifest has it subscribe to {kind}, and the component has no handler for it; remove it from `subscribes`"
            );
            wrong.push(Fault::at(lines.of_item("subscribes", kind), message));
        }
        if entry.rebuildable {
            let writes =
                description.routes.iter().filter(|route| !matches!(route.method.as_str(), "GET" | "HEAD"));
            for route in writes {
                let message = format!(
                    "it is rebuildable, and has the route {} {}, whose effects a rebuild would lose; remove `rebuildable` or the route",
                    route.method, route.path
                );
                wrong.push(Fault::at(lines.of("rebuildable"), message));
            }
        }
    }
    let consumes_none = spec.grants.subscribes.is_empty() && spec.grants.timers.is_empty();
    if !consumes_none && !component.consumes_events() {
        wrong.push(Fault::at(
            lines.of("subscribes"),
            "the manifest has it subscribe to events, and the component exports no bulkhead:service/event-handler",
        ));
    }
    if !spec.routes.is_empty() && !component.answers_http() {
        wrong.push(Fault::at(
            lines.of("routes"),
            "routes lead to it, and the component exports no bulkhead:service/http-handler; remove the routes, or export it",
        ));
    }
    wrong
}
