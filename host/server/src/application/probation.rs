//! A new version that fails in its first seconds goes back by itself.
//!
//! The component of before is kept meanwhile, compiled and with its section of the manifest: nothing stands in its way, neither what the
//! manifest's file has become nor another deploy that compiles; for the switch of another it waits. A reload that changes the section ends
//! the probation, for the way back would undo it.

use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bulkhead_runtime::{Component, Probation, Release, ServiceSpec, Version, supervise};
use bulkhead_store::{Activation, How, Seen, Upgrade};
use bulkhead_types::limits::PROBATION;
use bulkhead_types::{Clock as _, SystemClock, rfc3339};
use serde::Serialize;

use super::Application;
use super::deploy::LEASE_WAIT;
use bulkhead_manifest::ServiceSection;

/// A version that is, or was, on probation.
pub(super) struct Watched {
    version: Version,
    probation: Arc<Probation>,
    /// Why it failed, and what came of that, once it is known.
    fate: Arc<OnceLock<(String, Fate)>>,
}

/// What came of a failed probation.
enum Fate {
    /// The version before serves again.
    Returned,
    /// It can't take its place, for this reason.
    Stuck(String),
    /// The version did not serve any more.
    Replaced,
    /// It serves on, with other settings: the way back would undo them.
    Ended,
}

/// How a probation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbationState {
    /// No version was on probation since the host started.
    None,
    /// Its time is not over, or the version before is about to take its place.
    Running,
    /// The version stays.
    Passed,
    /// The version before serves again.
    Failed,
    /// It failed, and the version before could not take its place.
    Stuck,
    /// Somebody put another version in its place.
    Replaced,
    /// The version serves on, and its settings were changed before its time was over: nobody watches it any more.
    Ended,
}

/// How the probation of a service's version stands, or how it ended.
#[derive(Debug, Clone, Serialize)]
pub struct ProbationReport {
    /// The service.
    pub service: String,
    /// The version that is or was on probation; empty where there was none.
    pub version: String,
    /// How it stands.
    pub state: ProbationState,
    /// Its time that is left.
    pub seconds_left: f64,
    /// How many handlers ended in its time.
    pub handlers: u32,
    /// How many of them failed.
    pub failed: u32,
    /// Why it failed; empty where it did not.
    pub reason: String,
    /// The version that serves now.
    pub serves: String,
}

impl Application {
    /// How the last probation of a service's version stands; none where there is no such service.
    #[must_use]
    pub fn probation(&self, service: &str) -> Option<ProbationReport> {
        let serves = self.consumers().get(service)?.release().component.version().clone();
        let mut report = ProbationReport {
            service: service.to_owned(),
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
        // Before the fate is looked at: one that was failed by then is not taken for one that passed.
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

    /// Notes that a service's release takes the place of one with the same version, and does not go on with its probation.
    pub(super) fn note_end_of_probation(&self, service: &str, before: &Release, now: &Release) {
        let Some(probation) = &before.probation else { return };
        let goes_on = now.probation.as_ref().is_some_and(|other| Arc::ptr_eq(other, probation));
        if goes_on || before.component.version() != now.component.version() {
            return;
        }
        let probations = self.probations.lock().unwrap_or_else(PoisonError::into_inner);
        // One whose time is over has passed.
        if let Some(watched) = probations.get(service)
            && Arc::ptr_eq(&watched.probation, probation)
            && !probation.standing().0.is_zero()
        {
            let _ = watched.fate.set((String::new(), Fate::Ended));
        }
    }
}

/// Who goes back.
const AUTHOR: &str = "the host";

/// Whoever waits to learn what came of a failed probation is told, also where the host panics at it.
struct OrStuck(Arc<OnceLock<(String, Fate)>>);

impl Drop for OrStuck {
    fn drop(&mut self) {
        // Nothing where it is known.
        let why = "the host panicked at it; the log says more".to_owned();
        let _ = self.0.set((String::new(), Fate::Stuck(why)));
    }
}

/// What there was before a version that is on probation.
struct Before {
    application: Weak<Application>,
    name: String,
    failing: Version,
    component: Arc<Component>,
    spec: Arc<ServiceSpec>,
    entry: Option<ServiceSection>,
}

/// The probation of a version that begins to serve now, in the place of a release.
pub(super) fn of(
    application: &Arc<Application>,
    name: &str,
    component: &Component,
    before: &Release,
) -> Arc<Probation> {
    let before = Before {
        application: Arc::downgrade(application),
        name: name.to_owned(),
        failing: component.version().clone(),
        component: Arc::clone(&before.component),
        spec: Arc::clone(&before.spec),
        entry: application.manifest().services.get(name).cloned(),
    };
    let fate = Arc::new(OnceLock::new());
    let (ended, unspawned, version) = (Arc::clone(&fate), Arc::clone(&fate), component.version().clone());
    let failed = move |why: String| {
        let (name, version) = (before.name.clone(), before.failing.clone());
        tracing::error!(service = name, %version, why, "a version fails its probation");
        // A worker tells of it, which is not to wait for the writer lease.
        let thread = format!("{name}-return");
        let spawned = supervise::spawn_once(thread, move || {
            let _or_stuck = OrStuck(Arc::clone(&ended));
            match before.go_back(&why) {
                Ok(true) => {
                    tracing::error!(
                        service = name, failed = %version, serves = %before.component.version(), why,
                        "the version failed its probation, and the one before it serves again"
                    );
                    let _ = ended.set((why, Fate::Returned));
                }
                Ok(false) => drop(ended.set((why, Fate::Replaced))),
                Err(error) => {
                    tracing::error!(
                        service = name, %version, error,
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
    application.probations.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), watched);
    probation
}

impl Before {
    /// Has the release of before serve again; false where the version that fails does not serve any more.
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
                tracing::error!(service = self.name, %error, "the way back may be lost after a crash");
                Ok(())
            }
            recorded => recorded.map(drop).map_err(|error| error.to_string()),
        };
        // A version on probation changed no schema.
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
        // Where it can't be done the version of before serves all the same; the log and `/readyz` tell of the subscription workers.
        let _ = change.end();
        recorded?;
        Ok(true)
    }
}
