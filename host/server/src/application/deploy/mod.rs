//! Deploys another version of a service's component, code and schema in one step, while it serves.
//!
//! A deploy runs all checks that can refuse it before it touches what serves. It validates, compiles (on a low-priority thread), creates an
//! instance and asks it for its description, and rehearses the migrations on a copy. Then it switches.
//!
//! Invariants:
//!
//! - The active version is the last row of a table of the service's own database. It is recorded nowhere else. The transaction that changes
//!   the schema also writes this row. So a process that ends at any moment leaves one version and its schema.
//! - The file that the row names is on disk before the row.
//! - Without migrations no request waits: running handlers end on the version that they began with, and the next ones begin with the new
//!   one.
//! - With migrations no handler runs and no batch is open while the schema changes (`host/runtime/src/gate.rs`). So no handler sees the
//!   schema of another version. Requests wait in their queues. If the change takes longer than they can wait, the host gives it up, and the
//!   previous version stays.

pub(super) mod crash;
mod error;
mod rehearsal;
mod report;
mod rollback;
mod switch;
pub(super) mod warnings;

use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_runtime::{Consumer, Version};
use bulkhead_store::{Activation, Database, How, MigrationError, StoreError, Upgrade};
use bulkhead_types::limits::{COMPONENT_BYTES_MAX, PAUSE_MAX, PROBATION, REHEARSAL_MAX};
use bulkhead_types::{Clock as _, SystemClock, rfc3339};

use self::crash::Point;
pub use self::error::DeployError;
use self::rehearsal::rehearse;
pub(super) use self::rehearsal::remove_leftover;
pub use self::report::{DeployOutcome, Deployed, Progress};
use self::report::{Stopwatch, milliseconds};
pub use self::rollback::VersionReport;
use super::versions::{HISTORY, read_source};
use super::{Application, Maintenance, load};
use crate::telemetry::one_line;
use bulkhead_manifest::ServiceSection;

/// How long a deploy without a schema change, or the return after a failed probation, waits for the writer lease. Others hold the lease for
/// one batch at a time.
pub(super) const LEASE_WAIT: Duration = Duration::from_secs(5);
/// Bytes on the disk that a rehearsal must leave free.
const DISK_SPARE: u64 = 256 << 20;

/// The options of a deploy.
#[derive(Debug, Clone, Default)]
pub struct DeployOptions {
    /// Do everything but the switch.
    pub dry_run: bool,
    /// Requests may wait for longer than half of their time.
    pub allow_pause: bool,
    /// Deploy even if the version is already the active one.
    pub force: bool,
    /// Who deploys.
    pub author: String,
    /// The author's note.
    pub note: String,
}

impl Application {
    /// Deploys a component. Blocks until it serves or is refused. The service serves meanwhile.
    ///
    /// # Errors
    ///
    /// See [`DeployError`]. The previous version still serves, unless the error says otherwise.
    pub fn deploy(
        self: &Arc<Self>,
        _only: &Maintenance<'_>,
        name: &str,
        bytes: &[u8],
        options: &DeployOptions,
    ) -> Result<Deployed, DeployError> {
        Deploy::of(self, name, How::Deploy, options)?.run(bytes)
    }

    /// The progress of the running deploy, or of the last one.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.current_progress().clone()
    }

    /// How long requests to a service may wait while nobody runs its handlers. The result is half of their time, so that the other half is
    /// left to answer them. Requests of services that call it, directly or indirectly, count too. `own` is the service's new request
    /// timeout.
    pub(super) fn pause_allowed(&self, service: &str, own: Duration) -> Duration {
        let manifest = self.manifest();
        let mut waiting = vec![service];
        let mut seen = 0;
        while let Some(&called) = waiting.get(seen) {
            let callers =
                manifest.services.iter().filter(|(_, entry)| entry.spec.grants.calls.contains(called));
            let new: Vec<&str> =
                callers.map(|(name, _)| name.as_str()).filter(|name| !waiting.contains(name)).collect();
            waiting.extend(new);
            seen += 1;
        }
        let times = waiting.iter().filter_map(|name| manifest.services.get(*name));
        let times = times.map(|entry| entry.spec.limits.request_timeout);
        times.fold(own, Duration::min) / 2
    }

    fn current_progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running deploy.
