//! The templates of a component's routes: how a request's path is told where its own text must not stand, in a log line say.

use std::collections::BTreeMap;

use crate::bindings::exports::bulkhead::service::describe::Description;
use crate::compute::decoded;

/// By method, the template that a path falls under.
#[derive(Default)]
pub(crate) struct Templates {
    by_method: BTreeMap<String, matchit::Router<String>>,
}

impl Templates {
    /// Those that a component describes.
    pub(crate) fn of(description: Option<&Description>) -> Self {
        let mut templates = Self::default();
        for route in description.map(|description| description.routes.as_slice()).unwrap_or_default() {
            let router = templates.by_method.entry(route.method.clone()).or_default();
            // A path that can't be a route is never found: the component's own router refuses it.
            let _ = router.insert(route.path.as_str(), route.path.clone());
        }
        templates
    }

    /// The template of a request's route: `/notes/{id}`.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<&str> {
        let method = if method == "HEAD" { "GET" } else { method };
        let path = decoded(path);
        self.by_method.get(method)?.at(&path).ok().map(|matched| matched.value.as_str())
    }
}
