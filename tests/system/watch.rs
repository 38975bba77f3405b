//! `bulkhead up --watch`: a changed source is built and serves, and so do a changed component file and a changed manifest.

use std::fs;
use std::path::{Path, PathBuf};

use bulkhead_tests::admin::until;
use bulkhead_tests::{Client, Host, Manifest, Site, paths, versions};
use toml::{Table, Value};

fn number(client: &mut Client) -> u64 {
    client.get("/changing/version").expect(200)["number"].as_u64().unwrap()
}

#[track_caller]
fn until_number(client: &mut Client, expected: u64) {
    until(&format!("version {expected} serves"), || (number(client) == expected).then_some(()));
}

fn only_changing() -> Manifest {
    Manifest::changing().only(&["changing"])
}

#[test]
fn changed_component_or_manifest_takes_effect() {
    let site = Site::new(&only_changing());
    let file = site.path("changing.wasm");
    fs::copy(versions::changing(&site, 1, "plain"), &file).unwrap();
    let manifest = only_changing().set("service.changing.source", file.to_str().unwrap());
    site.write_manifest(&manifest.text());
    let host = site.start_with(&["--watch"]);
    let mut client = host.client();
    assert_eq!(number(&mut client), 1);

    // Put in its place, as a build does, and then written over.
    fs::rename(versions::changing(&site, 2, "column"), &file).unwrap();
    until_number(&mut client, 2);
    fs::copy(versions::changing(&site, 3, "column"), &file).unwrap();
    until_number(&mut client, 3);
    // One that is refused changes nothing, and is told of.
    fs::rename(versions::changing(&site, 4, "column trap-at-start"), &file).unwrap();
    until("the reason", || host.stderr().contains("what was changed does not serve").then_some(()));
    assert_eq!(number(&mut client), 3);

    assert_eq!(client.get("/more").header("bulkhead-version"), None);
    let routes = vec!["/changing/...", "/more"];
    site.write_manifest(&manifest.set("service.changing.routes", routes).text());
    until("the new route", || client.get("/more").header("bulkhead-version").map(drop));
    host.stop();
}

/// The manifest is found where the host runs, and names what lies beside it.
#[test]
fn files_beside_a_manifest_named_without_a_folder_are_watched() {
    let site = Site::new(&only_changing());
    fs::copy(versions::changing(&site, 1, "plain"), site.path("changing.wasm")).unwrap();
    let manifest = only_changing().set("service.changing.source", "changing.wasm");
    site.write_manifest(&manifest.text());
    let host = site.start_within(&["up", "--watch", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut client = host.client();
    assert_eq!(number(&mut client), 1);

    fs::rename(versions::changing(&site, 2, "column"), site.path("changing.wasm")).unwrap();
    until_number(&mut client, 2);
    let routes = vec!["/changing/...", "/more"];
    site.write_manifest(&manifest.set("service.changing.routes", routes).text());
    until("the new route", || client.get("/more").header("bulkhead-version").map(drop));
    host.stop();
}

/// A workspace of its own with the guest's crate, built into the target folder that all share, so that only that crate is compiled.
struct Crate {
    site: Site,
    target: PathBuf,
}

/// What the service is called: its component has that name in the folder that others use as well.
const SERVICE: &str = "watched";

impl Crate {
    fn new() -> Crate {
        let manifest = only_changing().text().replace("service.changing]", &format!("service.{SERVICE}]"));
        let mut manifest: Table = manifest.parse().unwrap();
        manifest["service"][SERVICE]["source"] = SERVICE.into();
        let site = Site::of_text(&manifest.to_string());
        let from = paths::root().join("tests/guests/changing");
        copy(&from, &site.path(SERVICE));
        let mut workspace: Table =
            fs::read_to_string(paths::root().join("Cargo.toml")).unwrap().parse().unwrap();
        workspace["workspace"]["members"] = vec![SERVICE].into();
        let dependencies = workspace["workspace"]["dependencies"].as_table_mut().unwrap();
        for path in dependencies.iter_mut().filter_map(|(_, dependency)| dependency.get_mut("path")) {
            *path = Value::from(paths::root().join(path.as_str().unwrap()).to_str().unwrap());
        }
        fs::write(site.path("Cargo.toml"), workspace.to_string()).unwrap();
        fs::copy(paths::root().join("Cargo.lock"), site.path("Cargo.lock")).unwrap();
        let component = paths::component("changing");
        let target = component.parent().and_then(Path::parent).unwrap().to_owned();
        Crate { site, target }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [("CARGO_TARGET_DIR", self.target.to_str().unwrap())]
    }

    fn change(&self, from: &str, to: &str) {
        let file = self.site.path(SERVICE).join("src/version.rs");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from:?} is not in {}", file.display());
        fs::write(&file, text.replace(from, to)).unwrap();
    }

    fn start(&self) -> Host {
        let (manifest, data) = (self.site.manifest(), self.site.data());
        let arguments = ["up", "--watch", "--manifest", manifest.to_str().unwrap()];
        let places = ["--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        self.site.start_as(&[arguments.as_slice(), &places].concat(), &self.environment())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

#[test]
fn changed_source_is_built_and_served() {
    let watched = Crate::new();
    let manifest = watched.site.manifest();
    let built = bulkhead_tests::host::run_with(
        &["build", "--manifest", manifest.to_str().unwrap()],
        &watched.environment(),
    );
    assert_eq!(built.status.code(), Some(0), "{}", built.stderr);
    let host = watched.start();
    let mut client = host.client();
    assert_eq!(number(&mut client), 1);

    watched.change("version:1:plain", "version:2:plain");
    until_number(&mut client, 2);
    watched.change("version:2:plain", "version:3:plain\" not Rust");
    let log = until("the compiler's word", || {
        Some(host.stderr()).filter(|log| log.lines().any(|line| line.contains("it can't be built")))
    });
    let record = log.lines().find(|line| line.contains("it can't be built")).unwrap();
    assert!(
        record.contains("service=\"watched\"") && record.contains(" error="),
        "it is one record: {record}"
    );
    assert!(log.lines().any(|line| line.contains("version.rs")), "the compiler says where:\n{log}");
    assert_eq!(number(&mut client), 2, "what served serves on");
    host.stop();
}