struct Deploy<'a> {
    application: &'a Arc<Application>,
    consumer: &'a Consumer,
    /// The database that records the active version.
    version_database: Arc<dyn Database>,
    /// The service's section of the manifest, as the manifest file has it now.
    entry: ServiceSection,
    how: How,
    options: &'a DeployOptions,
    started: Instant,
    /// The deploy changes the schema.
    migrates: bool,
    /// The version goes on probation: it is another version, not a rollback, and without migrations.
    is_new: bool,
    /// Why the switch is not final, if so.
    unsettled: Option<String>,
    report: Deployed,
}

impl<'a> Deploy<'a> {
    fn of(
        application: &'a Arc<Application>,
        name: &str,
        how: How,
        options: &'a DeployOptions,
    ) -> Result<Self, DeployError> {
        let started = Instant::now();
        let unknown = || DeployError::Unknown(name.to_owned());
        let consumer = application.consumers().get(name).ok_or_else(unknown)?;
        let version_database = application.version_database(name).ok_or_else(unknown)?;
        let entry = application.section_of(name)?;
        {
            let mut progress = application.current_progress();
            let number = progress.number + 1;
            *progress = Progress { number, service: name.into(), ..Progress::default() };
        }
        let report = Deployed {
            service: name.into(),
            outcome: DeployOutcome::Unchanged,
            version: String::new(),
            sha256: String::new(),
            before: consumer.release().component.version().to_string(),
            steps: Vec::new(),
            migrations: Vec::new(),
            tables: Vec::new(),
            warnings: Vec::new(),
            pause_milliseconds: None,
            milliseconds: 0.0,
            probation_seconds: 0,
        };
        let (migrates, is_new, unsettled) = (false, false, None);
        Ok(Self {
            application,
            consumer,
            version_database,
            entry,
            how,
            options,
            started,
            migrates,
            is_new,
            unsettled,
            report,
        })
    }

    fn run(mut self, bytes: &[u8]) -> Result<Deployed, DeployError> {
        let result = self.go(bytes).and_then(|()| match self.unsettled.take() {
            None => Ok(()),
            Some(why) => {
                let serves = self.report.version.clone();
                Err(DeployError::OutcomeUnknown { serves, is_new: true, why })
            }
        });
        self.application.current_progress().running = None;
        let (name, how) = (&self.report.service, self.how.name());
        match &result {
            Ok(()) => {
                let (version, outcome) = (&self.report.version, self.report.outcome);
                tracing::info!(service = name.as_str(), version, ?outcome, how, "a deploy ended");
            }
            Err(error) if error.serves() => {
                let version = &self.report.version;
                tracing::error!(
                    service = name.as_str(),
                    version,
                    error = one_line(error),
                    how,
                    "a version serves, and its deploy failed in part"
                );
            }
            Err(error) => {
                let version = &self.report.version;
                tracing::warn!(
                    service = name.as_str(),
                    version,
                    error = one_line(error),
                    how,
                    "a deploy was refused"
                );
            }
        }
        result?;
        self.report.milliseconds = milliseconds(self.started.elapsed());
        Ok(self.report)
    }

