//! The host's own paths: no service can have them.

use bulkhead_runtime::route_matches;

/// The prefix of the host's own paths.
pub const HOST_PATHS: &str = "/.well-known/bulkhead";
/// Other names of `live` and `ready`.
pub const HEALTH_ALIASES: [&str; 2] = ["/healthz", "/readyz"];
/// The path of the document of the whole application, in OpenAPI 3.1.
pub const DOCUMENT: &str = "/openapi.json";
/// The path of the same document in OpenAPI 3.0.
pub const DOCUMENT_3_0: &str = "/openapi-3.0.json";
/// The path of the page of problem codes: the target of `type` in problem documents.
pub const PROBLEMS: &str = "/.well-known/bulkhead/problems";
/// The paths of the pages.
const PAGES: [&str; 4] = [DOCUMENT, DOCUMENT_3_0, "/openapi/...", "/docs/..."];

/// Whether a path is reserved for pages, even if no page is there.
#[must_use]
pub fn is_page(path: &str) -> bool {
    PAGES.iter().any(|page| route_matches(page, path))
}
