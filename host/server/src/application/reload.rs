//! Applies changes of the manifest while the services serve: routes, limits, grants, config and replicas. All changes apply, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_runtime::{Component, Consumer, Held, Release, SchedulerError, Subscription};
use bulkhead_store::Database;
use bulkhead_types::ServiceName;

use super::delivery_threads::Stopped;
use super::refill::{ChangedReplicas, Refills};
use super::versions::read_source;
use super::{Application, DeployError, Fault, Maintenance, Routes, Subscriptions, load};
use crate::interface::Interface;

/// What a reload did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Reloaded {
    /// The services whose sections have changed.
    pub services: Vec<ServiceName>,
    /// The services whose `source` has changed. A new source takes effect only with a deploy or a start.
    pub sources: Vec<ServiceName>,
    /// From the call until all changes took effect.
    pub milliseconds: f64,
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The manifest is not valid here.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// The changes took effect, and subscription workers could not be started again.
    #[error(
        "what has changed holds, and subscription workers could not be started again: {0}; restart the host"
    )]
    DeliveryThreads(#[from] SchedulerError),
}

impl Application {
    /// Reads the manifest again, and applies what has changed in it.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`]; unless it says otherwise, nothing has changed.
    pub fn reload(&self, _only: &Maintenance<'_>) -> Result<Reloaded, ReloadError> {
        let started = std::time::Instant::now();
        let manifest = self.read_manifest().map_err(ReloadError::Refused)?;
        let mut wrong = Vec::new();
        // Runs before any request waits for the reload, and before anything is locked.
        let tried = self.try_changed(&manifest, &mut wrong);
        let changed = self.changed_replicas(&manifest, &mut wrong);
        let mut refills = Refills::read(&manifest, &self.databases(), &changed, &mut wrong);
        let _switching = self.switching();
        let running = self.manifest();
        wrong.extend(restart_needed(&running, &manifest));
        wrong.extend(self.too_many_subscriptions(&manifest));
        let mut releases = Vec::new();
        let mut services = Vec::new();
        let mut sources = Vec::new();
        for Retained { name, before, entry, consumer } in self.retained(&running, &manifest) {
            wrong.extend(self.restart_needed_for(name, before, entry));
            if before.source != entry.source {
                sources.push(name.to_owned());
                if let Err(error) = read_source(name, entry) {
                    let fault = Fault::at(entry.lines.of("source"), error);
                    wrong.extend(super::at(&manifest, entry, vec![fault]));
                }
            }
            let release = consumer.release();
            if !needs_new_release(&release, before, entry) {
                continue;
            }
            services.push(name.to_owned());
            match tried.get(name) {
                // What is wrong with it is already reported.
                Some(None) => {}
                Some(Some(component)) if component.version() == release.component.version() => releases.push((
                    consumer.clone(),
                    Release {
                        component: Arc::clone(component),
                        spec: Arc::new(entry.spec.clone()),
                        database: release.database.clone(),
                        // A rollback would undo the reload.
                        probation: None,
                    },
                )),
                _ => wrong.push(format!(
                    "service.{name}: a version failed its probation meanwhile, and another one serves; reload again"
                )),
            }
        }
        if !wrong.is_empty() {
            return Err(ReloadError::Refused(wrong));
        }
        let change = self.begin_to_change_subscriptions(manifest);
        match refills.write(self) {
            Ok(held) => {
                for (consumer, release) in &mut releases {
                    if refills.are_of(consumer.name()) {
                        // The writer and all readers know only the old replicas.
                        release.database =
                            release.database.as_ref().map(|database| Arc::new(database.reopened()));
                    }
                }
                self.take(releases, &change, held);
            }
            Err(why) => {
                // The refills' transactions are open until they are dropped, and a restarted subscription worker may write at once.
                drop(refills);
                // Restart the subscription workers with the old subscriptions: nothing else has changed yet.
                let mut wrong = vec![why];
                if let Err(error) = change.end() {
                    wrong.push(format!(
                        "and subscription workers that were stopped for it could not be started again: {error}; restart the host"
                    ));
                }
                return Err(ReloadError::Refused(wrong));
            }
        }
        change.end()?;
        tracing::info!(?services, "the manifest was reloaded");
        if !sources.is_empty() {
            tracing::warn!(
                services = ?sources,
                "their source has changed, which holds at the next start, or when they are deployed"
            );
        }
        Ok(Reloaded { services, sources, milliseconds: started.elapsed().as_secs_f64() * 1e3 })
    }

