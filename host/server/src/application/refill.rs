//! Fills replicas whose declaration has changed, while their service serves.
//!
//! The host first reads the new content, while requests and events go on. Then it stops the subscription workers of each service, closes
//! its gate, and holds its writer lease. In this state it adds what has happened since, and replaces the old content in one transaction.
//! Requests wait in their queues meanwhile, for half of their time at most. If the work is not done by then, the host gives it up, and
//! nothing has changed.
//!
//! Invariant: between the COMMIT and the release that knows the new replicas nobody runs a handler, and no subscription worker runs at all.
//! So neither a handler's statement nor an event meets a replica in a form that its release does not know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_runtime::{Consumer, Held, NotHeld, WritableDatabase};
use bulkhead_store::{Busy, Refill, ReplicaSpec};
use bulkhead_types::ServiceName;

use super::deploy::crash::Point;
use super::deploy::warnings;
use super::{Application, Fault, at, databases};
use crate::telemetry;

/// A service whose replica declarations have changed.
pub(super) struct ChangedReplicas {
    pub(super) consumer: Consumer,
    pub(super) database: Arc<WritableDatabase>,
    /// Its new section.
    pub(super) entry: ServiceSection,
    /// Statements of its component that fit the current schema. They must also run afterwards.
    pub(super) statements: Vec<String>,
}

/// The new content of the replicas.
pub(super) struct Refills<'c> {
    /// None if the replicas in the database match their declaration.
    services: Vec<(&'c ChangedReplicas, Option<Box<dyn Refill + 'c>>)>,
}

impl<'c> Refills<'c> {
    /// Reads the new content. Errors go to `wrong`.
    pub(super) fn read(
        manifest: &Manifest,
        owners: &BTreeMap<ServiceName, Arc<WritableDatabase>>,
        changed: &'c [ChangedReplicas],
        wrong: &mut Vec<String>,
    ) -> Self {
        let mut services = Vec::new();
        for one in changed {
            let ChangedReplicas { database, entry, .. } = one;
            let find = |replica: &ReplicaSpec| {
                databases::owner(manifest, replica, owners.get(&replica.owner), database.path())
            };
            let staged = database.stage_replicas(&entry.replicas, &entry.spec.grants.subscribes, &find);
            let checked = staged.and_then(|refill| {
                let mut refill = refill;
                // Reports what would be lost before any request has to wait.
                refill.as_mut().map_or(Ok(()), |refill| refill.check())?;
                Ok(refill)
            });
            match checked {
                Ok(refill) => services.push((one, refill)),
                Err(error) => wrong.extend(at(manifest, entry, vec![Fault::of_database(entry, &error)])),
            }
        }
        if !services.is_empty() {
            Point::Staged.reach();
        }
        // Callers come first. A service that waits for an answer must not be waited for while the gate of the service that it calls is
        // held.
        let sorted = callers_first(manifest);
        let place = |name: &ServiceName| sorted.iter().position(|other| **other == *name);
        services.sort_by_key(|(one, _)| place(one.consumer.name()));
        Self { services }
    }

    /// Whether this service is among them.
    pub(super) fn are_of(&self, service: &str) -> bool {
        self.services.iter().any(|(one, _)| one.consumer.name() == service)
    }

    /// Replaces the content of the replicas. Returns the guards that keep handlers of their services from running. The subscription workers
    /// must be stopped.
    pub(super) fn write(&mut self, application: &Application) -> Result<Vec<Held>, String> {
        if self.services.is_empty() {
            return Ok(Vec::new());
        }
        let limits = self.services.iter().map(|(one, _)| {
            let limits = &one.entry.spec.limits;
            application.pause_allowed(&one.entry.spec.name, limits.request_timeout)
        });
        let allowed = limits.min().unwrap_or_default();
        let until = Instant::now() + allowed;
        let mut held = Vec::new();
        for (one, _) in &self.services {
            let room = one.consumer.queues().admission_limits().queue.min(one.entry.spec.limits.queue) / 2;
            let service = &one.entry.spec.name;
            let gate = one.consumer.hold(until, room).map_err(|why| match why {
                NotHeld::Late => late(service, allowed),
                NotHeld::TooMany => format!(
                    "service.{service}: more requests came than could wait while its replicas change; try again with less load, or \
                     restart the host"
                ),
            })?;
            held.push(gate);
        }
        let consumers: Vec<&'c Consumer> = self.services.iter().map(|(one, _)| &one.consumer).collect();
        let services = &mut self.services;
        match alone(&consumers, until, &mut || put(services, until)) {
            Ok(done) => done.map_err(
                |(service, error)| {
                    if Instant::now() < until { error } else { late(&service, allowed) }
                },
            )?,
            Err(Busy) => {
                return Err(late(consumers.first().map_or("", |consumer| consumer.name().as_str()), allowed));
            }
        }
        Ok(held)
    }
}

/// The services, callers before the services that they call. Calls have no cycle.
fn callers_first(manifest: &Manifest) -> Vec<&ServiceName> {
    let mut sorted = manifest.sorted_by_dependency(&|entry| entry.spec.grants.calls.iter().collect());
    sorted.reverse();
    sorted
}

fn late(service: &str, allowed: Duration) -> String {
    format!(
        "service.{service}: requests would wait for longer than {} ms, half of their time, while its replicas change; try again with less load, \
         or restart the host",
        allowed.as_millis()
    )
}

/// Runs `work` under the writer leases of all these services.
fn alone<R>(services: &[&Consumer], until: Instant, work: &mut dyn FnMut() -> R) -> Result<R, Busy> {
    match services.split_first() {
        None => Ok(work()),
        Some((first, others)) => first.exclusively(until, || alone(others, until, work))?,
    }
}

/// Writes all replicas, and then commits all.
fn put(
    services: &mut [(&ChangedReplicas, Option<Box<dyn Refill + '_>>)],
    until: Instant,
) -> Result<(), (ServiceName, String)> {
    for (one, refill) in services.iter_mut() {
        let Some(refill) = refill else { continue };
        let service = &one.entry.spec.name;
        refill.write(Some(until)).map_err(|error| (service.clone(), error.to_string()))?;
        // The version that serves stays, so its statements must find the replicas that they name.
        let unsuited = warnings::unsuited(&refill.unsuited(&one.statements));
        if !unsuited.is_empty() {
            let why = format!(
                "service.{service}: with its replicas as the manifest declares them {}; deploy a version that does without that first",
                unsuited.join("; ")
            );
            return Err((service.clone(), why));
        }
    }
    Point::Filled.reach();
    let mut committed = 0;
    for (one, refill) in services.iter_mut() {
        let Some(refill) = refill.take() else { continue };
        let service = &one.entry.spec.name;
        match refill.commit() {
            Ok(filled) => databases::report_filled(service, &filled),
            // The commit was rolled back, or the rollback could not be made final (`Refill::commit`). What the database shows decides which
            // form handlers meet.
            Err(error) => match one.database.has_replicas(&one.entry.replicas) {
                Ok(true) => {
                    tracing::warn!(service = service.as_str(), %error, "a commit of replicas failed, and is durable")
                }
                Ok(false) if committed == 0 => return Err((service.clone(), error.to_string())),
                // Neither form can serve: handlers could meet replicas in a form that they do not know. A restart makes all replicas match
                // the manifest.
                Ok(false) | Err(_) => {
                    tracing::error!(service = service.as_str(), %error, "the host can't read which form the replicas have, and ends: start it again");
                    telemetry::flush();
                    std::process::abort()
                }
            },
        }
        committed += 1;
    }
    Point::FillCommitted.reach();
    Ok(())
}