    fn go(&mut self, bytes: &[u8]) -> Result<(), DeployError> {
        let application = Arc::clone(self.application);
        let (imports, version) = self.step("validate", |_| {
            if bytes.len() > COMPONENT_BYTES_MAX {
                return Err(DeployError::TooLarge);
            }
            let read = || Ok::<_, Vec<String>>((load::imports(bytes, &"the component")?, Version::of(bytes)));
            Ok((application.cache.gently(read)?, format!("{} KiB", bytes.len().div_ceil(1024))))
        })?;
        Point::Validated.reach();
        self.report.version = version.to_string();
        self.report.sha256 = version.sha256().to_owned();
        let before = self.consumer.release();
        let is_active = *before.component.version() == version;
        if is_active && !self.options.force && *before.spec == self.entry.spec {
            return Ok(());
        }

        let (engine, cache) = (&application.engine, &application.cache);
        let compiled = self.step("compile", |_| {
            Ok((load::compile(engine, cache, bytes, &"the component")?, String::new()))
        })?;
        Point::Compiled.reach();
        let (entry, name) = (self.entry.clone(), self.report.service.clone());
        let component = self.step("try", |_| {
            let component = application.try_component(&compiled, &imports, &entry)?;
            let clashes = application.clashes(std::iter::once((&name, component.as_ref())));
            let clashes: Vec<String> = clashes.into_iter().map(|(_, error)| error).collect();
            if clashes.is_empty() { Ok((component, String::new())) } else { Err(clashes.into()) }
        })?;
        Point::Tried.reach();

        // A rollback is deliberate. It is not the result of deploying the wrong file by mistake.
        let goes_back = self.how == How::Rollback;
        let leaving = if goes_back { before.component.migrations.as_slice() } else { &[] };
        let activation = self.activation(&version);
        let upgrade = Upgrade {
            migrations: &component.migrations,
            leaving,
            activation: Some(&activation),
            stop: Some(&application.stopping),
            ..Upgrade::default()
        };
        let (undo, apply) = self.version_database.plan(&upgrade).map_err(|error| self.refused(error))?;
        self.migrates = !(undo.is_empty() && apply.is_empty());
        self.is_new = !goes_back && !self.migrates && !is_active;
        let steps: Vec<_> =
            component.migrations.iter().filter(|step| apply.contains(&step.version)).collect();
        self.report.warnings = warnings::irreversible(&name, &self.report.before, &steps);
        let statements = match self.consumer.database() {
            Some(_) => cache.gently(|| bulkhead_build::statements(bytes)),
            None => Vec::new(),
        };
        let took = if self.migrates {
            self.rehearse(&upgrade, &statements)?
        } else {
            self.report.warnings.extend(warnings::unsuited(&self.version_database.unsuited(&statements)?));
            Duration::ZERO
        };
        if self.options.dry_run {
            self.report.outcome = DeployOutcome::Tried;
            return Ok(());
        }

        self.step("keep", |_| {
            application.versions.keep(&name, &version, bytes).map_err(DeployError::Host)?;
            Ok(((), String::new()))
        })?;
        Point::Kept.reach();
        self.switch(&component, &upgrade, took)?;
        self.report.outcome = DeployOutcome::Deployed;
        self.report.probation_seconds = if self.is_new { PROBATION.as_secs() } else { 0 };
        match self.version_database.activations(HISTORY) {
            Ok(activations) => application.versions.prune(&name, &activations),
            Err(error) => tracing::warn!(service = name.as_str(), %error, "old versions are not looked for"),
        }
        Ok(())
    }

    /// Tries the migrations on a copy, and returns how long they took. Refuses them if requests would wait too long.
    fn rehearse(&mut self, upgrade: &Upgrade<'_>, statements: &[String]) -> Result<Duration, DeployError> {
        let application = Arc::clone(self.application);
        let (name, version_database) = (self.report.service.clone(), Arc::clone(&self.version_database));
        let limit = if self.options.allow_pause { PAUSE_MAX } else { REHEARSAL_MAX };
        let storage = self.entry.spec.limits.storage;
        let queues = self.consumer.queues().clone();
        let connections = application.connections();
        let (submitted, accepted, began) = (queues.submitted(), connections.accepted(), Instant::now());
        let rehearsal = self.step("rehearse", |_| {
            let folder =
                application.versions.make(&name).map_err(|error| DeployError::Host(error.to_string()))?;
            has_room_for_copy(&*version_database, &folder)?;
            let until = Instant::now() + limit;
            let rehearsal = rehearse(&*version_database, (upgrade, statements), (&folder, storage), until)
                .map_err(refused)?;
            let detail = match rehearsal.migrations.as_slice() {
                [only] => format!("V{:04} in {:.1} ms", only.version, milliseconds(rehearsal.took)),
                all => format!("{} migrations in {:.1} ms", all.len(), milliseconds(rehearsal.took)),
            };
            Ok((rehearsal, detail))
        })?;
        Point::Rehearsed.reach();
        self.report.migrations = rehearsal.migrations;
        self.report.tables = rehearsal.tables;
        self.report.warnings.extend(rehearsal.warnings);
        let took = rehearsal.took;
        if !self.options.allow_pause {
            let allowed = self.allowed();
            if took > allowed {
                return Err(DeployError::Pause { took, allowed });
            }
            // Estimate: requests keep coming at the rate seen during the rehearsal. A connection sends no second request before its first
            // is answered.
            let share = took.as_secs_f64() / began.elapsed().as_secs_f64().max(1e-3);
            let requests = (queues.submitted() - submitted) as f64 * share;
            let clients = connections.open() as f64 + (connections.accepted() - accepted) as f64 * share;
            let expected = requests.min(clients).ceil() as u64;
            let room = self.room().saturating_sub(queues.waiting());
            if expected > room as u64 {
                return Err(DeployError::Room { expected, room });
            }
        }
        Ok(took)
    }

