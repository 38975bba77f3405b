//! The public description of an application: OpenAPI documents, a page to read and try them, and the page of problem codes.
//!
//! All of it is built at the start, and again with each version and reload. The sources are the manifest and the components' descriptions.
//! The result is the same for all clients.

mod openapi;
mod page;
pub mod problems;
mod viewer;

use std::collections::BTreeMap;

use bulkhead_runtime::Description;
use bulkhead_types::ServiceName;
use serde_json::Value;

pub use self::openapi::{About, Described, document, mistakes};
pub use self::page::Page;
use bulkhead_manifest::{DOCUMENT, DOCUMENT_3_0, Manifest, PROBLEMS, is_page};

/// The policy of the page of problem codes: the page contains its style, and loads nothing else.
const PROBLEMS_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The versions of OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The version that documents are built in.
    V3_1,
    /// For tools that do not read 3.1.
    V3_0,
}

impl Format {
    /// Converts a document that was built here to this version.
    #[must_use]
    pub fn of(self, document: Value) -> Value {
        match self {
            Self::V3_1 => document,
            Self::V3_0 => openapi::to_3_0(document),
        }
    }
}

/// The pages of an application.
#[derive(Debug)]
pub struct Interface {
    pages: BTreeMap<String, Page>,
}

impl Interface {
    /// Builds the pages.
    #[must_use]
    pub fn new(manifest: &Manifest, described: &BTreeMap<ServiceName, Description>) -> Self {
        let mut documents = vec![("all services".to_owned(), DOCUMENT.to_owned())];
        let mut pages = BTreeMap::new();
        let mut add = |path: &str, path_3_0: &str, document: Value| {
            for (path, document) in [(path, document.clone()), (path_3_0, Format::V3_0.of(document))] {
                pages.insert(path.to_owned(), Page::new("application/json", document.to_string().into()));
            }
        };
        add(DOCUMENT, DOCUMENT_3_0, of_application(manifest, described));
        for name in described.keys() {
            if let Some(document) = of_service(manifest, described, name) {
                let path = format!("/openapi/{name}.json");
                add(&path, &format!("/openapi/3.0/{name}.json"), document);
                documents.push((name.to_string(), path));
            }
        }
        let html = problems::html(&manifest.name, described).into();
        let problems = Page::new("text/html; charset=utf-8", html).with_policy(PROBLEMS_POLICY);
        pages.insert(PROBLEMS.to_owned(), problems);
        pages.extend(viewer::pages(&manifest.name, &documents));
        Self { pages }
    }

    /// The page at a path.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<&Page> {
        self.pages.get(path)
    }
}

/// The document of the whole application.
#[must_use]
pub fn of_application(manifest: &Manifest, described: &BTreeMap<ServiceName, Description>) -> Value {
    let all: Vec<Described<'_>> =
        described.keys().filter_map(|name| find(manifest, described, name)).collect();
    document(about(manifest), &all)
}

/// The document of one service. None if the application has no such service, or the service has no description.
#[must_use]
pub fn of_service(
    manifest: &Manifest,
    described: &BTreeMap<ServiceName, Description>,
    name: &str,
) -> Option<Value> {
    let service = find(manifest, described, name)?;
    let title = format!("{}: {name}", manifest.name);
    Some(document(About { title: &title, ..about(manifest) }, &[service]))
}

fn about(manifest: &Manifest) -> About<'_> {
    About { title: &manifest.name, version: &manifest.version, has_tokens: manifest.auth.is_some() }
}

fn find<'a>(
    manifest: &'a Manifest,
    described: &'a BTreeMap<ServiceName, Description>,
    name: &str,
) -> Option<Described<'a>> {
    let (name, description) = described.get_key_value(name)?;
    let leads_here = |path: &str| !is_page(path) && service_of(manifest, path) == Some(name);
    let operations = description.routes.iter().filter(|route| leads_here(&route.path)).collect();
    Some(Described { name, summary: &description.summary, operations })
}

/// The service that gets requests to a path, by the same rule as in the ingress: the route with the highest rank.
fn service_of<'a>(manifest: &'a Manifest, path: &str) -> Option<&'a str> {
    let routes = manifest
        .services
        .iter()
        .flat_map(|(name, entry)| entry.spec.routes.iter().map(move |route| (route, name.as_str())));
    routes
        .filter(|(route, _)| bulkhead_runtime::route_matches(route, path))
        .max_by_key(|(route, _)| bulkhead_runtime::route_rank(route))
        .map(|(_, name)| name)
}
