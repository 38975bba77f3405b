//! Every problem code is described in one page, which the host serves where a problem document's `type` leads.

use bulkhead_tests::{Client, Manifest, Site, paths};
use serde_json::json;

use crate::pages;

const PAGE: &str = "docs/problems.md";
const PATH: &str = "/.well-known/bulkhead/problems";

#[test]
fn page_of_problem_codes_is_up_to_date() {
    pages::is_up_to_date(PAGE, "problems");
}

#[test]
fn host_serves_the_page_with_every_problem_code_on_both_ports() {
    let kept = std::fs::read_to_string(paths::root().join(PAGE)).unwrap();
    let codes: Vec<&str> = kept
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect();
    assert!(codes.contains(&"internal") && codes.contains(&"sku-taken"), "{codes:?}");
    let site = Site::shop();
    let host = site.start();
    for address in [host.address(), host.admin_address().unwrap()] {
        let mut client = Client::new(address);
        let page = client.get(PATH);
        page.expect_status(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let text = str::from_utf8(&page.body).unwrap();
        for code in &codes {
            assert_eq!(text.matches(&format!(" id=\"{code}\"")).count(), 1, "{code}");
        }
        client.post(PATH, &json!({})).problem(405, "method-not-allowed");
    }
}

#[test]
fn type_of_a_service_problem_links_to_its_anchor() {
    let site = Site::shop();
    let host = site.start();
    let login = json!({"email": "nobody@example.com", "password": "nobody has this password"});
    let problem = host.client().post("/sessions", &login).problem(401, "invalid-credentials");
    let (path, place) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    let page = host.client().get(path);
    page.expect_status(200);
    assert!(str::from_utf8(&page.body).unwrap().contains(&format!(" id=\"{place}\"")), "{place}");
}

#[test]
fn components_with_conflicting_problem_codes_are_refused_by_name() {
    // Another code of the same length, written over the one in the component.
    let edits = [("product", "sku-taken", "not-found"), ("user", "email-taken", "order-state")];
    let site = Site::shop();
    let mut manifest = Manifest::shop();
    for (service, code, other) in edits {
        let mut component = std::fs::read(paths::component(service)).unwrap();
        let found = component.windows(code.len()).position(|bytes| bytes == code.as_bytes());
        let place = found.unwrap_or_else(|| panic!("{service} has no {code}"));
        component[place..place + code.len()].copy_from_slice(other.as_bytes());
        let file = site.path(&format!("{service}.wasm"));
        std::fs::write(&file, component).unwrap();
        manifest = manifest.set(&format!("service.{service}.source"), file.to_str().unwrap());
    }
    site.write_manifest(&manifest.text());
    site.fail_to_start().says(
        1,
        &[
            "service.product: its problem \"not-found\" has the code of one of the host's or the SDK's",
            "service.user: its problem \"order-state\" has the code of one of order's",
        ],
    );
}
