//! Errors between the services of a manifest: a route that two services have, an event that two services publish, a cycle of calls, and
//! keys or revocations that no service has.

use std::collections::BTreeMap;

use bulkhead_types::ServiceName;

use super::{Manifest, Mistake};

pub(super) fn check(manifest: &Manifest, mistakes: &mut Vec<Mistake>) {
    super::subscriptions::check(manifest, mistakes);
    let mut add = |line, message| mistakes.push(Mistake { line, message });
    let mut routes: BTreeMap<&str, &str> = BTreeMap::new();
    let mut publishers: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in &manifest.services {
        for route in &service.spec.routes {
            if let Some(other) = routes.insert(route, name) {
                add(
                    service.lines.of_item("routes", route),
                    format!("service.{name}.routes: {route} is a route of {other} already; remove one"),
                );
            }
        }
        for kind in &service.spec.grants.publishes {
            let owner = kind.split_once('.').map(|(owner, _)| owner).filter(|owner| *owner != name.as_str());
            if let Some(owner) = owner.filter(|owner| manifest.services.contains_key(*owner)) {
                add(
                    service.lines.of_item("publishes", kind),
                    format!(
                        "service.{name}.publishes: the type {kind} begins with the name of the service {owner}, whose event it says it is; \
                         begin it with \"{name}.\""
                    ),
                );
            }
            if let Some(other) = publishers.insert(kind, name) {
                add(
                    service.lines.of_item("publishes", kind),
                    format!(
                        "service.{name}.publishes: {kind} is published by {other} already; an event has one owner"
                    ),
                );
            }
        }
        for called in &service.spec.grants.calls {
            if !manifest.services.contains_key(called) {
                let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                add(
                    service.lines.of_item("calls", called),
                    format!("service.{name}.calls: there is no service {called:?}; there are {names}"),
                );
            }
        }
    }
    if let Some(auth) = &manifest.auth {
        if !manifest.services.contains_key(&auth.service) {
            let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
            let message =
                format!("application.auth.keys: there is no service {:?}; there are {names}", auth.service);
            add(manifest.lines.of("auth.keys"), message);
        }
        let revoker = auth.revoked_by.as_deref().filter(|kind| !publishers.contains_key(kind));
        if let Some(kind) = revoker {
            let message = format!(
                "application.auth.revoked_by: no service publishes {kind}; add it to the publishes of one that does"
            );
            add(manifest.lines.of("auth.revoked_by"), message);
        }
    }
    if let Some(message) = manifest.clash_of_addresses() {
        add(manifest.lines.of("listen"), format!("application.listen: {message}"));
    }
    if !manifest.admin.ip().is_loopback() {
        add(
            manifest.lines.of("admin"),
            format!(
                "application.admin: {} can be reached from other machines; operators reach the host on this one: write for example \
                 \"127.0.0.1:9090\"",
                manifest.admin
            ),
        );
    }
    if let Some(cycle) = find_cycle(manifest) {
        let mut around = cycle.iter();
        let (first, called) = (around.next(), around.next().copied().unwrap_or_default());
        let line = first
            .and_then(|name| manifest.services.get(*name))
            .map_or(1, |service| service.lines.of_item("calls", called));
        add(
            line,
            format!(
                "the services call each other in a circle, {}, so they could wait for each other for ever; make one of the calls \
                 an event",
                cycle.join(" → ")
            ),
        );
    }
}

/// A cycle of calls. Its first service is repeated at its end.
fn find_cycle(manifest: &Manifest) -> Option<Vec<&str>> {
    /// Follows the calls of the last service of `path`.
    fn follow<'m>(manifest: &'m Manifest, path: &mut Vec<&'m str>, done: &mut Vec<&'m str>) -> bool {
        let Some(service) = path.last().and_then(|name| manifest.services.get(*name)) else { return false };
        for called in &service.spec.grants.calls {
            if let Some(start) = path.iter().position(|name| *called == **name) {
                path.drain(..start);
                path.push(called);
                return true;
            }
            if done.iter().any(|name| *called == **name) {
                continue;
            }
            path.push(called);
            if follow(manifest, path, done) {
                return true;
            }
            done.extend(path.pop());
        }
        false
    }
    let mut done = Vec::new();
    manifest.services.keys().find_map(|name| {
        let mut path = vec![name.as_str()];
        follow(manifest, &mut path, &mut done).then_some(path)
    })
}
