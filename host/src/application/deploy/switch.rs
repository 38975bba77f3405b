//! The switch from one version to another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_runtime::{Component, Held, Release, ServiceDatabase};
use bulkhead_store::{StatementError, Upgrade};
use bulkhead_types::limits::{ANSWER_GRACE, PAUSE_MAX};
use bulkhead_types::{Clock as _, SystemClock, rfc3339};

use super::crash::Point;
use super::report::milliseconds;
use super::{Deploy, DeployError, refused};
use crate::application::probation;
use crate::application::reload::EdgeChange;

/// How long a deploy without migrations waits for the writer lease: others have it for a batch at a time.
const LEASE_WAIT: Duration = Duration::from_secs(5);

impl Deploy<'_> {
    /// Makes the version the active one, durably, and then has it serve. `took` is what its migrations took in the rehearsal.
    pub(super) fn switch(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        migrates: bool,
        took: Duration,
        is_new: bool,
    ) -> Result<(), DeployError> {
        let written = || Point::Written.reach();
        let upgrade = Upgrade { before_commit: Some(&written), ..*upgrade };
        let application = Arc::clone(self.application);
        let pause = self.step("switch", |this| {
            let change = application.begin_to_change_edges(&this.manifest);
            let pause = if migrates {
                this.with_pause(component, &upgrade, took, &change).map(Some)
            } else {
                this.without_pause(component, &upgrade, is_new, &change).map(|()| None)
            };
            let lanes = application.end_to_change_edges(&change);
            let pause = pause?;
            lanes.map_err(|error| {
                DeployError::Host(format!("the version serves, and lanes to it do not: {error}"))
            })?;
            Ok((pause, String::new()))
        })?;
        self.report.pause_milliseconds = pause.map(milliseconds);
        Point::Switched.reach();
        Ok(())
    }

    /// How long to wait for handlers to end, and how long the pause may be in all.
    fn wait_limits(&self, took: Duration) -> (Duration, Duration) {
        if self.options.allow_pause {
            // A handler has its request's time, and a COMMIT that has begun is awaited.
            let longest = self.consumer.release().spec.limits.request_timeout + ANSWER_GRACE;
            (longest, longest + PAUSE_MAX)
        } else {
            let allowed = self.allowed();
            (allowed.saturating_sub(took), allowed)
        }
    }

    /// One pointer is replaced: handlers that run end on the version that they began with.
    fn without_pause(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        is_new: bool,
        change: &EdgeChange,
    ) -> Result<(), DeployError> {
        let database = self.consumer.database();
        if database.is_some() {
            // Under the lease, so that the writer of the row competes with nobody.
            let recorded = self.consumer.exclusively(Instant::now() + LEASE_WAIT, || self.record(upgrade));
            recorded.map_err(|_| DeployError::Drain(LEASE_WAIT))??;
        } else {
            self.record(upgrade)?;
        }
        Point::Committed.reach();
        self.serve(component, database, is_new, change, None);
        Ok(())
    }

    /// Nobody runs a handler while the schema changes, and nobody has a batch open.
    fn with_pause(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        took: Duration,
        change: &EdgeChange,
    ) -> Result<Duration, DeployError> {
        let (drain, longest) = self.wait_limits(took);
        let began = Instant::now();
        let until = began + longest;
        let held = self.consumer.hold(began + drain).ok_or(DeployError::Drain(drain))?;
        Point::Held.reach();
        let upgrade = Upgrade { until: Some(until), ..*upgrade };
        let recorded = self.consumer.exclusively(until, || self.record(&upgrade));
        recorded.map_err(|error| match error {
            StatementError::Busy => DeployError::Drain(longest),
            error => DeployError::Host(error.to_string()),
        })??;
        Point::Committed.reach();
        // The old writer, and all readers, know the schema of before.
        let database = self.consumer.database().map(|database| Arc::new(database.reopened()));
        let pause = began.elapsed();
        self.serve(component, database, false, change, Some(held));
        Ok(pause)
    }

    /// Writes the version, and the schema with it, in one transaction.
    fn record(&self, upgrade: &Upgrade<'_>) -> Result<(), DeployError> {
        let recorded = self.ledger.upgrade(upgrade, &rfc3339(SystemClock.now()));
        let Err(error) = recorded else { return Ok(()) };
        // A COMMIT that failed is ambiguous: the row tells.
        match self.ledger.active() {
            Ok(Some(active)) if Some(&active) == upgrade.activation => {
                tracing::warn!(service = self.report.service, %error, "a version's commit failed, and is durable");
                Ok(())
            }
            _ => Err(refused(error)),
        }
    }

    /// From the next handler on it is this version that serves.
    fn serve(
        &self,
        component: &Arc<Component>,
        database: Option<Arc<ServiceDatabase>>,
        is_new: bool,
        change: &EdgeChange,
        held: Option<Held>,
    ) {
        let probation = is_new.then(|| probation::of(self.application, &self.report.service, component));
        let release = Release {
            component: Arc::clone(component),
            spec: Arc::new(self.entry.spec.clone()),
            database,
            probation,
        };
        let releases = vec![(self.consumer.clone(), release)];
        self.application.take(self.manifest.clone(), releases, change, held);
    }
}
