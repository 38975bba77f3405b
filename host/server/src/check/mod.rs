//! The consistency check. Are replicas right, do references point to existing entities, and are the event logs unchanged since publication?
//!
//! - A *replica* is compared with its owner's entity at a common position. The check reads the owner in one snapshot, which has a position
//!   in the owner's event log. It holds the subscription worker at exactly that position while it reads the replica.
//! - A *reference* (a column `NAME_id_ref`) must point to an entity NAME of its owner, or to one that its owner reported as gone. The check
//!   reads the column first: every entity that the column referred to then, the owner had before.
//! - An *event* must have the digest that it was published with, and no sequence may be missing.
//! - A *subscription* must not be stopped.

mod references;
mod replicas;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bulkhead_types::ServiceName;
use serde::Serialize;

use crate::application::{Application, Maintenance};

/// An inconsistency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `replica`, `reference`, `event`, `subscription` or `failed`.
    pub kind: &'static str,
    /// The service whose database contains it.
    pub service: ServiceName,
    /// Where: a table, a column, or the event log.
    pub place: String,
    /// The key of the row, the value, or the event's id.
    pub key: String,
    /// What is wrong.
    pub detail: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

/// What a check found, and how much it checked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// All findings.
    pub findings: Vec<Finding>,
    /// Rows of replicas that were compared.
    pub replica_rows: u64,
    /// Distinct values of reference columns.
    pub references: u64,
    /// Events that were checked.
    pub events: u64,
}

impl Report {
    fn add(&mut self, kind: &'static str, service: &ServiceName, place: String, key: String, detail: String) {
        self.findings.push(Finding { kind, service: service.clone(), place, key, detail, repaired: false });
    }

    /// A part that could not be checked.
    fn failed(&mut self, service: &ServiceName, place: String, error: &dyn std::fmt::Display) {
        self.add("failed", service, place, String::new(), format!("it could not be checked: {error}"));
    }
}

/// The number of findings of the last check, by kind, for the metrics.
#[derive(Default)]
pub struct LastCheck(Mutex<Option<BTreeMap<&'static str, u64>>>);

impl LastCheck {
    pub(crate) fn note(&self, report: &Report) {
        let mut counts = BTreeMap::from([
            ("replica", 0),
            ("reference", 0),
            ("event", 0),
            ("subscription", 0),
            ("failed", 0),
        ]);
        for finding in report.findings.iter().filter(|finding| !finding.repaired) {
            *counts.entry(finding.kind).or_insert(0) += 1;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(counts);
    }

    pub(crate) fn counts(&self) -> Option<BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Checks the whole application. With `repair`, rows of replicas that differ are replaced by the owner's rows. Only a subscription worker
/// whose replica is being compared stops meanwhile, so only one check runs at a time.
#[must_use]
pub fn run(application: &Application, _only: &Maintenance<'_>, repair: bool) -> Report {
    let mut report = Report::default();
    for subscription in application.subscriptions().iter() {
        if let Some(why) = subscription.stopped() {
            let place = format!("subscription to {}", subscription.spec.producer);
            report.add(
                "subscription",
                &subscription.spec.consumer,
                place,
                subscription.spec.producer.to_string(),
                why,
            );
            continue;
        }
        replicas::check(application, subscription, repair, &mut report);
    }
    references::check(application, &mut report);
    events(application, &mut report);
    report
}

fn events(application: &Application, report: &mut Report) {
    for name in application.service_entries().keys() {
        let Some(log) = application.logs().open(name).transpose() else { continue };
        let damages = log.map_err(|error| error.to_string()).and_then(|log| {
            Ok((
                log.head().map_err(|error| error.to_string())?,
                log.damages().map_err(|error| error.to_string())?,
            ))
        });
        match damages {
            Ok((head, damages)) => {
                report.events += head.get().unsigned_abs();
                for damage in damages {
                    let detail = format!("event {} {}", damage.sequence, damage.what);
                    report.add("event", name, "event log".to_owned(), damage.id, detail);
                }
            }
            Err(error) => report.failed(name, "event log".to_owned(), &error),
        }
    }
}
