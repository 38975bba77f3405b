//! Which service a request goes to.

use std::cmp::Reverse;
use std::sync::Arc;

use bulkhead_runtime::{Directory, Queues, route_matches, route_rank};
use bulkhead_types::ServiceName;

use super::logs::Logs;

/// Every route with its service, the highest rank first.
pub(crate) struct Routes(Vec<(Arc<str>, Target)>);

/// Where a route leads.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) service: ServiceName,
    /// The id of the service's event log, if it has a database.
    pub(crate) log: Option<Arc<str>>,
    pub(crate) queues: Queues,
}

impl Routes {
    /// The current routes of all services.
    pub(super) fn new(directory: &Directory, logs: &Logs) -> Self {
        let mut routes = Vec::new();
        for (name, queues) in directory {
            let log = logs.id(name).cloned();
            let target = Target { service: name.clone(), log, queues: queues.clone() };
            routes.extend(
                queues
                    .admission_limits()
                    .routes
                    .iter()
                    .map(|route| (Arc::from(route.as_str()), target.clone())),
            );
        }
        routes.sort_by_key(|(route, _): &(Arc<str>, Target)| Reverse(route_rank(route)));
        Self(routes)
    }

    /// The route that matches a path, and its target.
    pub(crate) fn find(&self, path: &str) -> Option<(&Arc<str>, &Target)> {
        let (route, target) = self.0.iter().find(|(route, _)| route_matches(route, path))?;
        Some((route, target))
    }
}
