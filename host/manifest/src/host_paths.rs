//! The paths that are the host's own: no service can have them.

use bulkhead_runtime::route_matches;

/// What the paths of the host's own begin with.
pub const HOST_PATHS: &str = "/.well-known/bulkhead";
/// Other names of `live` and `ready`.
pub const HEALTH_ALIASES: [&str; 2] = ["/healthz", "/readyz"];
/// The path of the document of the whole application, in OpenAPI 3.1.
pub const DOCUMENT: &str = "/openapi.json";
/// The path of the same in OpenAPI 3.0.
pub const DOCUMENT_3_0: &str = "/openapi-3.0.json";
/// The path of the page of problem codes: what `type` of a problem document leads to.
pub const PROBLEMS: &str = "/.well-known/bulkhead/problems";
/// Those of the pages.
const PAGES: [&str; 4] = [DOCUMENT, DOCUMENT_3_0, "/openapi/...", "/docs/..."];

/// Whether a path is among those of the pages, also where there is none.
#[must_use]
pub fn is_page(path: &str) -> bool {
    PAGES.iter().any(|page| route_matches(page, path))
}