    /// The services that both manifests have.
    fn retained<'m>(
        &'m self,
        running: &'m Manifest,
        manifest: &'m Manifest,
    ) -> impl Iterator<Item = Retained<'m>> {
        manifest.services.iter().filter_map(|(name, entry)| {
            let (before, consumer) = (running.services.get(name)?, self.consumers().get(name)?);
            Some(Retained { name, before, entry, consumer })
        })
    }

    /// Tries the components of the services whose sections have changed, as a deploy does: it creates an instance of each with the new
    /// section, and asks it for its description. The result is by service. It is none for a component with an error, and the error goes to
    /// `wrong`.
    fn try_changed(
        &self,
        manifest: &Manifest,
        wrong: &mut Vec<String>,
    ) -> BTreeMap<ServiceName, Option<Arc<Component>>> {
        let running = self.manifest();
        let mut tried = BTreeMap::new();
        for Retained { name, before, entry, consumer } in self.retained(&running, manifest) {
            let release = consumer.release();
            if !needs_new_release(&release, before, entry) {
                continue;
            }
            let component = self.try_with(name, entry, &release);
            let component = component.map_err(|errors| wrong.extend(super::at(manifest, entry, errors)));
            tried.insert(name.clone(), component.ok());
        }
        let good = tried.iter().filter_map(|(name, component)| Some((name, component.as_deref()?)));
        for (name, error) in self.clashes(good) {
            if let Some(entry) = manifest.services.get(&name) {
                wrong.extend(super::at(manifest, entry, vec![error]));
            }
        }
        tried
    }

    /// Tries the component of a release with another section of the manifest.
    fn try_with(
        &self,
        name: &str,
        entry: &ServiceSection,
        release: &Release,
    ) -> Result<Arc<Component>, Vec<Fault>> {
        let bytes =
            self.versions.read(name, release.component.version()).map_err(|error| vec![error.into()])?;
        let file = &"the component";
        let read = || {
            let imports = load::imports(&bytes, file)?;
            Ok::<_, Vec<String>>((imports, load::compile(&self.engine, &self.cache, &bytes, file)?))
        };
        let (imports, compiled) = read().map_err(Fault::all)?;
        let component = self.try_component(&compiled, &imports, entry)?;
        if component.migrations == release.component.migrations {
            return Ok(component);
        }
        let why =
            "with these settings the component has other migrations, which a reload does not make; deploy it";
        Err(vec![why.to_owned().into()])
    }

    /// The services whose replica declarations have changed.
    fn changed_replicas(&self, manifest: &Manifest, wrong: &mut Vec<String>) -> Vec<ChangedReplicas> {
        let running = self.manifest();
        let mut changed = Vec::new();
        for Retained { name, before, entry, consumer } in self.retained(&running, manifest) {
            let Some(database) = consumer.database().filter(|_| before.replicas != entry.replicas) else {
                continue;
            };
            let database = Arc::clone(&database.database);
            match self.suited_statements(name, &consumer.release(), &*database) {
                Ok(statements) => {
                    let (consumer, entry) = (consumer.clone(), entry.clone());
                    changed.push(ChangedReplicas { consumer, database, entry, statements });
                }
                Err(error) => wrong.extend(super::at(manifest, entry, vec![error])),
            }
        }
        changed
    }

    /// The statements in a release's component that fit the current schema. The other texts may not be SQL statements at all.
    fn suited_statements(
        &self,
        name: &str,
        release: &Release,
        database: &dyn Database,
    ) -> Result<Vec<String>, String> {
        let bytes = self.versions.read(name, release.component.version())?;
        let mut statements = self.cache.gently(|| bulkhead_build::statements(&bytes));
        let unsuited = database.unsuited(&statements).map_err(|error| error.to_string())?;
        let unsuited: BTreeSet<String> = unsuited.into_iter().map(|(sql, _)| sql.to_owned()).collect();
        statements.retain(|sql| !unsuited.contains(sql));
        Ok(statements)
    }

    /// The section of a service as the manifest file has it now. A deploy of that service uses this section.
    pub(super) fn section_of(&self, name: &str) -> Result<ServiceSection, DeployError> {
        let running = self.manifest();
        let before = running.services.get(name).ok_or_else(|| DeployError::Unknown(name.to_owned()))?;
        let mut read = self.read_manifest()?;
        let entry = read.services.remove(name).ok_or_else(|| {
            let why = format!("{} has no service {name} any more", running.path.display());
            DeployError::Refused(vec![why])
        })?;
        let mut wrong = self.restart_needed_for(name, before, &entry);
        if before.replicas != entry.replicas {
            wrong.push(format!(
                "service.{name}: replica has changed; run `bulkhead reload` first, which fills what is new"
            ));
        }
        if !wrong.is_empty() {
            return Err(wrong.into());
        }
        let manifest = self.manifest_with(name, entry.clone());
        let mut mistakes = manifest.mistakes();
        mistakes.extend(self.too_many_subscriptions(&manifest));
        if mistakes.is_empty() { Ok(entry) } else { Err(mistakes.into()) }
    }

    /// The running manifest, with another section for one service.
    pub(super) fn manifest_with(&self, name: &str, entry: ServiceSection) -> Manifest {
        let mut manifest = (*self.manifest()).clone();
        manifest.services.insert(name.into(), entry);
        manifest
    }

    /// The right to replace releases.
    pub(super) fn switching(&self) -> MutexGuard<'_, ()> {
        self.switching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each subscription worker needs an instance. The number of instances is fixed at the start.
    fn too_many_subscriptions(&self, manifest: &Manifest) -> Option<String> {
        let (now, most) = (manifest.subscriptions().len(), self.subscriptions_max);
        (now > most).then(|| {
            format!("there would be {now} subscriptions between services, and the host has room for {most}; restart it to have more")
        })
    }

    /// The manifest as its file has it now. Values from the command line still override it.
    fn read_manifest(&self) -> Result<Manifest, Vec<String>> {
        let running = self.manifest();
        let read = Manifest::read(&running.path).map_err(|error| vec![error.to_string()])?;
        Ok(read.with(running.given.clone()))
    }

    /// The changes in a service's section that need a restart.
    fn restart_needed_for(&self, name: &str, before: &ServiceSection, now: &ServiceSection) -> Vec<String> {
        let (old, new) = (&before.spec.limits, &now.spec.limits);
        let workers = |limits: &bulkhead_runtime::Limits| {
            (limits.read_workers, limits.write_workers, limits.compute_workers)
        };
        let mut wrong = Vec::new();
        for (what, changed) in [
            ("database", before.database != now.database),
            ("rebuildable", before.rebuildable != now.rebuildable),
            ("limits: the number of workers", workers(old) != workers(new)),
        ] {
            if changed {
                wrong.push(format!("service.{name}: {what} has changed; restart the host to apply it"));
            }
        }
        if new.memory > self.engine.memory() {
            wrong.push(format!(
                "service.{name}.limits.memory is more than any service had when the host started ({} MiB); restart the host to apply it",
                self.engine.memory() >> 20
            ));
        }
        wrong
    }

    /// Ends the subscription workers of the services whose subscriptions another manifest changes. A handler must not get an event that
    /// only the old manifest, or only the new one, consumes. The caller must call [`SubscriptionChange::end`] afterwards, whatever happens
    /// in between. The caller must not hold a gate, because subscription workers may wait at it.
    pub(super) fn begin_to_change_subscriptions(&self, manifest: Manifest) -> SubscriptionChange<'_> {
        let before = self.subscriptions();
        let subscriptions: Subscriptions = manifest
            .subscriptions()
            .into_iter()
            .map(|spec| {
                let same_two = |subscription: &&Arc<Subscription>| {
                    subscription.spec.producer == spec.producer && subscription.spec.consumer == spec.consumer
                };
                match before.iter().find(same_two) {
                    Some(subscription) if subscription.spec == spec => Arc::clone(subscription),
                    Some(subscription) => Arc::new(subscription.changed_to(spec)),
                    None => Arc::new(Subscription::new(spec)),
                }
            })
            .collect();
        let is_in = |subscription: &Arc<Subscription>, all: &Subscriptions| {
            all.iter().any(|other| Arc::ptr_eq(subscription, other))
        };
        let gone = before.iter().filter(|subscription| !is_in(subscription, &subscriptions));
        let come = subscriptions.iter().filter(|subscription| !is_in(subscription, &before));
        let consumers: BTreeSet<ServiceName> =
            gone.chain(come).map(|subscription| subscription.spec.consumer.clone()).collect();
        SubscriptionChange {
            manifest: Arc::new(manifest),
            subscriptions: Arc::new(subscriptions),
            stopped: self.stop_delivery_threads(consumers),
        }
    }

    /// Switches services to other releases, and updates all that depends on the manifest. `held` is dropped as soon as the releases are
    /// switched.
    pub(super) fn take(
        &self,
        releases: Vec<(Consumer, Release)>,
        change: &SubscriptionChange<'_>,
        held: Vec<Held>,
    ) {
        let running = self.manifest();
        let before = (self.described(), routes_of(&running), &running.version);
        for (consumer, release) in releases {
            if let Some(database) = &release.database {
                database.database.set_storage(release.spec.limits.storage);
            }
            self.note_end_of_probation(consumer.name(), &consumer.release(), &release);
            consumer.switch(release);
        }
        drop(held);
        self.subscriptions.set(Arc::clone(&change.subscriptions));
        self.routes.set(Arc::new(Routes::new(&self.host_context.directory, &self.logs)));
        // Building the documents and pages takes longer than everything else here.
        let now = (self.described(), routes_of(&change.manifest), &change.manifest.version);
        if before != now {
            self.interface.set(Arc::new(Interface::new(&change.manifest, &now.0)));
        }
        self.manifest.set(Arc::clone(&change.manifest));
    }
}