    fn allowed(&self) -> Duration {
        self.application.pause_allowed(&self.report.service, self.entry.spec.limits.request_timeout)
    }

    /// How many requests may be in a queue when the schema change begins: half of the queue's room. The other half is left for the requests
    /// that come during the change.
    fn room(&self) -> usize {
        let before = self.consumer.queues().admission_limits().queue;
        before.min(self.entry.spec.limits.queue) / 2
    }

    /// The row that activates a version.
    fn activation(&self, version: &Version) -> Activation {
        let source = read_source(&self.report.service, &self.entry);
        Activation {
            sha256: version.sha256().to_owned(),
            source: source.map(|bytes| Version::of(&bytes).sha256().to_owned()).unwrap_or_default(),
            how: self.how,
            author: self.options.author.clone(),
            note: self.options.note.clone(),
            at: rfc3339(SystemClock.now()),
        }
    }

    /// Runs one step, and reports it.
    fn step<R>(
        &mut self,
        step: &'static str,
        work: impl FnOnce(&mut Self) -> Result<(R, String), DeployError>,
    ) -> Result<R, DeployError> {
        let stopwatch = Stopwatch::start(step);
        self.application.current_progress().running = Some(step);
        let (result, detail) = work(self)?;
        let report = stopwatch.stop(detail);
        let mut progress = self.application.current_progress();
        progress.steps.push(report.clone());
        self.report.steps.push(report);
        Ok(result)
    }

    /// The reason to refuse the migrations.
    fn refused(&self, error: StoreError) -> DeployError {
        match &error {
            StoreError::Migration { source, .. } if matches!(**source, MigrationError::Newer { .. }) => {
                let name = &self.report.service;
                DeployError::Refused(vec![format!(
                    "{source}; to go back to a version from before: `bulkhead rollback {name} --to VERSION`"
                )])
            }
            _ => refused(error),
        }
    }
}

/// Refuses if a copy of the database would leave less disk space than the services may need meanwhile.
fn has_room_for_copy(database: &dyn Database, folder: &Path) -> Result<(), DeployError> {
    let failed =
        |error: &dyn std::fmt::Display| DeployError::Host(format!("look for room on the disk: {error}"));
    let size = std::fs::metadata(database.path()).map_err(|error| failed(&error))?.len();
    let disk = rustix::fs::statvfs(folder).map_err(|error| failed(&error))?;
    let (free, wanted) = (disk.f_bavail.saturating_mul(disk.f_frsize), size.saturating_mul(2) + DISK_SPARE);
    if free >= wanted {
        return Ok(());
    }
    Err(DeployError::Refused(vec![format!(
        "the rehearsal of the migrations wants a copy of the database: {} MiB of room on the disk of {}, which has {} MiB; make room",
        wanted >> 20,
        folder.display(),
        free >> 20
    )]))
}

/// An error in a migration is for its author to fix.
fn refused(error: StoreError) -> DeployError {
    match error {
        StoreError::Migration { source, .. }
            if !matches!(
                *source,
                MigrationError::Host(_) | MigrationError::Commit(_) | MigrationError::OutcomeUnknown { .. }
            ) =>
        {
            DeployError::Refused(vec![source.to_string()])
        }
        error if error.is_too_long() => {
            DeployError::Refused(vec![format!("the rehearsal took longer than it may: {error}")])
        }
        error => error.into(),
    }
}
