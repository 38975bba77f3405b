//! The routes that a component describes: what a request leads to before its handler runs. With them a handler that computes gets a queue
//! of its own, and metrics name the route instead of the path.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::bindings::exports::bulkhead::service::describe::Description;

/// A route as the component describes it.
pub(crate) struct DescribedRoute {
    /// With its parameters in braces, such as `/notes/{id}`.
    pub(crate) path: Arc<str>,
    computes: bool,
    repeatable: bool,
}

/// The routes of a service; none if its component does not describe itself.
#[derive(Default)]
pub(crate) struct DescribedRoutes {
    by_method: BTreeMap<String, matchit::Router<DescribedRoute>>,
    /// Some route computes.
    any_computes: bool,
    /// Some route may be repeated.
    any_repeatable: bool,
}

impl DescribedRoutes {
    /// The routes that a component describes, except a path that can't be a route.
    pub(crate) fn of(description: Option<&Description>) -> Self {
        let mut routes = Self::default();
        for route in description.map(|description| description.routes.as_slice()).unwrap_or_default() {
            let router = routes.by_method.entry(route.method.clone()).or_default();
            let described = DescribedRoute {
                path: Arc::from(route.path.as_str()),
                computes: route.computes,
                repeatable: route.repeatable,
            };
            match router.insert(route.path.as_str(), described) {
                Ok(()) => {
                    routes.any_computes |= route.computes;
                    routes.any_repeatable |= route.repeatable;
                }
                Err(error) => {
                    tracing::warn!(method = route.method, path = route.path, %error, "a route that can't be");
                }
            }
        }
        routes
    }

    /// Whether a request leads to a handler that computes.
    pub(crate) fn computes(&self, method: &str, path: &str) -> bool {
        self.any_computes && self.find(method, path).is_some_and(|route| route.computes)
    }

    /// Whether a request may be repeated, such as a login, and runs each time. It has no use for an idempotency key.
    pub(crate) fn repeats(&self, method: &str, path: &str) -> bool {
        self.any_repeatable && self.find(method, path).is_some_and(|route| route.repeatable)
    }

    /// The route that a request leads to.
    ///
    /// The path is decoded as a service decodes it, part by part, so that no spelling of the path avoids the queue.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<&DescribedRoute> {
        let method = if method == "HEAD" { "GET" } else { method };
        let routes = self.by_method.get(method)?;
        let path = if path.contains('%') {
            let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().replace('/', "\0");
            Cow::Owned(path.split('/').map(decode).collect::<Vec<_>>().join("/"))
        } else {
            Cow::Borrowed(path)
        };
        routes.at(&path).ok().map(|matched| matched.value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bindings::exports::bulkhead::service::describe::{Access, Route};

    /// Routes by method and path; some compute, and may be repeated.
    fn routes(described: &[(&str, &str, bool)]) -> DescribedRoutes {
        let routes = described.iter().map(|(method, path, computes)| (*method, *path, *computes, *computes));
        routes_of(&routes.collect::<Vec<_>>())
    }

    /// Routes by method and path, and whether each computes, and may be repeated.
    pub(crate) fn routes_of(described: &[(&str, &str, bool, bool)]) -> DescribedRoutes {
        let route = |(method, path, computes, repeatable): &(&str, &str, bool, bool)| Route {
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
            repeatable: *repeatable,
        };
        DescribedRoutes::of(Some(&Description {
            summary: String::new(),
            routes: described.iter().map(route).collect(),
            subscribes: Vec::new(),
            publishes: Vec::new(),
        }))
    }

    #[test]
    fn route_is_found_for_each_spelling_of_its_path() {
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
            assert_eq!(routes.computes(method, path), expected, "{method} {path}");
            assert_eq!(routes.repeats(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn request_has_the_route_that_its_path_matches() {
        let routes = routes(&[("GET", "/keys/{id}", false), ("GET", "/keys/latest", false)]);
        for (method, path, expected) in [
            ("GET", "/keys/7", Some("/keys/{id}")),
            ("HEAD", "/keys/7%2F8", Some("/keys/{id}")),
            ("GET", "/keys/latest", Some("/keys/latest")),
            ("GET", "/keys", None),
            ("POST", "/keys/7", None),
        ] {
            assert_eq!(routes.find(method, path).map(|route| &*route.path), expected, "{method} {path}");
        }
        assert!(DescribedRoutes::of(None).find("GET", "/").is_none());
    }
}
