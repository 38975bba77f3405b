//! Compares replicas with their owners' data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_runtime::{Consumer, Subscription};
use bulkhead_store::{Inspector, ReplicaColumn, ReplicaSpec, Value};
use bulkhead_types::Sequence;

use super::{Finding, Report};
use crate::application::Application;

/// How long a subscription worker may take to reach the position at which the owner was read.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval between two checks of its position.
const LOOK: Duration = Duration::from_millis(2);

/// Rows by key.
type Rows = BTreeMap<String, Vec<Value>>;

/// Compares the replicas that a subscription maintains.
pub(super) fn check(
    application: &Application,
    subscription: &Arc<Subscription>,
    repair: bool,
    report: &mut Report,
) {
    if subscription.spec.replicas.is_empty() {
        return;
    }
    let consumer = &subscription.spec.consumer;
    let Some(service_entry) = application.service_entries().get(consumer) else { return };
    for replica in &subscription.spec.replicas {
        let place = format!("replica {}", replica.name);
        let compared = {
            let _held = Held(subscription);
            compare(application, subscription, &service_entry.consumer, replica, repair, report)
        };
        if let Err(error) = compared {
            report.failed(consumer, place, &error);
        }
    }
}

/// Releases the subscription worker when it is dropped, however the comparison ended.
struct Held<'s>(&'s Subscription);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn compare(
    application: &Application,
    subscription: &Subscription,
    consumer: &Consumer,
    replica: &ReplicaSpec,
    repair: bool,
    report: &mut Report,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let manifest = application.manifest();
    let owner = manifest.services.get(&replica.owner);
    let Some(entity) = owner.and_then(|owner| owner.entities.get(&replica.name)) else {
        return Err(format!(
            "the manifest does not say what {} holds to be true: add [service.{}.entity.{}] with its select",
            replica.owner, replica.owner, replica.name
        ));
    };
    let (Some(owner), Some(copy)) = (application.database(&replica.owner), consumer.database()) else {
        return Err("there is no database".to_owned());
    };
    // From here on the subscription worker is held. Later it continues up to the position at which the owner was read.
    subscription.hold_at(subscription.applied());
    let snapshot = owner.inspector().map_err(|error| text(&error))?;
    let head = snapshot.head().map_err(|error| text(&error))?;
    let truth = rows(&*snapshot, &entity.select, replica)?;
    drop(snapshot);
    subscription.hold_at(head);
    let started = std::time::Instant::now();
    while subscription.applied() < head {
        if let Some(why) = subscription.stopped() {
            return Err(why);
        }
        if started.elapsed() > PATIENCE {
            return Err(format!(
                "the subscription worker did not come to event {head} within {} s",
                PATIENCE.as_secs()
            ));
        }
        std::thread::sleep(LOOK);
    }
    let columns: Vec<String> = replica.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let select = format!("SELECT {} FROM \"{}\"", columns.join(", "), replica.name);
    let there = rows(&*copy.database.inspector().map_err(|error| text(&error))?, &select, replica)?;
    report.replica_rows += truth.len().max(there.len()) as u64;
    // The subjects about which the owner has published again since then. With such an event the owner may have erased the data of earlier
    // events, and then the subscription worker skipped events that it should have consumed. The new event corrects the row. Until then
    // there is nothing to compare.
    let now = owner.inspector().map_err(|error| text(&error))?;
    let announced = now.subjects_behind(head, replica.kinds()).map_err(|error| text(&error))?;

    let before = report.findings.len();
    for (key, row) in truth.iter().filter(|(key, _)| !announced.contains(key.as_str())) {
        match there.get(key) {
            Some(copy) if copy == row => continue,
            copy => {
                let detail = copy.map_or_else(
                    || "it is missing, and its owner has it".to_owned(),
                    |copy| difference(replica, row, copy),
                );
                found(consumer, replica, key, detail, Some(row), repair, report);
            }
        }
    }
    for key in there.keys().filter(|key| !truth.contains_key(*key) && !announced.contains(key.as_str())) {
        found(consumer, replica, key, "its owner has no such row".to_owned(), None, repair, report);
    }
    let is_complete = report.findings.iter().skip(before).all(|finding| finding.repaired);
    if repair && is_complete {
        settle(subscription, consumer, replica, head)?;
    }
    Ok(())
}

/// Removes the dead letters of a replica that matches its owner: only of event types that neither the service's handler nor another replica
/// gets.
fn settle(
    subscription: &Subscription,
    consumer: &Consumer,
    replica: &ReplicaSpec,
    head: Sequence,
) -> Result<(), String> {
    let is_its_own = |kind: &&str| {
        let takers = subscription.spec.replicas.iter().filter(|other| other.takes(kind)).count();
        takers == 1 && !subscription.spec.types.contains(*kind)
    };
    let kinds: Vec<&str> = replica.kinds().into_iter().filter(is_its_own).collect();
    if consumer
        .drop_dead_up_to(&subscription.spec.producer, &kinds, head)
        .map_err(|error| error.to_string())?
    {
        tracing::info!(
            service = consumer.name().as_str(),
            replica = replica.name,
            "dead letters of a replica that is whole again are gone"
        );
    }
    Ok(())
}

/// Reads rows by key, with the columns of a replica in its order.
fn rows(inspector: &dyn Inspector, select: &str, replica: &ReplicaSpec) -> Result<Rows, String> {
    let mut found = Vec::new();
    let columns = inspector.select(select, &mut |row| found.push(row)).map_err(|error| error.to_string())?;
    let places: Vec<usize> = replica
        .columns
        .iter()
        .map(|ReplicaColumn { name, .. }| {
            columns.iter().position(|column| column == name).ok_or_else(|| {
                format!("the entity's select gives no column {name}: add it, or name one so with AS")
            })
        })
        .collect::<Result<_, _>>()?;
    let key = replica.columns.iter().position(|column| column.name == replica.key).unwrap_or_default();
    let mut rows = Rows::new();
    for row in found {
        let row: Vec<Value> =
            places.iter().map(|place| row.get(*place).cloned().unwrap_or(Value::Null)).collect();
        if let Some(Value::Text(key)) = row.get(key).cloned() {
            rows.insert(key, row);
        }
    }
    Ok(rows)
}

/// The columns that differ.
fn difference(replica: &ReplicaSpec, truth: &[Value], copy: &[Value]) -> String {
    let differs =
        replica.columns.iter().zip(truth.iter().zip(copy)).filter(|(_, (truth, copy))| truth != copy);
    let columns: Vec<String> = differs
        .map(|(ReplicaColumn { name, .. }, (truth, copy))| {
            format!("{name} is {}, and the owner has {}", shown(copy), shown(truth))
        })
        .collect();
    columns.join("; ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Value::Blob(blob) => format!("{} bytes", blob.len()),
    }
}

fn found(
    consumer: &Consumer,
    replica: &ReplicaSpec,
    key: &str,
    mut detail: String,
    truth: Option<&[Value]>,
    repair: bool,
    report: &mut Report,
) {
    let mut repaired = false;
    if repair {
        match consumer.repair(replica, key, truth) {
            Ok(done) => repaired = done,
            Err(error) => detail.push_str(&format!("; it could not be repaired: {error}")),
        }
    }
    report.findings.push(Finding {
        kind: "replica",
        service: consumer.name().to_owned(),
        place: format!("replica {}", replica.name),
        key: key.to_owned(),
        detail,
        repaired,
    });
}
