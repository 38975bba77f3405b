//! The page to read the documents and to try the operations: Swagger UI (<https://github.com/swagger-api/swagger-ui>), served by the host.
//!
//! `build.rs` extracts its files from the archive in a crate, and compresses each one. They are sent as they are stored. The page requests
//! nothing from other hosts, and its policy allows no scripts but these.

use bytes::Bytes;
use serde_json::{Value, json};

use super::page::Page;

/// What the page may load and do (<https://www.w3.org/TR/CSP3/>). Swagger UI writes styles into its elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! compressed {
    ($file:literal) => {
        Bytes::from_static(include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".gz")))
    };
}

/// The paths and pages of the viewer. `documents` has names and paths.
pub(super) fn pages(title: &str, documents: &[(String, String)]) -> Vec<(String, Page)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let html = || {
        Page::new("text/html; charset=utf-8", include_str!("viewer/index.html").into()).with_policy(POLICY)
    };
    let documents: Vec<Value> =
        documents.iter().map(|(name, path)| json!({"name": name, "url": path})).collect();
    let documents = json!({"title": title, "documents": documents}).to_string();
    let pages = [
        ("/docs", html()),
        ("/docs/", html()),
        ("/docs/start.js", Page::new(SCRIPT, include_str!("viewer/start.js").into())),
        ("/docs/documents.json", Page::new("application/json", documents.into())),
        ("/docs/swagger-ui.css", Page::compressed("text/css; charset=utf-8", compressed!("swagger-ui.css"))),
        ("/docs/swagger-ui-bundle.js", Page::compressed(SCRIPT, compressed!("swagger-ui-bundle.js"))),
        (
            "/docs/swagger-ui-standalone-preset.js",
            Page::compressed(SCRIPT, compressed!("swagger-ui-standalone-preset.js")),
        ),
    ];
    pages.into_iter().map(|(path, page)| (path.to_owned(), page)).collect()
}
