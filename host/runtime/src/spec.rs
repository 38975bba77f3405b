//! A service as the manifest has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bulkhead_types::{ServiceName, limits};

/// What the manifest lets a service do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The types of event that it may publish.
    pub publishes: BTreeSet<String>,
    /// The services that it may call.
    pub calls: BTreeSet<ServiceName>,
    /// The types of event that it consumes from others.
    pub subscribes: BTreeSet<String>,
    /// The types of timer that it may set, and consumes.
    pub timers: BTreeSet<String>,
}

/// The bounds of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory of an instance.
    pub memory: u64,
    /// Bytes of its database.
    pub storage: u64,
    /// Time for a request.
    pub request_timeout: Duration,
    /// Time that a handler may hold the writer lease.
    pub lease_hold: Duration,
    /// Requests in each of its queues.
    pub queue: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Threads for GET, HEAD and OPTIONS.
    pub read_workers: usize,
    /// Threads for the rest.
    pub write_workers: usize,
    /// Threads for what computes for long.
    pub compute_workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: limits::MEMORY_DEFAULT,
            storage: limits::STORAGE_DEFAULT,
            request_timeout: limits::REQUEST_TIMEOUT_DEFAULT,
            lease_hold: limits::LEASE_HOLD_DEFAULT,
            queue: limits::QUEUE_DEFAULT,
            body: limits::BODY_DEFAULT,
            read_workers: limits::READ_WORKERS_DEFAULT,
            write_workers: limits::WRITE_WORKERS_DEFAULT,
            compute_workers: limits::COMPUTE_WORKERS_DEFAULT,
        }
    }
}

/// Whether an instance serves more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstancePolicy {
    /// A warm instance for each worker.
    #[default]
    Reused,
    /// A new instance for each request.
    Fresh,
}

/// A service as the manifest has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ServiceName,
    /// The routes that lead to it, as in the manifest.
    pub routes: Vec<String>,
    /// What it may do.
    pub grants: Grants,
    /// Its settings.
    pub config: BTreeMap<String, String>,
    /// Its secrets.
    pub secrets: BTreeMap<String, String>,
    /// Its bounds.
    pub limits: Limits,
    /// Whether instances are reused.
    pub instances: InstancePolicy,
}

/// If a path falls under two routes, the route of higher rank applies: a path before everything below a path, then the longer one.
#[must_use]
pub fn route_rank(route: &str) -> (bool, usize) {
    (!route.ends_with("/..."), route.len())
}

/// Whether `path` falls under `route`: `/notes` is that path alone, `/notes/...` is the path and everything below it.
#[must_use]
pub fn route_matches(route: &str, path: &str) -> bool {
    match route.strip_suffix("/...") {
        None => path == route,
        Some(above) => path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}
