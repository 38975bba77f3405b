//! `bulkhead new`: what it makes is built, served and heard of as it is, and a mistake leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use bulkhead_tests::{Finished, Host, Site, host, paths};
use serde_json::{Value, json};

/// A folder outside of the project, without anything in it.
struct Application {
    site: Site,
    target: String,
}

impl Application {
    fn new() -> Self {
        let site = Site::of_text("");
        fs::remove_file(site.manifest()).unwrap();
        fs::remove_dir_all(site.data()).unwrap();
        // What the project's guests depend on is built there already.
        Self { site, target: paths::target().unwrap().to_str().unwrap().to_owned() }
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let manifest = self.site.manifest();
        let arguments = [arguments, &["--manifest", manifest.to_str().unwrap()]].concat();
        host::run_with(&arguments, &[("CARGO_TARGET_DIR", &self.target)])
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> Finished {
        let finished = self.run(arguments);
        finished.says(0, &[]);
        finished
    }

    fn start(&self) -> Host {
        let manifest = self.site.manifest();
        let arguments = [
            ["up", "--manifest", manifest.to_str().unwrap()],
            ["--listen", "127.0.0.1:0", "--admin"],
            ["127.0.0.1:0", "--log", "info"],
        ];
        self.site.start_as(&arguments.concat(), &[("CARGO_TARGET_DIR", &self.target)])
    }

    /// The application's files, with their texts, but for what is built and what a host keeps.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.site.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("data") {
                    continue;
                }
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

/// The services' names, which no other test gives to a component in the same folder.
const FIRST: &str = "scaffold-first";
const SECOND: &str = "scaffold2";

#[test]
fn new_service_is_built_and_served_and_its_events_are_listed() {
    let application = Application::new();
    let made = application.succeed(&["new", FIRST]);
    for said in [
        "bulkhead.toml",
        "src/http.rs",
        "tests/scaffold-first.rs",
        "cargo test",
        "bulkhead build",
        "bulkhead up",
    ] {
        assert!(made.stdout.contains(said), "{said}: {}", made.stdout);
    }
    application.succeed(&["build"]);
    let host = application.start();
    let mut client = host.client();
    let path = format!("/{FIRST}");
    let answer = client.post(&path, &json!({"text": " a  b "}));
    let entry = answer.expect(201);
    let id = entry["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&entry["text"], answer.header("location")),
        (&json!("a b"), Some(format!("{path}/{id}").as_str()))
    );
    assert_eq!(client.get(&format!("{path}/{id}")).expect(200), entry);
    client.post(&path, &json!({"text": "c"})).expect(201);
    let page = client.get(&format!("{path}?limit=1")).expect(200);
    assert_eq!(page["items"][0]["text"], "c", "the newest first");
    let next = format!("{path}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let page = client.get(&next).expect(200);
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([entry]), &Value::Null));
    client.post(&path, &json!({"text": " ", "size": 1})).invalid(&["text", "size"]);
    client.get(&format!("{path}/{}", "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60")).problem(404, "not-found");

    let events = application.succeed(&["events", FIRST, "--json"]).stdout;
    let events: Value = serde_json::from_str(&events).unwrap();
    let listed = events["items"].as_array().expect("events");
    assert_eq!(listed.len(), 2, "{events}");
    assert_eq!((&listed[1]["type"], &listed[1]["subject"]), (&json!(format!("{FIRST}.created")), &json!(id)));
    host.stop();

    // Another one, beside it.
    let manifest = fs::read_to_string(application.site.manifest()).unwrap();
    application.succeed(&["new", SECOND]);
    let longer = fs::read_to_string(application.site.manifest()).unwrap();
    assert!(longer.starts_with(&manifest) && longer.contains("[service.scaffold2]"), "{longer}");
    application.succeed(&["build", SECOND]);
    let doctor = application.succeed(&["doctor", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).stdout;
    assert!(doctor.contains("✓ service scaffold2") && doctor.contains("✓ bindings"), "{doctor}");
    let host = application.start();
    let mut client = host.client();
    client.post("/scaffold2", &json!({"text": "d"})).expect(201);
    assert_eq!(client.get(&format!("{path}/{id}")).expect(200), entry, "what was kept is there");
    let document = client.get("/openapi.json").expect(200);
    assert!(document["paths"]["/scaffold2/{id}"].is_object() && document["paths"][&path].is_object());
    host.stop();
}

#[test]
fn mistake_is_reported_and_nothing_is_written() {
    let application = Application::new();
    for (name, texts) in [
        ("Greeter", ["Greeter", "lower-case letters"]),
        ("match", ["match", "keyword"]),
        ("serde", ["serde", "choose another name"]),
        ("docs", ["docs", "the host's own"]),
    ] {
        application.run(&["new", name]).says(1, &texts);
    }
    let nowhere = application.site.path("nowhere");
    application
        .run(&["new", "greeter", "--bulkhead", nowhere.to_str().unwrap()])
        .says(1, &["nowhere", "--bulkhead DIR"]);
    for (manifest, expected) in [("app.yaml", "bulkhead.toml"), ("", "ends with .toml")] {
        let manifest = application.site.path(manifest);
        host::run(&["new", "greeter", "--manifest", manifest.to_str().unwrap()])
            .says(1, &[".toml", expected]);
    }
    assert_eq!(application.files(), []);

    application.succeed(&["new", "greeter"]);
    let before = application.files();
    application.run(&["new", "greeter"]).says(1, &["greeter", "has it already"]);
    fs::create_dir(application.site.path("components/other")).unwrap();
    application.run(&["new", "other"]).says(1, &["components/other", "is there already"]);
    assert_eq!(application.files(), before);
}

#[test]
fn service_names_of_the_shop_may_be_reused() {
    let application = Application::new();
    for name in ["greeter", "order", "product", "report", "user"] {
        application.succeed(&["new", name]);
    }
}

#[test]
fn folder_of_an_application_gets_no_second_one_unless_its_manifest_is_named() {
    let application = Application::new();
    application.succeed(&["new", "greeter"]);
    let before = application.files();
    let below = application.site.path("components/greeter/src");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(paths::program("bulkhead"));
        let output = command.args(arguments).current_dir(&below).env_remove("BULKHEAD_MANIFEST").output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let root = application.site.path("").canonicalize().unwrap();
    let expected = format!("there is an application in {}", root.to_str().unwrap().trim_end_matches('/'));
    for arguments in [&["new", "other"][..], &["doctor"]] {
        let (status, text) = run(arguments);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(&expected) && text.contains("name its manifest with --manifest"), "{text}");
        assert!(!text.contains("bulkhead new"), "{text}");
    }
    assert_eq!(application.files(), before);
    let (status, text) = run(&["new", "other", "--manifest", "./bulkhead.toml"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(below.join("components/other/Cargo.toml").is_file());
}
