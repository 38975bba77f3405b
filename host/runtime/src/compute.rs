//! Handlers that compute for long: which routes they are, and threads that give way.
//!
//! A handler that hashes a password takes as long as a thousand that read a row. In the queue of the others it would hold them all up,
//! so such routes, which the component itself names (`describe`), have a queue and workers of their own, at a lower priority: what
//! is quick finds a processor at once, and when the queue is full the 503 is theirs alone.

use std::collections::BTreeMap;

use bulkhead_types::limits::COMPUTE_NICE;
use percent_encoding::percent_decode_str;

use crate::bindings::exports::bulkhead::service::describe::Description;

/// The routes of a service, each with whether it computes; empty where none does.
#[derive(Default)]
pub(crate) struct ComputeRoutes {
    by_method: BTreeMap<String, matchit::Router<bool>>,
}

impl ComputeRoutes {
    /// Those that a component describes. A path that can't be a route computes nothing.
    pub(crate) fn of(description: Option<&Description>) -> Self {
        let mut routes = Self::default();
        let described = description.map(|description| description.routes.as_slice()).unwrap_or_default();
        if !described.iter().any(|route| route.computes) {
            return routes;
        }
        for route in described {
            let router = routes.by_method.entry(route.method.clone()).or_default();
            if let Err(error) = router.insert(route.path.as_str(), route.computes) {
                tracing::warn!(method = route.method, path = route.path, %error, "a route that can't be");
            }
        }
        routes
    }

    /// Whether no route computes.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_method.is_empty()
    }

    /// Whether a request leads to a handler that computes.
    ///
    /// The path is decoded as a service decodes it, part by part, so that no spelling of it leads around the queue.
    pub(crate) fn has(&self, method: &str, path: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let method = if method == "HEAD" { "GET" } else { method };
        let path = decoded(path);
        self.by_method
            .get(method)
            .and_then(|routes| routes.at(&path).ok())
            .is_some_and(|matched| *matched.value)
    }
}

/// A path as a service decodes it, part by part: a slash that was encoded is none of the path's.
pub(crate) fn decoded(path: &str) -> String {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().replace('/', "\0");
    path.split('/').map(decode).collect::<Vec<_>>().join("/")
}

/// Has this thread give way to the process's others. Where the system refuses, it does not give way, and computes all the same.
pub(crate) fn give_way() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), COMPUTE_NICE) {
        tracing::warn!(%error, "a thread that computes keeps the priority of the others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::bulkhead::service::describe::{Access, Route};

    fn routes(described: &[(&str, &str, bool)]) -> ComputeRoutes {
        let route = |(method, path, computes): &(&str, &str, bool)| Route {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            summary: String::new(),
            path_parameters: Vec::new(),
            query_parameters: Vec::new(),
            request_schema: None,
            answers: Vec::new(),
            problems: Vec::new(),
            access: Access::Public,
            computes: *computes,
        };
        ComputeRoutes::of(Some(&Description {
            summary: String::new(),
            routes: described.iter().map(route).collect(),
            subscribes: Vec::new(),
            publishes: Vec::new(),
        }))
    }

    #[test]
    fn route_is_found_however_its_path_is_spelt() {
        let routes = routes(&[
            ("POST", "/keys", true),
            ("GET", "/keys/{id}", true),
            ("GET", "/keys/latest", false),
            ("PUT", "/notes/{id}/lock", true),
            ("PUT", "/notes/{id}", false),
        ]);
        for (method, path, expected) in [
            ("POST", "/keys", true),
            ("POST", "/%6Beys", true),
            ("POST", "/keys/", false),
            ("GET", "/keys", false),
            ("GET", "/keys/7", true),
            ("HEAD", "/keys/7", true),
            ("GET", "/keys/latest", false),
            ("PUT", "/notes/7/lock", true),
            ("PUT", "/notes/7/%6c%6Fck", true),
            ("PUT", "/notes/7", false),
            ("PUT", "/notes/%ff/lock", true),
            ("PUT", "/notes/a%2Fb/lock", true),
            ("PUT", "/notes%2F7/lock", false),
            ("DELETE", "/notes/7/lock", false),
        ] {
            assert_eq!(routes.has(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn service_without_such_a_route_looks_at_no_path() {
        assert!(routes(&[("GET", "/keys/{id}", false)]).is_empty());
        assert!(ComputeRoutes::of(None).is_empty());
    }
}
