//! The page of who owns which data is the one that the manifest and the components make.

use bulkhead_tests::{Manifest, Site, paths};

use crate::pages;

const PAGE: &str = "docs/data-ownership.md";

#[test]
fn data_ownership_page_is_up_to_date() {
    pages::is_up_to_date(PAGE, "ownership");
}

/// Whoever has a database and does not rebuild it owns what is in it, whether or not it is declared for others to compare.
#[test]
fn service_without_a_declared_entity_still_owns_its_tables() {
    let page = |manifest: &Manifest| {
        let site = Site::new(manifest);
        let finished = site.run_within(&["ownership"]);
        finished.says(0, &[]);
        finished.stdout
    };
    let owns = |page: &str, service: &str| {
        let section = page.split(&format!("\n## {service}\n")).nth(1).unwrap().to_owned();
        section.lines().find(|line| line.starts_with("| owns |")).unwrap().to_owned()
    };
    let shop = page(&Manifest::shop().without("service.user.entity"));
    assert_eq!(owns(&shop, "user"), "| owns | the tables of its database; it declares no `entity` of them |");
    assert_eq!(owns(&shop, "order"), "| owns | `order` |");
    assert_eq!(owns(&shop, "report"), "| owns | nothing |");
}

#[test]
fn page_lists_every_service_copy_and_event_of_the_manifest() {
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
