//! A new version that fails in its first seconds goes back by itself.
//!
//! The component of before is kept meanwhile, compiled and with its section of the manifest: nothing stands in its way, neither what the
//! manifest's file has become nor another deploy that compiles. A reload that changes the section ends the probation, for the way back would
//! undo it.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bulkhead_runtime::{Component, Probation, Release, ServiceSpec, Version, supervise};
use bulkhead_store::{Activation, How, Upgrade};
use bulkhead_types::limits::PROBATION;
use bulkhead_types::{Clock as _, SystemClock, rfc3339};

use super::Application;
use super::deploy::LEASE_WAIT;
use crate::manifest::ServiceEntry;

/// Who goes back.
const AUTHOR: &str = "the host";

/// What there was before a version that is on probation.
struct Before {
    application: Weak<Application>,
    name: String,
    failing: Version,
    component: Arc<Component>,
    spec: Arc<ServiceSpec>,
    entry: Option<ServiceEntry>,
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
        failing: component.version.clone(),
        component: Arc::clone(&before.component),
        spec: Arc::clone(&before.spec),
        entry: application.manifest().services.get(name).cloned(),
    };
    let failed = move |why: String| {
        let (name, version) = (before.name.clone(), before.failing.clone());
        tracing::error!(service = name, %version, why, "a version fails its probation");
        // A worker tells of it, which is not to wait for the writer lease.
        let thread = format!("{name}-return");
        let spawned = supervise::spawn_once(thread, move || match before.go_back(&why) {
            Ok(true) => tracing::error!(
                service = name, failed = %version, serves = %before.component.version, why,
                "the version failed its probation, and the one before it serves again"
            ),
            Ok(false) => {}
            Err(error) => tracing::error!(
                service = name, %version, error,
                "the version fails, and the one before it can't take its place"
            ),
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to go back on");
        }
    };
    Arc::new(Probation::new(PROBATION, Box::new(failed)))
}

impl Before {
    /// Has the release of before serve again; false where the version that fails does not serve any more.
    fn go_back(&self, why: &str) -> Result<bool, String> {
        let (Some(application), Some(entry)) = (self.application.upgrade(), &self.entry) else {
            return Ok(false);
        };
        let consumer = application.consumers().get(&self.name).ok_or("there is no such service")?;
        let _switching = application.switching();
        let ledger = application.ledger(&self.name).ok_or("no database says which version is active")?;
        let failing = consumer.release();
        if failing.component.version != self.failing || failing.probation.is_none() {
            return Ok(false);
        }
        let source = ledger.active().map_err(|error| error.to_string())?.map(|active| active.source);
        let activation = Activation {
            sha256: self.component.version.sha256().to_owned(),
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
        let upgrader = ledger.upgrader().map_err(|error| error.to_string())?;
        let record = || upgrader.upgrade(&upgrade, &activation.at).map_err(|error| error.to_string());
        // A version on probation changed no schema.
        let change = application.begin_to_change_edges(application.manifest_with(&self.name, entry.clone()));
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
            application.take(vec![(consumer.clone(), release)], &change, None);
        }
        let lanes = application.end_to_change_edges(&change);
        recorded?;
        lanes.map_err(|error| format!("it serves, and lanes do not: {error}"))?;
        Ok(true)
    }
}
