//! `bulkhead doctor`: each thing that keeps an application from starting is caused here, and is found, with what to do.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bulkhead_tests::{Manifest, Site, database, host, paths, versions};
use serde_json::Value;

/// What was looked at.
struct Looked {
    status: i32,
    checks: Vec<Value>,
}

impl Looked {
    /// The state of what has this name, the worst where there are several.
    #[track_caller]
    fn state(&self, name: &str) -> &str {
        let states: Vec<&str> =
            self.named(name).map(|check| check["state"].as_str().expect("a state")).collect();
        let worst = ["wrong", "warning", "ok"].into_iter().find(|state| states.contains(state));
        worst.unwrap_or_else(|| panic!("nothing is called {name}: {:#?}", self.checks))
    }

    fn named<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l Value> {
        self.checks.iter().filter(move |check| check["name"] == name)
    }

    /// One of what has this name is in this state, and found and remedy together contain the texts.
    #[track_caller]
    fn says(&self, name: &str, state: &str, texts: &[&str]) {
        let fits = |check: &Value| {
            let all = format!("{} {}", check["found"], check["remedy"]);
            check["state"] == state && texts.iter().all(|text| all.contains(text))
        };
        assert!(self.named(name).any(fits), "{name} {state} {texts:?}: {:#?}", self.checks);
        assert_eq!(self.status, i32::from(self.checks.iter().any(|check| check["state"] == "wrong")));
    }
}

/// Asks the doctor about a site, on a port that is free. What is not as it should be has a remedy, whatever it is.
#[track_caller]
fn look(site: &Site, arguments: &[&str], environment: &[(&str, &str)]) -> Looked {
    let (manifest, data, target) = (site.manifest(), site.data(), site.path("target"));
    let mut all = vec!["doctor", "--json", "--manifest", manifest.to_str().unwrap()];
    for (option, value) in
        [("--data", data.to_str().unwrap()), ("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0")]
    {
        if !arguments.contains(&option) {
            all.extend([option, value]);
        }
    }
    all.extend(arguments);
    let environment = [&[("CARGO_TARGET_DIR", target.to_str().unwrap())], environment].concat();
    let finished = host::run_with(&all, &environment);
    let checks: Vec<Value> = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", finished.stdout, finished.stderr));
    for check in &checks {
        let remedy = check["remedy"].as_str().unwrap_or_default();
        assert_eq!(
            check["state"] == "ok",
            remedy.is_empty(),
            "a remedy is there exactly when it is needed: {check}"
        );
    }
    Looked { status: finished.status.code().expect("a status"), checks }
}

/// A guest with a database.
fn manifest() -> Manifest {
    Manifest::events().only(&["source"])
}

#[test]
fn doctor_finds_nothing_and_creates_nothing_if_everything_is_in_place() {
    let site = Site::new(&manifest());
    fs::remove_dir_all(site.data()).unwrap();
    let looked = look(&site, &[], &[]);
    assert_eq!(looked.status, 0, "{:#?}", looked.checks);
    for name in ["host", "manifest", "data folder", "port listen", "port admin", "service source"] {
        assert_eq!(looked.state(name), "ok", "{name}");
    }
    looked.says("host", "ok", &["wasmtime", "SQLite 3.", env!("CARGO_PKG_VERSION")]);
    assert!(!site.data().exists(), "a look makes no folder");

    // For people: a line for each, with a mark.
    let manifest = site.manifest();
    let arguments =
        ["doctor", "--manifest", manifest.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin"];
    let finished = host::run(&[&arguments[..], &["127.0.0.1:0"]].concat());
    finished.says(0, &[]);
    let line = finished.stdout.lines().find(|line| line.contains("service source")).expect("a line");
    assert!(line.starts_with("✓ service source  "), "{line}");
}

#[test]
fn missing_or_wrong_manifest_is_reported_with_all_its_mistakes() {
    let site = Site::of_text(
        &manifest()
            .text()
            .replace("[application]", "[application]\ncolour = \"red\"")
            .replace("sqlite:", "postgres:"),
    );
    let looked = look(&site, &[], &[]);
    looked.says("manifest", "wrong", &["bulkhead.toml:", "colour"]);
    looked.says("manifest", "wrong", &["bulkhead.toml:", "postgres:", "write for example"]);
    assert_eq!(looked.state("host"), "ok");
    fs::remove_file(site.manifest()).unwrap();
    look(&site, &[], &[]).says("manifest", "wrong", &["there is no", "bulkhead new"]);
}

#[test]
fn port_in_use_by_another_process_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new(&manifest());
    look(&site, &["--listen", &address], &[]).says(
        "port listen",
        "wrong",
        &[&address, "--listen", "stop it"],
    );
    look(&site, &["--admin", &address], &[]).says("port admin", "wrong", &[&address, "--admin"]);
    look(&site, &["--listen", "192.0.2.1:80"], &[]).says(
        "port listen",
        "wrong",
        &["192.0.2.1:80", "--listen"],
    );
    let both = ["--listen", "127.0.0.1:9099", "--admin", "127.0.0.1:9099"];
    look(&site, &both, &[]).says("port admin", "wrong", &["127.0.0.1:9099", "listen", "other ports"]);
    look(&site, &["--admin", "0.0.0.0:0"], &[]).says("port admin", "wrong", &["other machines", "127.0.0.1"]);
    // Without being asked for one, a host that starts takes another.
    site.write_manifest(&manifest().set("application.admin", address.as_str()).text());
    let path = site.manifest();
    let arguments = ["doctor", "--json", "--listen", "127.0.0.1:0", "--manifest", path.to_str().unwrap()];
    let finished = host::run(&arguments);
    finished.says(0, &[]);
    assert!(finished.stdout.contains("takes another one"), "{}", finished.stdout);
}

