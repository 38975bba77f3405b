//! Crates depend on one another in one direction, and so do the files of each crate, and its folders.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_tests::paths;

use super::imports::{Crate, Imports};
use super::{files, nothing_of, read, shown};

/// The crates of the workspace by name, each with the names of what it depends on, for building, testing or running.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    files(&paths::root(), "Cargo.toml")
        .iter()
        .filter_map(|file| {
            let manifest: toml::Table =
                read(file).parse().unwrap_or_else(|error| panic!("{}: {error}", shown(file)));
            let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
            Some((name, dependency_names(&manifest)))
        })
        .collect()
}

fn dependency_names(table: &toml::Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if key == "dependencies" || key == "dev-dependencies" || key == "build-dependencies" {
            names.extend(inner.keys().cloned());
        } else if key == "target" || inner.contains_key("dependencies") {
            for platform in inner.values().filter_map(toml::Value::as_table) {
                names.extend(dependency_names(platform));
            }
        }
    }
    names
}

/// For what stands on the server: the command's tools, and the test harness.
const SERVER_AND_BELOW: [&str; 6] = [
    "bulkhead-build",
    "bulkhead-manifest",
    "bulkhead-runtime",
    "bulkhead-server",
    "bulkhead-store",
    "bulkhead-types",
];

#[test]
fn crates_depend_on_one_another_in_one_direction() {
    let allowed: [(&str, &[&str]); 16] = [
        ("bulkhead-types", &[]),
        ("bulkhead-store", &["bulkhead-types"]),
        ("bulkhead-sqlite", &["bulkhead-types", "bulkhead-store"]),
        // The engine is for its tests.
        ("bulkhead-runtime", &["bulkhead-types", "bulkhead-store", "bulkhead-sqlite"]),
        ("bulkhead-build", &[]),
        ("bulkhead-manifest", &["bulkhead-runtime", "bulkhead-store", "bulkhead-types"]),
        (
            "bulkhead-server",
            &[
                "bulkhead-build",
                "bulkhead-manifest",
                "bulkhead-runtime",
                "bulkhead-sqlite",
                "bulkhead-store",
                "bulkhead-types",
            ],
        ),
        ("bulkhead-tools", &SERVER_AND_BELOW),
        (
            "bulkhead",
            &[
                "bulkhead-build",
                "bulkhead-manifest",
                "bulkhead-runtime",
                "bulkhead-server",
                "bulkhead-tools",
                "bulkhead-types",
            ],
        ),
        ("bulkhead-testing", &SERVER_AND_BELOW),
        ("bulkhead-component-tests", &["bulkhead-manifest", "bulkhead-server", "bulkhead-testing"]),
        ("bulkhead-properties", &[]),
        ("bulkhead-sdk", &["bulkhead-properties"]),
        ("bulkhead-contracts", &["bulkhead-properties", "bulkhead-sdk"]),
        ("bulkhead-tests", &["bulkhead-properties"]),
        ("shop-loader", &[]),
    ];
    let dependencies = dependencies();
    let ours: BTreeSet<&String> = dependencies.keys().collect();
    let mut found = Vec::new();
    for (name, of) in &dependencies {
        let allowed_here: Option<&[&str]> =
            allowed.iter().find(|(crate_name, _)| crate_name == name).map(|(_, of)| *of);
        for dependency in of.iter().filter(|dependency| ours.contains(dependency)) {
            let good = match allowed_here {
                Some(list) => list.contains(&dependency.as_str()),
                // What is left are guests.
                None => matches!(
                    dependency.as_str(),
                    "bulkhead-sdk" | "bulkhead-contracts" | "bulkhead-properties"
                ),
            };
            if !good {
                found.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    nothing_of(
        &found,
        "dependencies go down the layers of ARCHITECTURE.md, and from a guest to the SDK and the contracts",
    );
}

#[test]
fn wasmtime_and_sqlite_are_each_known_to_few_crates() {
    let users: [(&str, &[&str]); 6] = [
        ("wasmtime", &["bulkhead-runtime"]),
        ("rusqlite", &["bulkhead-sqlite", "bulkhead-tests"]),
        // Not the test harness, nor what it is made of.
        ("clap", &["bulkhead", "bulkhead-mutation", "bulkhead-tests", "shop-loader"]),
        ("notify", &["bulkhead"]),
        ("prometheus-client", &["bulkhead-server"]),
        ("hyper", &["bulkhead", "bulkhead-server", "bulkhead-tests", "shop-loader"]),
    ];
    let mut found = Vec::new();
    for (name, of) in dependencies() {
        for (library, users) in users {
            if of.contains(library) && !users.contains(&name.as_str()) {
                found.push(format!("{name} depends on {library}"));
            }
        }
    }
    nothing_of(&found, "a library's types stay inside the crate that it is for");
}

/// Where a database's engine may be named: where it is chosen, by the host and in the manifest; where names are that no table may have; and
/// in tests.
const ENGINE_CHOSEN: [&str; 4] = [
    "host/manifest/src/read.rs",
    "host/runtime/src/trial.rs",
    "host/server/src/engine.rs",
    "host/types/src/lib.rs",
];

/// Who names an engine knows how it works, and then nobody can put another one in its place.
#[test]
fn nothing_above_the_store_names_a_database_engine() {
    let names_one = |line: &str| {
        let line = line.to_ascii_lowercase();
        ["sqlite", "postgres"].iter().any(|engine| line.contains(engine))
    };
    for chosen in ENGINE_CHOSEN {
        assert!(
            names_one(&read(&paths::root().join(chosen))),
            "{chosen} names no engine: take it off the list"
        );
    }
    let mut found = Vec::new();
    for file in files(&paths::root().join("host"), ".rs") {
        let name = shown(&file);
        let is_engine = name.starts_with("host/sqlite/");
        if is_engine || ENGINE_CHOSEN.contains(&name.as_str()) || name.ends_with("/tests.rs") {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate().filter(|(_, line)| names_one(line)) {
            found.push(format!("{name}:{}: {}", number + 1, line.trim()));
        }
    }
    nothing_of(&found, "use what bulkhead_store has; where it lacks something, every engine gets it");
}

/// The crates of the workspace by their folders of sources. The programs of a crate are crates of their own.
fn crates() -> Vec<Crate> {
    let roots = files(&paths::root(), ".rs").into_iter().filter(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        matches!(name, "lib.rs" | "main.rs") && !shown(file).contains("/template/")
    });
    roots.map(|root| Crate::read(&root)).collect()
}

/// Who changes a file reads what it imports, and what that imports: in a circle this is all of them.
#[test]
fn files_of_a_crate_have_no_import_cycle() {
    let mut found = Vec::new();
    for one in crates() {
        let imports = Imports::of(&one);
        found.extend(imports.circles(|module| module.to_vec()));
        found.extend(imports.circles(|module| module[..module.len().min(1)].to_vec()));
    }
    nothing_of(&found, "move what both files need into a file of its own, below the two");
}

#[test]
fn crates_are_found_with_all_of_their_files() {
    let found = crates();
    let files_of = |root: &str| {
        let one =
            found.iter().find(|one| one.root() == root).unwrap_or_else(|| panic!("{root} is not found"));
        one.modules().len()
    };
    assert!(files_of("host/runtime/src/lib.rs") > 50);
    assert!(files_of("host/server/src/lib.rs") > 60);
    assert!(files_of("host/src/main.rs") > 20);
    assert!(files_of("tests/src/bin/bench/main.rs") > 5);
}
