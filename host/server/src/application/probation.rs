//! A new version that fails in its first seconds is rolled back automatically.
//!
//! Meanwhile the previous component stays in memory, compiled and with its section of the manifest. So nothing blocks the rollback: neither
//! a changed manifest file nor another deploy that compiles. It only waits for the switch of another deploy. A reload that changes the
//! section ends the probation, because the rollback would undo the reload.

use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bulkhead_manifest::ServiceSection;
use bulkhead_runtime::{Component, Probation, Release, ServiceSpec, Version, supervise};
use bulkhead_store::{Activation, How, Seen, Upgrade};
use bulkhead_types::limits::PROBATION;
use bulkhead_types::{Clock as _, ServiceName, SystemClock, rfc3339};
use serde::Serialize;

use super::Application;
use super::deploy::LEASE_WAIT;

/// A version that is, or was, on probation.
pub(super) struct Watched {
    version: Version,
    probation: Arc<Probation>,
    /// Why it failed and what happened then, once that is known.
    fate: Arc<OnceLock<(String, Fate)>>,
}

/// The result of a failed probation.
enum Fate {
    /// The previous version serves again.
    Returned,
    /// The previous version can't serve again, for this reason.
    Stuck(String),
    /// The version no longer served.
    Replaced,
    /// The version still serves, with other settings. A rollback would undo them.
    Ended,
}

/// The state of a probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbationState {
    /// No version was on probation since the host started.
    None,
    /// The probation time is not over, or the previous version is about to serve again.
    Running,
    /// The version stays.
    Passed,
    /// The previous version serves again.
    Failed,
    /// It failed, and the previous version could not serve again.
    Stuck,
    /// Another version replaced it.
    Replaced,
    /// The version still serves. Its settings changed before the probation time was over, so nobody watches it any more.
    Ended,
}

/// The state of the probation of a service's version, or its result.
#[derive(Debug, Clone, Serialize)]
pub struct ProbationReport {
    /// The service.
    pub service: ServiceName,
    /// The version that is or was on probation. Empty if there was none.
    pub version: String,
    /// The state.
    pub state: ProbationState,
    /// The remaining probation time.
    pub seconds_left: f64,
    /// How many handlers ended during the probation time.
    pub handlers: u32,
    /// How many of them failed.
    pub failed: u32,
    /// Why it failed. Empty if it did not fail.
    pub reason: String,
    /// The version that serves now.
    pub serves: String,
}

impl Application {
    /// The state of the last probation of a service. None if there is no such service.
    #[must_use]
    pub fn probation(&self, service: &str) -> Option<ProbationReport> {
        let serves = self.consumers().get(service)?.release().component.version().clone();
        let mut report = ProbationReport {
            service: service.into(),
            version: String::new(),
            state: ProbationState::None,
            seconds_left: 0.0,
            handlers: 0,
            failed: 0,
            reason: String::new(),
            serves: serves.to_string(),
        };
        let probations = self.probations.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Watched { version, probation, fate }) = probations.get(service) else { return Some(report) };
        // Read this before the fate. Otherwise a version that has failed by then could be reported as passed.
        let (left, handlers, failed) = probation.standing();
        report.version = version.to_string();
        (report.seconds_left, report.handlers, report.failed) = (left.as_secs_f64(), handlers, failed);
        report.state = match fate.get() {
            Some((why, fate)) => {
                report.reason.clone_from(why);
                match fate {
                    Fate::Returned => ProbationState::Failed,
                    Fate::Stuck(error) => {
                        report.reason =
                            format!("{why}; and the version before could not take its place: {error}");
                        ProbationState::Stuck
                    }
                    Fate::Replaced => ProbationState::Replaced,
                    Fate::Ended => {
                        report.seconds_left = 0.0;
                        ProbationState::Ended
                    }
                }
            }
            None if probation.is_failed() => ProbationState::Running,
            None if serves != *version => ProbationState::Replaced,
            None if left > Duration::ZERO => ProbationState::Running,
            None => ProbationState::Passed,
        };
        Some(report)
    }

    /// Notes that a service's new release has the same version as the old one, and does not continue its probation.
    pub(super) fn note_end_of_probation(&self, service: &str, before: &Release, now: &Release) {
        let Some(probation) = &before.probation else { return };
        let goes_on = now.probation.as_ref().is_some_and(|other| Arc::ptr_eq(other, probation));
        if goes_on || before.component.version() != now.component.version() {
            return;
        }
        let probations = self.probations.lock().unwrap_or_else(PoisonError::into_inner);
        // A version whose probation time is over has passed.
        if let Some(watched) = probations.get(service)
            && Arc::ptr_eq(&watched.probation, probation)
            && !probation.standing().0.is_zero()
        {
            let _ = watched.fate.set((String::new(), Fate::Ended));
        }
    }
}

/// The author of an automatic rollback.
const AUTHOR: &str = "the host";