#[test]
fn running_host_is_distinguished_from_a_host_of_another_data_folder() {
    let site = Site::new(&manifest());
    let running = site.start();
    let listen = running.address().to_string();
    let admin = running.admin_address().unwrap().to_string();
    let looked = look(&site, &["--listen", &listen], &[]);
    looked.says("lock", "warning", &["another host", &admin, "stop it", "--data"]);
    looked.says("port listen", "warning", &[&listen, "runs already"]);
    look(&Site::new(&manifest()), &["--listen", &listen], &[]).says(
        "port listen",
        "wrong",
        &[&listen, "does not hold this data folder"],
    );
    running.client().get("/source/ready").expect(200);
    running.stop();
    let looked = look(&site, &["--listen", &listen], &[]);
    assert_eq!((looked.status, looked.state("port listen")), (0, "ok"));
    assert_eq!(looked.named("lock").count(), 0, "{:#?}", looked.checks);
    assert_eq!(looked.state("database source"), "ok");
}

#[test]
fn unusable_data_folder_is_reported() {
    let site = Site::new(&manifest());
    let file = site.path("a-regular-file");
    fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("data")] {
        let data = data.to_str().unwrap();
        look(&site, &["--data", data], &[]).says("data folder", "wrong", &["a-regular-file", "--data"]);
    }
    // Root may write anywhere.
    let sealed = site.path("sealed");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, Permissions::from_mode(0o555)).unwrap();
    if fs::write(sealed.join("probe"), "").is_err() {
        for data in [sealed.clone(), sealed.join("data")] {
            look(&site, &["--data", data.to_str().unwrap()], &[]).says(
                "data folder",
                "wrong",
                &["sealed", "--data"],
            );
        }
    }
    let cache = site.data().join("cache");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
    look(&site, &[], &[]).says("cache", "warning", &["nobody else may write", "rm -r"]);
}

#[test]
fn database_that_this_host_cannot_open_is_reported() {
    let site = Site::new(&manifest());
    site.start().stop();
    let before: Vec<_> = names(&site.data());
    assert_eq!(look(&site, &[], &[]).state("database source"), "ok");
    assert_eq!(names(&site.data()), before, "a look leaves nothing behind");
    database::open_to_break(&site.database("source")).pragma_update(None, "user_version", 99).unwrap();
    look(&site, &[], &[]).says(
        "database source",
        "wrong",
        &["source.db", "version 99", "a later host", "run that one"],
    );
    fs::write(site.database("source"), "this is a letter, and not a database. ".repeat(100)).unwrap();
    look(&site, &[], &[]).says("database source", "wrong", &["source.db", "not a database"]);
}

/// What keeps a start from going on is told beforehand.
#[test]
fn database_whose_schema_differs_from_the_component_is_reported() {
    let site = Site::new(&Manifest::events().only(&["source", "witness"]));
    site.start().stop();
    look(&site, &[], &[]).says("service witness", "ok", &[]);
    fs::copy(site.database("source"), site.database("witness")).unwrap();
    look(&site, &[], &[]).says("service witness", "wrong", &["witness.db"]);
    site.fail_to_start().says(1, &["service.witness", "witness.db"]);

    let site = Site::new(&Manifest::changing());
    let with = |number, what| {
        let file = versions::changing(&site, number, what);
        Manifest::changing().only(&["changing"]).set("service.changing.source", file.to_str().unwrap())
    };
    site.write_manifest(&with(2, "column").text());
    site.start().stop();
    look(&site, &[], &[]).says("service changing", "ok", &[]);
    site.write_manifest(&with(1, "plain").text());
    look(&site, &[], &[]).says("service changing", "wrong", &["changing.db"]);
    site.fail_to_start().says(1, &["service.changing", "changing.db"]);
}

