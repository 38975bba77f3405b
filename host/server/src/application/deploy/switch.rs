//! Switches from one version to another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_runtime::{Component, Held, NotHeld, Release, ServiceDatabase};
use bulkhead_store::{Seen, Upgrade, Upgrader};
use bulkhead_types::limits::{ANSWER_GRACE, PAUSE_MAX};
use bulkhead_types::{Clock as _, SystemClock, rfc3339};

use super::crash::Point;
use super::report::milliseconds;
use super::{Deploy, DeployError, LEASE_WAIT, refused};
use crate::application::probation;
use crate::application::reload::SubscriptionChange;
use crate::telemetry;

impl Deploy<'_> {
    /// Activates the version, durably, and then lets it serve. `took` is the time of its migrations in the rehearsal.
    pub(super) fn switch(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        took: Duration,
    ) -> Result<(), DeployError> {
        let written = || Point::Written.reach();
        let upgrade = Upgrade { before_commit: Some(&written), ..*upgrade };
        let application = Arc::clone(self.application);
        let pause = self.step("switch", |this| {
            let _switching = application.switching();
            let manifest = application.manifest_with(&this.report.service, this.entry.clone());
            let change = application.begin_to_change_subscriptions(manifest);
            let before = this.consumer.release();
            // The migrations get the same storage limit as in the rehearsal.
            let storage = |bytes| {
                if let Some(database) = &before.database {
                    database.database.set_storage(bytes);
                }
            };
            let (old, new) = (before.spec.limits.storage, this.entry.spec.limits.storage);
            storage(old.max(new));
            let pause = if this.migrates {
                this.with_pause(component, &upgrade, took, &change).map(Some)
            } else {
                this.without_pause(component, &upgrade, &change).map(|()| None)
            };
            if pause.is_err() {
                storage(old);
            }
            let restarted = change.end();
            let pause = pause?;
            restarted.map_err(DeployError::DeliveryThreads)?;
            Ok((pause, String::new()))
        })?;
        self.report.pause_milliseconds = pause.map(milliseconds);
        Point::Switched.reach();
        Ok(())
    }

    /// How long to wait for handlers to end, and the maximum length of the whole pause.
    fn wait_limits(&self, took: Duration) -> (Duration, Duration) {
        if self.options.allow_pause {
            // A handler may use its request's timeout, and the host awaits a COMMIT that has begun.
            let longest = self.consumer.release().spec.limits.request_timeout + ANSWER_GRACE;
            (longest, longest + PAUSE_MAX)
        } else {
            let allowed = self.allowed();
            (allowed.saturating_sub(took), allowed)
        }
    }

    /// Replaces one pointer: running handlers end on the version that they began with.
    fn without_pause(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        change: &SubscriptionChange<'_>,
    ) -> Result<(), DeployError> {
        // Opened before any request waits.
        let upgrader = self.version_database.upgrader()?;
        let deadline = Instant::now() + LEASE_WAIT;
        let recorded = self.consumer.exclusively(deadline, || self.record(&*upgrader, upgrade));
        self.unsettled = recorded
            .map_err(|error| DeployError::Host(format!("write the version: {error}; try again")))??;
        Point::Committed.reach();
        self.serve(component, self.consumer.database(), change, Vec::new());
        Ok(())
    }

    /// Nobody runs a handler while the schema changes, and nobody has a batch open.
    fn with_pause(
        &mut self,
        component: &Arc<Component>,
        upgrade: &Upgrade<'_>,
        took: Duration,
        change: &SubscriptionChange<'_>,
    ) -> Result<Duration, DeployError> {
        let (drain, longest) = self.wait_limits(took);
        // Opened before any request waits.
        let upgrader = self.version_database.upgrader()?;
        let began = Instant::now();
        let until = began + longest;
        let room = if self.options.allow_pause { usize::MAX } else { self.room() };
        let held = self.consumer.hold(began + drain, room).map_err(|why| match why {
            NotHeld::Late => DeployError::Drain(drain),
            NotHeld::TooMany => DeployError::Crowded,
        })?;
        Point::Held.reach();
        let upgrade = Upgrade { until: Some(until), ..*upgrade };
        let recorded = self.consumer.exclusively(until, || self.record(&*upgrader, &upgrade));
        self.unsettled = recorded.map_err(|_| DeployError::Drain(longest))??;
        Point::Committed.reach();
        // The old writer and all old readers know only the old schema.
        let database = self.consumer.database().map(|database| Arc::new(database.reopened()));
        let pause = began.elapsed();
        self.serve(component, database, change, vec![held]);
        Ok(pause)
    }

    /// Writes the version and the schema in one transaction. If the database has them but may lose them, returns why the switch is not
    /// final. Then the version serves all the same, because the version that serves must match the schema that all connections see.
    fn record(&self, upgrader: &dyn Upgrader, upgrade: &Upgrade<'_>) -> Result<Option<String>, DeployError> {
        let Err(error) = upgrader.upgrade(upgrade, &rfc3339(SystemClock.now())) else { return Ok(None) };
        let Some(seen) = error.unknown_outcome() else { return Err(refused(error)) };
        let why = error.to_string();
        match seen {
            Seen::New => Ok(Some(why)),
            Seen::Unreadable if self.migrates => {
                // Neither version can serve: its code could meet the schema of the other version. A restart finds out which one is active.
                tracing::error!(service = self.report.service.as_str(), %error, "the host can't read which version is active, and ends: start it again");
                telemetry::flush();
                std::process::abort()
            }
            // The previous version still serves, with the schema that it knows.
            Seen::Before | Seen::Unreadable => {
                Err(DeployError::OutcomeUnknown { serves: self.report.before.clone(), is_new: false, why })
            }
        }
    }

    /// From the next handler on this version serves.
    fn serve(
        &self,
        component: &Arc<Component>,
        database: Option<Arc<ServiceDatabase>>,
        change: &SubscriptionChange<'_>,
        held: Vec<Held>,
    ) {
        let before = self.consumer.release();
        let probation = if self.is_new {
            Some(probation::of(self.application, &self.report.service, component, &before))
        } else {
            // Deploying the same version again keeps its running probation.
            let is_same =
                before.component.version() == component.version() && *before.spec == self.entry.spec;
            before.probation.clone().filter(|_| is_same)
        };
        let release = Release {
            component: Arc::clone(component),
            spec: Arc::new(self.entry.spec.clone()),
            database,
            probation,
        };
        self.application.take(vec![(self.consumer.clone(), release)], change, held);
    }
}
