//! Which service consumes events of which, and which services depend on which.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::SubscriptionSpec;
use bulkhead_types::ServiceName;

use super::read::example_database;
use super::{Manifest, Mistake, ServiceSection};

impl Manifest {
    /// The service that publishes a type of event.
    #[must_use]
    pub fn publisher(&self, kind: &str) -> Option<&ServiceName> {
        let publishes =
            |(_, entry): &(&ServiceName, &ServiceSection)| entry.spec.grants.publishes.contains(kind);
        self.services.iter().find(publishes).map(|(name, _)| name)
    }

    /// The subscriptions: one for each pair of services of which one consumes events of the other, for a type in its `subscribes` or for a
    /// replica.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionSpec> {
        let mut subscriptions = BTreeMap::new();
        for (consumer, entry) in &self.services {
            for kind in &entry.spec.grants.subscribes {
                if let Some(producer) = self.publisher(kind) {
                    subscription(&mut subscriptions, producer, consumer).types.insert(kind.clone());
                }
            }
            for replica in &entry.replicas {
                subscription(&mut subscriptions, &replica.owner, consumer).replicas.push(replica.clone());
            }
        }
        subscriptions.into_values().collect()
    }

    /// The services, each after its `dependencies`. A cycle is broken at one of its services.
    pub fn sorted_by_dependency<'m>(
        &'m self,
        dependencies: &dyn Fn(&'m ServiceSection) -> Vec<&'m ServiceName>,
    ) -> Vec<&'m ServiceName> {
        fn visit<'m>(
            manifest: &'m Manifest,
            name: &'m ServiceName,
            dependencies: &dyn Fn(&'m ServiceSection) -> Vec<&'m ServiceName>,
            begun: &mut BTreeSet<&'m ServiceName>,
            sorted: &mut Vec<&'m ServiceName>,
        ) {
            if !begun.insert(name) {
                return;
            }
            for other in manifest.services.get(name).map(dependencies).unwrap_or_default() {
                visit(manifest, other, dependencies, begun, sorted);
            }
            sorted.push(name);
        }
        let (mut begun, mut sorted) = (BTreeSet::new(), Vec::new());
        for name in self.services.keys() {
            visit(self, name, dependencies, &mut begun, &mut sorted);
        }
        sorted
    }
}

fn subscription<'s>(
    subscriptions: &'s mut BTreeMap<(ServiceName, ServiceName), SubscriptionSpec>,
    producer: &ServiceName,
    consumer: &ServiceName,
) -> &'s mut SubscriptionSpec {
    subscriptions.entry((producer.clone(), consumer.clone())).or_insert_with(|| SubscriptionSpec {
        producer: producer.clone(),
        consumer: consumer.clone(),
        ..SubscriptionSpec::default()
    })
}

/// The errors in subscriptions, replicas and entities.
pub(super) fn check(manifest: &Manifest, mistakes: &mut Vec<Mistake>) {
    let mut add = |line, message| mistakes.push(Mistake { line, message });
    let mut entities: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in &manifest.services {
        let grants = &service.spec.grants;
        for kind in &grants.subscribes {
            match manifest.publisher(kind) {
                Some(publisher) if publisher == name => add(
                    service.lines.of_item("subscribes", kind),
                    format!(
                        "service.{name}.subscribes: {kind} is its own event; a service takes those of others: do in the unit of work that \
                         publishes it what it is to cause, or set a timer of another type"
                    ),
                ),
                Some(_) => {}
                None => add(
                    service.lines.of_item("subscribes", kind),
                    format!(
                        "service.{name}.subscribes: no service publishes {kind}; add it to the publishes of its owner, or, for a timer, \
                         begin its name with \"{name}.\""
                    ),
                ),
            }
        }
        let uses_events =
            !(grants.subscribes.is_empty() && grants.timers.is_empty() && service.replicas.is_empty());
        if uses_events && service.database.is_none() {
            let message = format!(
                "service.{name}: a service that consumes events keeps its position in its database; add {}",
                example_database(name)
            );
            add(service.line, message);
        }
        for replica in &service.replicas {
            let owner = &replica.owner;
            let (entry, lines) = (format!("replica.{}", replica.name), &service.lines);
            let place = format!("service.{name}.{entry}");
            if owner == name || !manifest.services.contains_key(owner) {
                let names = manifest.services.keys().filter(|other| *other != name);
                let names = names.map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                add(
                    lines.of(&format!("{entry}.owner")),
                    format!("{place}.owner: {owner:?} is no other service; there are {names}"),
                );
                continue;
            }
            for (key, kind) in std::iter::once(("upsert", &replica.upsert))
                .chain(replica.delete.iter().map(|kind| ("delete", kind)))
            {
                if manifest.publisher(kind) != Some(owner) {
                    add(
                        lines.of(&format!("{entry}.{key}")),
                        format!("{place}.{key}: {owner} does not publish {kind}; add it to its publishes"),
                    );
                }
            }
        }
        for (entity, entry) in &service.entities {
            if let Some(other) = entities.insert(entity, name) {
                add(
                    service.lines.of(&format!("entity.{entity}")),
                    format!(
                        "service.{name}.entity.{entity}: {other} owns it already; what is owned has one owner"
                    ),
                );
            }
            let deleted = entry.deleted.as_ref().filter(|kind| manifest.publisher(kind) != Some(name));
            if let Some(kind) = deleted {
                add(
                    service.lines.of(&format!("entity.{entity}.deleted")),
                    format!("service.{name}.entity.{entity}.deleted: {name} does not publish {kind}"),
                );
            }
        }
        if service.rebuildable {
            for (what, found) in [
                ("publishes", !grants.publishes.is_empty()),
                ("calls", !grants.calls.is_empty()),
                ("timers in subscribes", !grants.timers.is_empty()),
                ("entities", !service.entities.is_empty()),
            ] {
                if found {
                    let message = format!(
                        "service.{name}: a rebuildable service owns nothing, and this one has {what}; remove them, or `rebuildable`"
                    );
                    add(service.lines.of("rebuildable"), message);
                }
            }
        }
    }
}
