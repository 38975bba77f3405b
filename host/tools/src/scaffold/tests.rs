use std::collections::BTreeSet;

use super::*;

/// A folder with a substitute for Bulkhead's sources in it, and an empty folder for an application.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let lock = "version = 4\n[[package]]\nname = 'serde'\nversion = '1.0.0'\nsource = 'registry'\n\
                    [[package]]\nname = 'user'\nversion = '0.1.0'\n\
                    [[package]]\nname = 'bulkhead-sdk'\nversion = '0.1.0'\n";
        for (file, text) in [
            ("bulkhead/Cargo.lock", lock),
            ("bulkhead/components/sdk/Cargo.toml", ""),
            ("bulkhead/host/testing/Cargo.toml", ""),
            ("bulkhead/wit/world.wit", ""),
        ] {
            place.write(file, text);
        }
        fs::create_dir(place.path("app")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn plan(&self, name: &str) -> Result<Plan, NewError> {
        plan(&Asked {
            name: name.to_owned(),
            manifest: self.path("app/bulkhead.toml"),
            bulkhead: Some(self.path("bulkhead")),
        })
    }

    /// Creates a service. Returns the files that were created and those that were changed.
    fn make(&self, name: &str) -> [BTreeSet<String>; 2] {
        let plan = self.plan(name).unwrap_or_else(|error| panic!("failed to {error}"));
        plan.carry_out().unwrap();
        let app = self.path("app");
        [plan.made, plan.changed].map(|files| {
            let shown = files.iter().map(|(file, _)| file.strip_prefix(&app).unwrap().display().to_string());
            shown.collect()
        })
    }

    /// Every file of the application, with its text.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("app")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.clone(), fs::read_to_string(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

fn set(files: &[&str]) -> BTreeSet<String> {
    files.iter().map(|file| (*file).to_owned()).collect()
}

const OF_CRATE: [&str; 7] = [
    "Cargo.toml",
    "migrations/V0001__create_entry.sql",
    "src/events.rs",
    "src/http.rs",
    "src/lib.rs",
    "src/rules.rs",
    "src/store.rs",
];

#[test]
fn application_is_created_with_its_first_service_and_extended_with_the_second() {
    let place = Place::new();
    let [made, changed] = place.make("greeter");
    let mut expected: BTreeSet<String> =
        OF_CRATE.iter().map(|file| format!("components/greeter/{file}")).collect();
    expected.insert("components/greeter/tests/greeter.rs".to_owned());
    expected.extend(set(&[
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "bulkhead.toml",
        "rust-toolchain.toml",
        "rustfmt.toml",
    ]));
    assert_eq!((made, changed), (expected, set(&[])));
    let members = "[[package]]\nname = 'user'\nversion = '0.1.0'\n";
    assert_eq!(place.read("app/Cargo.lock"), place.read("bulkhead/Cargo.lock").replace(members, ""));

    let (manifest, workspace) = (place.read("app/bulkhead.toml"), place.read("app/Cargo.toml"));
    let [made, changed] = place.make("my-notes-2");
    assert_eq!((made.len(), changed), (8, set(&["bulkhead.toml"])));
    assert!(made.contains("components/my-notes-2/tests/my-notes-2.rs"));
    assert_eq!(place.read("app/Cargo.toml"), workspace, "a pattern has it");
    let after = place.read("app/bulkhead.toml");
    assert!(after.starts_with(&manifest), "{after}");
    let parsed = Manifest::parse(Path::new("bulkhead.toml"), &after).unwrap();
    assert_eq!(parsed.name, "app");
    let entry = &parsed.services["my-notes-2"];
    assert_eq!(entry.spec.routes, ["/my-notes-2/..."]);
    assert!(entry.spec.grants.publishes.contains("my-notes-2.created"));
    assert_eq!(entry.database.as_deref(), Some(Path::new("my-notes-2.db")));

    for (file, text) in place.files() {
        assert!(!text.contains("{{name") && !text.contains("}}\""), "{}:\n{text}", file.display());
        if file.extension().is_some_and(|extension| extension == "toml") {
            text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
    let metadata: toml::Table = place.read("app/components/my-notes-2/Cargo.toml").parse().unwrap();
    assert_eq!(metadata["package"]["metadata"]["component"]["package"].as_str(), Some("app:my-notes2"));
    assert_eq!(metadata["dependencies"]["bulkhead-sdk"]["workspace"].as_bool(), Some(true));
}

#[test]
fn existing_workspace_is_used_unchanged() {
    let place = Place::new();
    place.write(
        "Cargo.toml",
        "[workspace]\nmembers = [\n    \"app/components/a\",\n]\n\n[workspace.package]\nedition = \"2024\"\n",
    );
    place.write(
        "app/bulkhead.toml",
        "[application]\r\nname = \"shop\"\r\ndata = \"var\"\r\n\r\n[service.a]\r\nsource = \"a.wasm\"",
    );
    let manifest = place.read("app/bulkhead.toml");
    let plan = place.plan("greeter").unwrap();
    plan.carry_out().unwrap();
    assert_eq!(plan.made.len(), 8, "nothing but the crate");
    assert!(
        place
            .read("Cargo.toml")
            .contains("    \"app/components/a\",\n    \"app/components/greeter\",\n]\n\n[w")
    );
    let after = place.read("app/bulkhead.toml");
    let added = after.strip_prefix(&manifest).unwrap();
    assert!(
        added.starts_with("\r\n\r\n[service.greeter]\r\n") && added.contains("sqlite:var/greeter.db"),
        "{added:?}"
    );
    let manifest: toml::Table = place.read("app/components/greeter/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["edition"]["workspace"].as_bool(), Some(true));
    assert_eq!(manifest["package"]["version"].as_str(), Some("0.1.0"));
    // The sources are in the workspace, so their path is relative.
    assert_eq!(
        manifest["dependencies"]["bulkhead-sdk"]["path"].as_str(),
        Some("../../../bulkhead/components/sdk")
    );
    let target = &manifest["package"]["metadata"]["component"]["target"];
    assert_eq!(target["path"].as_str(), Some("../../../bulkhead/wit"));
}

#[test]
fn sources_are_named_as_the_workspace_names_them() {
    for (sdk, expected) in
        [("../bulkhead", "../../../bulkhead/wit".to_owned()), ("", "{}/bulkhead/wit".to_owned())]
    {
        let place = Place::new();
        let root = place.path("").display().to_string();
        let sdk = if sdk.is_empty() { place.path("bulkhead").display().to_string() } else { sdk.to_owned() };
        place.write(
            "app/Cargo.toml",
            &format!(
                "[workspace]\nmembers = ['components/*']\n[workspace.dependencies]\n\
                 bulkhead-sdk = {{ path = '{sdk}/components/sdk' }}\n"
            ),
        );
        let asked =
            Asked { name: "greeter".to_owned(), manifest: place.path("app/bulkhead.toml"), bulkhead: None };
        plan(&asked).unwrap().carry_out().unwrap();
        let made: toml::Table = place.read("app/components/greeter/Cargo.toml").parse().unwrap();
        let path = made["package"]["metadata"]["component"]["target"]["path"].as_str().unwrap();
        assert_eq!(path, expected.replace("{}", root.trim_end_matches('/')));
    }
}

#[test]
fn existing_files_of_an_application_are_kept() {
    let place = Place::new();
    place.write("app/.gitignore", "mine\n");
    place.write("app/rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n");
    let [made, _] = place.make("greeter");
    assert!(!made.contains(".gitignore") && !made.contains("rust-toolchain.toml"), "{made:?}");
    assert_eq!(place.read("app/.gitignore"), "mine\n");
}

#[test]
fn every_mistake_is_reported_before_anything_is_written() {
    const GOOD: &str = "[application]\nname = \"shop\"\n[service.a]\nsource = \"a.wasm\"\n";
    /// A name, the existing files, and the expected message.
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 12] = [
        ("Greeter", &[], "lower-case letters"),
        ("match", &[], "keyword"),
        ("serde", &[], "serde 1.0.0 (a dependency)"),
        ("bulkhead-sdk", &[], "bulkhead-sdk 0.1.0"),
        ("docs", &[], "is the host's own"),
        ("greeter", &[("app/components/greeter", "")], "is there already"),
        ("greeter", &[("app/Cargo.toml", "[package]\nname = 'x'\n")], "has no [workspace]"),
        ("greeter", &[("app/bulkhead.toml", "[application]\n")], "lacks `name`"),
        ("a", &[("app/bulkhead.toml", GOOD)], "bulkhead.toml:3 has it already"),
        (
            "b",
            &[(
                "app/bulkhead.toml",
                "[application]\nname = \"s\"\n[service.a]\nsource = \"a.wasm\"\nroutes = [\"/b/...\"]\n",
            )],
            "/b/... is a route of a already",
        ),
        ("b", &[("app/bulkhead.toml", GOOD), ("app/Cargo.toml", "[workspace]\n")], "has no `members`"),
        (
            "b",
            &[
                ("app/bulkhead.toml", GOOD),
                ("app/Cargo.toml", "[workspace]\nmembers = []\n"),
                ("app/Cargo.lock", "[[package]]\nname = 'b'\nversion = '2.0.0'\n"),
            ],
            "b 2.0.0 (in this workspace)",
        ),
    ];
    for (name, files, expected) in cases {
        let place = Place::new();
        for (file, text) in files {
            place.write(file, text);
        }
        let before = place.files();
        let error = place.plan(name).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(place.files(), before, "{name}");
    }
}

#[test]
fn service_names_of_the_bulkhead_workspace_may_be_reused() {
    Place::new().make("user");
    let place = Place::new();
    place.make("greeter");
    place.make("user");
}

#[test]
fn created_files_are_removed_if_the_rest_cannot_be_written() {
    let place = Place::new();
    let plan = place.plan("greeter").unwrap();
    // Another process is faster.
    place.write("app/bulkhead.toml", "theirs");
    let error = plan.carry_out().unwrap_err().to_string();
    assert!(error.contains("bulkhead.toml"), "{error}");
    assert_eq!(place.files(), [(place.path("app/bulkhead.toml"), "theirs".to_owned())]);
    assert!(!place.path("app/components").exists(), "folders go as well");
}