#[test]
fn wal_without_its_index_is_read_and_only_the_index_is_created() {
    let (site, copy) = (Site::new(&manifest()), Site::new(&manifest()));
    site.start().stop();
    let open = database::open_to_break(&site.database("source"));
    open.pragma_update(None, "user_version", 99).unwrap();
    let name = |suffix: &str| format!("data/source.db{suffix}");
    fs::remove_dir_all(copy.data().join("cache")).unwrap();
    for suffix in ["", "-wal"] {
        fs::copy(site.path(&name(suffix)), copy.path(&name(suffix))).unwrap();
    }
    let read = || ["", "-wal"].map(|suffix| fs::read(copy.path(&name(suffix))).unwrap());
    let before = read();
    look(&copy, &[], &[]).says("database source", "wrong", &["version 99"]);
    assert_eq!(names(&copy.data()), ["source.db", "source.db-shm", "source.db-wal"]);
    assert_eq!(read(), before);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn component_that_is_missing_or_contradicts_the_manifest_is_reported() {
    let with = |manifest: &Manifest| look(&Site::new(manifest), &[], &[]);
    with(&manifest().set("service.source.source", "nowhere.wasm")).says(
        "service source",
        "wrong",
        &["nowhere.wasm", "name the component's file"],
    );
    with(&manifest().set("service.source.source", "components/source")).says(
        "service source",
        "wrong",
        &["there is no crate", "components/source"],
    );
    with(&manifest().without("service.source.subscribes")).says(
        "service source",
        "wrong",
        &["subscribes to source.rung", "does not list source.rung in `subscribes`", "add", "to subscribes"],
    );
    let site = Site::new(&manifest().set("service.source.source", "module.wasm"));
    fs::write(site.path("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    look(&site, &[], &[]).says("service source", "wrong", &["module.wasm", "bulkhead build"]);
}

/// A service whose source is a crate, and its component, which was built elsewhere.
fn built() -> Site {
    let site = Site::new(&manifest().set("service.source.source", "source"));
    for folder in ["source/src", "target/components"] {
        fs::create_dir_all(site.path(folder)).unwrap();
    }
    fs::write(site.path("source/Cargo.toml"), "[package]\nname = 'source'\n").unwrap();
    fs::write(site.path("source/src/lib.rs"), "").unwrap();
    fs::copy(paths::component("source"), site.path("target/components/source.wasm")).unwrap();
    let made_of = ["source/Cargo.toml", "source/src/lib.rs"]
        .map(|file| site.path(file).canonicalize().unwrap().to_str().unwrap().to_owned());
    fs::write(site.path("target/components/source.built"), made_of.join("\n")).unwrap();
    site
}

#[test]
fn component_is_stale_after_a_source_change_and_missing_before_its_build() {
    let site = built();
    let changed = |file: &str, age: u64| {
        let time = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(site.path(file)).unwrap().set_modified(time).unwrap();
    };
    changed("source/Cargo.toml", 100);
    changed("source/src/lib.rs", 100);
    changed("target/components/source.built", 50);
    assert_eq!(look(&site, &[], &[]).state("service source"), "ok");
    changed("source/src/lib.rs", 10);
    look(&site, &[], &[]).says(
        "service source",
        "warning",
        &["older than", "lib.rs", "bulkhead build source"],
    );
    // A file that is gone has no age.
    fs::remove_file(site.path("source/src/lib.rs")).unwrap();
    look(&site, &[], &[]).says(
        "service source",
        "warning",
        &["was made of", "lib.rs, which is gone", "bulkhead build source"],
    );
    fs::remove_file(site.path("target/components/source.wasm")).unwrap();
    look(&site, &[], &[]).says("service source", "wrong", &["source.wasm", "bulkhead build source"]);
}

#[test]
fn missing_build_tools_are_an_error_only_if_there_is_something_to_build() {
    let unknown = [("BULKHEAD_GUEST_TOOLCHAIN", "stone")];
    look(&built(), &[], &unknown).says("toolchain", "wrong", &["`stone`", "unset"]);
    let looked = look(&Site::new(&manifest()), &[], &unknown);
    looked.says("toolchain", "warning", &["`stone`"]);
    assert_eq!(looked.status, 0);
    // Whatever else there is: no toolchain is found on an empty PATH, and how to get one is said.
    look(&built(), &[], &[("PATH", ""), ("BULKHEAD_GUEST_TOOLCHAIN", "rustup")]).says(
        "toolchain",
        "wrong",
        &["no `rustc` on PATH", "rustup target add"],
    );
    let site = built();
    fs::write(
        site.path("Cargo.lock"),
        "[[package]]\nname = 'bulkhead-sdk'\nversion = '0.1.0'\ndependencies = ['wit-bindgen']\n\
         [[package]]\nname = 'wit-bindgen'\nversion = '0.1.2'\n",
    )
    .unwrap();
    look(&site, &[], &[]).says("bindings", "wrong", &["wit-bindgen 0.1.2", "Cargo.lock"]);
}

#[test]
fn unset_variable_that_the_manifest_names_is_reported() {
    let secret = toml::Table::from_iter([("env".to_owned(), "DOCTOR_TEST_SECRET".into())]);
    let site = Site::new(&manifest().set("service.source.secrets.key", secret));
    let looked = look(&site, &[], &[]);
    looked.says("variable DOCTOR_TEST_SECRET", "warning", &["source", "DOCTOR_TEST_SECRET"]);
    assert_eq!(looked.status, 0);
    let set = look(&site, &[], &[("DOCTOR_TEST_SECRET", "x")]);
    assert_eq!(set.state("variable DOCTOR_TEST_SECRET"), "ok");
}
