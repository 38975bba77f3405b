//! The page of who owns which data is the one that the manifest and the components make.

use bulkhead_tests::paths;

use crate::pages;

const PAGE: &str = "docs/data-ownership.md";

#[test]
fn the_page_of_who_owns_which_data_is_up_to_date() {
    pages::is_up_to_date(PAGE, "ownership");
}

#[test]
fn the_page_names_every_service_copy_and_event_of_the_manifest() {
    let page = std::fs::read_to_string(paths::root().join(PAGE)).unwrap();
    let manifest = std::fs::read_to_string(paths::root().join("bulkhead.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    for (name, service) in manifest["service"].as_table().unwrap() {
        assert!(page.contains(&format!("\n## {name}\n")), "no section of {name}");
        for key in ["publishes", "subscribes"] {
            for kind in service.get(key).and_then(toml::Value::as_array).into_iter().flatten() {
                let kind = kind.as_str().unwrap();
                assert!(page.contains(&format!("`{kind}`")), "{name}: no {kind}");
            }
        }
        for (replica, spec) in service.get("replica").and_then(toml::Value::as_table).into_iter().flatten() {
            let row = format!("| `{replica}` | {name} | {} |", spec["owner"].as_str().unwrap());
            assert!(page.contains(&row), "no row {row}");
        }
    }
}