/// Sets the fate of a failed probation even if the host panics, so that waiters always get a result.
struct OrStuck(Arc<OnceLock<(String, Fate)>>);

impl Drop for OrStuck {
    fn drop(&mut self) {
        // This has no effect if the fate is already known.
        let why = "the host panicked at it; the log says more".to_owned();
        let _ = self.0.set((String::new(), Fate::Stuck(why)));
    }
}

/// The state before the version that is on probation.
struct Before {
    application: Weak<Application>,
    name: ServiceName,
    failing: Version,
    component: Arc<Component>,
    spec: Arc<ServiceSpec>,
    entry: Option<ServiceSection>,
}

/// The probation of a version that starts to serve now and replaces the release `before`.
pub(super) fn of(
    application: &Arc<Application>,
    name: &str,
    component: &Component,
    before: &Release,
) -> Arc<Probation> {
    let before = Before {
        application: Arc::downgrade(application),
        name: name.into(),
        failing: component.version().clone(),
        component: Arc::clone(&before.component),
        spec: Arc::clone(&before.spec),
        entry: application.manifest().services.get(name).cloned(),
    };
    let fate = Arc::new(OnceLock::new());
    let (ended, unspawned, version) = (Arc::clone(&fate), Arc::clone(&fate), component.version().clone());
    let failed = move |why: String| {
        let (name, version) = (before.name.clone(), before.failing.clone());
        tracing::error!(service = name.as_str(), %version, why, "a version fails its probation");
        // A worker reports the failure, and it must not wait for the writer lease.
        let thread = format!("{name}-return");
        let spawned = supervise::spawn_once(thread, move || {
            let _or_stuck = OrStuck(Arc::clone(&ended));
            match before.go_back(&why) {
                Ok(true) => {
                    tracing::error!(
                        service = name.as_str(), failed = %version, serves = %before.component.version(), why,
                        "the version failed its probation, and the one before it serves again"
                    );
                    let _ = ended.set((why, Fate::Returned));
                }
                Ok(false) => drop(ended.set((why, Fate::Replaced))),
                Err(error) => {
                    tracing::error!(
                        service = name.as_str(), %version, error,
                        "the version fails, and the one before it can't take its place"
                    );
                    let _ = ended.set((why, Fate::Stuck(error)));
                }
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to go back on");
            let _ = unspawned.set((String::new(), Fate::Stuck(error.to_string())));
        }
    };
    let probation = Arc::new(Probation::new(PROBATION, Box::new(failed)));
    let watched = Watched { version, probation: Arc::clone(&probation), fate };
    application.probations.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), watched);
    probation
}

impl Before {
    /// Makes the previous release serve again. False if the failing version no longer serves.
    fn go_back(&self, why: &str) -> Result<bool, String> {
        let (Some(application), Some(entry)) = (self.application.upgrade(), &self.entry) else {
            return Ok(false);
        };
        let consumer = application.consumers().get(&self.name).ok_or("there is no such service")?;
        let _switching = application.switching();
        let version_database =
            application.version_database(&self.name).ok_or("no database says which version is active")?;
        let failing = consumer.release();
        if *failing.component.version() != self.failing || failing.probation.is_none() {
            return Ok(false);
        }
        let source =
            version_database.active().map_err(|error| error.to_string())?.map(|active| active.source);
        let activation = Activation {
            sha256: self.component.version().sha256().to_owned(),
            source: source.unwrap_or_default(),
            how: How::Return,
            author: AUTHOR.to_owned(),
            note: format!("{} failed its probation: {why}", self.failing),
            at: rfc3339(SystemClock.now()),
        };
        let upgrade = Upgrade {
            migrations: &self.component.migrations,
            activation: Some(&activation),
            ..Upgrade::default()
        };
        let upgrader = version_database.upgrader().map_err(|error| error.to_string())?;
        let record = || match upgrader.upgrade(&upgrade, &activation.at) {
            Err(error) if error.unknown_outcome() == Some(Seen::New) => {
                tracing::error!(service = self.name.as_str(), %error, "the way back may be lost after a crash");
                Ok(())
            }
            recorded => recorded.map(drop).map_err(|error| error.to_string()),
        };
        // A version on probation did not change the schema.
        let change =
            application.begin_to_change_subscriptions(application.manifest_with(&self.name, entry.clone()));
        let recorded = consumer
            .exclusively(Instant::now() + LEASE_WAIT, record)
            .map_err(|error| error.to_string())
            .and_then(|recorded| recorded);
        let release = Release {
            component: Arc::clone(&self.component),
            spec: Arc::clone(&self.spec),
            database: failing.database.clone(),
            probation: None,
        };
        if recorded.is_ok() {
            application.take(vec![(consumer.clone(), release)], &change, Vec::new());
        }
        // If this fails, the previous version serves all the same. A log line and `/readyz` report the subscription workers.
        let _ = change.end();
        recorded?;
        Ok(true)
    }
}