/// A manifest that is about to take effect, with its subscriptions.
pub(super) struct SubscriptionChange<'a> {
    manifest: Arc<Manifest>,
    /// All subscriptions, including the unchanged ones.
    subscriptions: Arc<Subscriptions>,
    /// The services whose subscriptions change.
    stopped: Stopped<'a>,
}

impl SubscriptionChange<'_> {
    /// Restarts the stopped subscription workers, with the current subscriptions.
    pub(super) fn end(self) -> Result<(), SchedulerError> {
        self.stopped.start_again()
    }
}

/// A service that is in the running manifest and in another one.
struct Retained<'m> {
    name: &'m ServiceName,
    before: &'m ServiceSection,
    entry: &'m ServiceSection,
    consumer: &'m Consumer,
}

/// Whether a service needs another release.
fn needs_new_release(release: &Release, before: &ServiceSection, now: &ServiceSection) -> bool {
    *release.spec != now.spec || before.replicas != now.replicas
}

/// Every route with its service. The documents are built from this and from the components' descriptions.
fn routes_of(manifest: &Manifest) -> Vec<(ServiceName, Vec<String>)> {
    let routes = manifest.services.iter().map(|(name, entry)| (name.clone(), entry.spec.routes.clone()));
    routes.collect()
}

/// The changes of an application that need a restart.
fn restart_needed(before: &Manifest, now: &Manifest) -> Vec<String> {
    let mut wrong = Vec::new();
    let revoker = |manifest: &Manifest| {
        let kind = manifest.auth.as_ref().and_then(|auth| auth.revoked_by.as_deref());
        kind.and_then(|kind| manifest.publisher(kind)).cloned()
    };
    for (what, changed) in [
        ("application.name", before.name != now.name),
        ("application.listen", before.listen != now.listen),
        ("application.admin", before.admin != now.admin),
        ("application.data", before.data != now.data),
        ("application.access_log", before.access_log != now.access_log),
        ("who publishes application.auth.revoked_by", revoker(before) != revoker(now)),
        ("application.auth", before.auth != now.auth),
    ] {
        if changed {
            wrong.push(format!("{what} has changed; restart the host to apply it"));
        }
    }
    for name in now.services.keys().filter(|name| !before.services.contains_key(*name)) {
        wrong.push(format!("service.{name} is new; restart the host to serve it"));
    }
    for name in before.services.keys().filter(|name| !now.services.contains_key(*name)) {
        wrong.push(format!("service.{name} is gone; restart the host to end it"));
    }
    wrong
}
