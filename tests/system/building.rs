//! `bulkhead build`: it compiles the crates of the services that are named, and says by name what is no service. That those of the shop
//! become components is what all other tests stand on.

use std::fs;

use bulkhead_tests::{Finished, Site, host};

const MANIFEST: &str = r#"
[application]
name = "two"
listen = "127.0.0.1:0"

[service.first]
source = "first"
routes = ["/first/..."]

[service.second]
source = "second"
routes = ["/second/..."]

[service.third]
source = "third.wasm"
routes = ["/third/..."]
"#;

/// Crates that depend on nothing, so that they are compiled at once. Services they are not.
fn site() -> Site {
    let site = Site::of_text(MANIFEST);
    fs::write(site.path("Cargo.toml"), "[workspace]\nmembers = ['first', 'second']\nresolver = '3'\n")
        .unwrap();
    for name in ["first", "second"] {
        let folder = site.path(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        let package =
            format!("[package]\nname = '{name}'\nedition = '2024'\n[lib]\ncrate-type = ['cdylib']\n");
        fs::write(folder.join("Cargo.toml"), package).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
    }
    site
}

fn build(site: &Site, services: &[&str]) -> Finished {
    let (manifest, target) = (site.manifest(), site.path("built"));
    let arguments = [&["build", "--manifest", manifest.to_str().unwrap()], services].concat();
    host::run_with(&arguments, &[("CARGO_TARGET_DIR", target.to_str().unwrap())])
}

fn has_components(site: &Site) -> bool {
    fs::read_dir(site.path("built/components")).is_ok_and(|mut files| files.next().is_some())
}

#[test]
fn crate_is_built_by_the_name_of_its_service_and_refused_if_not_a_component() {
    let site = site();
    let built = build(&site, &["second"]);
    built.says(1, &["Compiling second", "service `second`", "bulkhead-sdk"]);
    assert!(!built.stderr.contains("Compiling first"), "{}", built.stderr);
    // Without a name all are compiled that are crates.
    build(&site, &[]).says(1, &["Compiling first"]);
    assert!(!has_components(&site));
}

#[test]
fn services_that_cannot_be_built_are_refused_by_name_before_any_build() {
    let site = site();
    build(&site, &["first", "fourth"]).says(1, &["fourth", "first, second, third"]);
    build(&site, &["first", "third"]).says(1, &["third.wasm", "a component already"]);
    assert!(!site.path("built").exists());
    fs::write(site.path("first/src/lib.rs"), "fn broken( {}").unwrap();
    build(&site, &["first"]).says(1, &["first", "cargo ended"]);
    assert!(!has_components(&site));
}
