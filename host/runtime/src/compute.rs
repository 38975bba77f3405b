//! What a component says of a route that matters before its handler runs; and threads that give way.
//!
//! A handler that hashes a password takes as long as a thousand that read a row. In the queue of the others it would hold them all up,
//! so such routes, which the component itself names (`describe`), have a queue and workers of their own, at a lower priority: what
//! is quick finds a processor at once, and when the queue is full the 503 is theirs alone.
//!
//! A POST that may be repeated, such as a login, has no use for an idempotency key: it is run each time.

use std::collections::BTreeMap;

use bulkhead_types::limits::COMPUTE_NICE;
use percent_encoding::percent_decode_str;

use crate::bindings::exports::bulkhead::service::describe::Description;

/// What is said of a route.
#[derive(Debug, Clone, Copy)]
struct Traits {
    computes: bool,
    repeatable: bool,
}

/// The routes of a service, each with what is said of it; empty where nothing is said of any.
#[derive(Default)]
pub(crate) struct DescribedRoutes {
    by_method: BTreeMap<String, matchit::Router<Traits>>,
}

impl DescribedRoutes {
    /// Those that a component describes. Of a path that can't be a route nothing is said.
    pub(crate) fn of(description: Option<&Description>) -> Self {
        let mut routes = Self::default();
        let described = description.map(|description| description.routes.as_slice()).unwrap_or_default();
        if !described.iter().any(|route| route.computes || route.repeatable) {
            return routes;
        }
        for route in described {
            let traits = Traits { computes: route.computes, repeatable: route.repeatable };
            let router = routes.by_method.entry(route.method.clone()).or_default();
            if let Err(error) = router.insert(route.path.as_str(), traits) {
                tracing::warn!(method = route.method, path = route.path, %error, "a route that can't be");
            }
        }
        routes
    }

    /// Whether nothing is said of any route.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_method.is_empty()
    }

    /// Whether a request leads to a handler that computes.
    pub(crate) fn compute(&self, method: &str, path: &str) -> bool {
        self.find(method, path).is_some_and(|traits| traits.computes)
    }

    /// Whether a request may be repeated, and each time be run.
    pub(crate) fn repeat(&self, method: &str, path: &str) -> bool {
        self.find(method, path).is_some_and(|traits| traits.repeatable)
    }

    /// The path is decoded as a service decodes it, part by part, so that no spelling of it leads around the queue.
    fn find(&self, method: &str, path: &str) -> Option<Traits> {
        if self.is_empty() {
            return None;
        }
        let method = if method == "HEAD" { "GET" } else { method };
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().replace('/', "\0");
        let path = path.split('/').map(decode).collect::<Vec<_>>().join("/");
        let matched = self.by_method.get(method)?.at(&path).ok()?;
        Some(*matched.value)
    }
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

    fn routes(described: &[(&str, &str, bool)]) -> DescribedRoutes {
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
            repeatable: *computes,
        };
        DescribedRoutes::of(Some(&Description {
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
            assert_eq!(routes.compute(method, path), expected, "{method} {path}");
            assert_eq!(routes.repeat(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn service_without_such_a_route_looks_at_no_path() {
        assert!(routes(&[("GET", "/keys/{id}", false)]).is_empty());
        assert!(DescribedRoutes::of(None).is_empty());
    }
}
