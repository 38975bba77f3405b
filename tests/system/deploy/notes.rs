//! The service `changing` while it is deployed to: what an operator asks of it, and a client that goes on meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bulkhead_tests::admin::until;
use bulkhead_tests::{Answer, Client, Host, Manifest, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::admin::operator;

/// So many further answers show that a client goes on.
const GOES_ON: u64 = 20;

/// The guests, with more time than any busy machine needs.
pub(super) fn manifest() -> Manifest {
    ["changing", "watching"].iter().fold(Manifest::changing(), |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest.set(&format!("{limits}.request_timeout"), "50s").set(&format!("{limits}.lease_hold"), "10s")
    })
}

/// An operator of a host.
pub(super) struct Operator {
    client: Client,
}

impl Operator {
    pub(super) fn of(site: &Site, host: &Host) -> Operator {
        Operator { client: operator(site, host) }
    }

    #[track_caller]
    pub(super) fn get(&mut self, path: &str) -> Value {
        self.client.get(path).expect(200)
    }

    #[track_caller]
    pub(super) fn post(&mut self, path: &str) -> Answer {
        self.client.send(Method::POST, path, &[], Bytes::new())
    }

    /// Asks for a deploy; an error where the host is gone. `query` has what is asked beside.
    pub(super) fn try_deploy(&mut self, service: &str, file: &Path, query: &str) -> Result<Answer, String> {
        let component = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let path = format!("/api/deploys/{service}?{query}");
        self.client.try_send(Method::POST, &path, &[], component.into())
    }

    /// Asks for a deploy of `changing`.
    #[track_caller]
    pub(super) fn ask(&mut self, file: &Path, query: &str) -> Answer {
        self.try_deploy("changing", file, query).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Deploys, which works.
    #[track_caller]
    pub(super) fn deploy(&mut self, file: &Path) -> Value {
        let deployed = self.ask(file, "").expect(200);
        assert_eq!(deployed["outcome"], "deployed", "{deployed}");
        deployed
    }

    /// Asks for the way back; an error where the host is gone.
    pub(super) fn try_roll_back(&mut self, query: &str) -> Result<Answer, String> {
        self.client.try_send(Method::POST, &format!("/api/rollbacks/changing?{query}"), &[], Bytes::new())
    }

    /// Goes back, which works.
    #[track_caller]
    pub(super) fn roll_back(&mut self, query: &str) -> Value {
        let answer = self.try_roll_back(query).unwrap_or_else(|error| panic!("no answer: {error}"));
        let deployed = answer.expect(200);
        assert_eq!(deployed["outcome"], "deployed", "{deployed}");
        deployed
    }

    /// The versions, the last first. One is active, and it is the first.
    #[track_caller]
    pub(super) fn versions(&mut self, service: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/versions/{service}"));
        let items = list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}")).clone();
        let active: Vec<usize> = (0..items.len()).filter(|place| items[*place]["active"] == true).collect();
        assert_eq!(active, [0], "{list}");
        items
    }

    /// The version that serves, which is the active one but for the moment between the commit and the switch.
    #[track_caller]
    pub(super) fn serving(&mut self, service: &str) -> Value {
        let status = self.get("/api/status");
        let services = status["services"].as_array().unwrap_or_else(|| panic!("no services: {status}"));
        let this = services.iter().find(|it| it["name"] == service);
        this.unwrap_or_else(|| panic!("no {service}: {status}"))["version"].clone()
    }

    /// Waits until the last version came about in this way, and serves. Gives it.
    #[track_caller]
    pub(super) fn until_last_is(&mut self, service: &str, how: &str) -> Value {
        until(&format!("the last version of {service} came about by {how}"), || {
            let last = self.versions(service).remove(0);
            (last["how"] == how && self.serving(service) == last["version"]).then_some(last)
        })
    }

    /// Waits until `watching` has taken all that there is.
    #[track_caller]
    pub(super) fn until_consumed(&mut self) {
        until("watching takes all that changing published", || {
            let status = self.get("/api/status");
            let subscriptions = status["subscriptions"].as_array().expect("subscriptions");
            subscriptions
                .iter()
                .all(|subscription| subscription["lag"] == 0 && subscription["parked"] == 0)
                .then_some(())
        });
    }
}

/// What a version says of itself and of what it finds. Its code and its schema belong together.
#[track_caller]
pub(super) fn number_of(reported: &Value) -> u64 {
    let columns: Vec<&str> =
        reported["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
    let has_mood = match columns[..] {
        ["place", "id", "text", "number"] => false,
        ["place", "id", "text", "number", "mood"] => true,
        _ => panic!("what schema is this: {reported}"),
    };
    assert_eq!(reported["expects_mood"], has_mood, "code and schema of two versions: {reported}");
    reported["number"].as_u64().expect("a number")
}

/// The version that serves: its number, and whether it knows moods.
#[track_caller]
pub(super) fn serving(client: &mut Client) -> (u64, bool) {
    let reported = client.get("/changing/version").expect(200);
    (number_of(&reported), reported["expects_mood"] == true)
}

/// Who gave an answer: `changing@` and the version.
#[track_caller]
pub(super) fn label(answer: &Answer) -> String {
    answer.header("bulkhead-version").unwrap_or_else(|| panic!("no version: {answer}")).to_owned()
}

#[track_caller]
pub(super) fn write(client: &mut Client) -> String {
    let written = client.post("/changing/notes", &json!({"text": "any"})).expect(201);
    number_of(&written);
    written["id"].as_str().expect("an id").to_owned()
}

/// What a client was answered.
#[derive(Default)]
pub(super) struct Seen {
    /// The notes that were acknowledged.
    pub(super) notes: BTreeSet<String>,
    /// Who gave the answers.
    pub(super) labels: BTreeSet<String>,
}

/// A client that reads and writes in turns until it is told to end, or until the host has ended. Each answer is a good one, from a version
/// with its own schema, or else its test fails.
pub(super) struct Traffic {
    ends: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    client: JoinHandle<(Seen, Option<String>)>,
}

impl Traffic {
    pub(super) fn start(host: &Host) -> Traffic {
        let (ends, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = thread::spawn({
            let (client, ends, answers) = (host.client(), Arc::clone(&ends), Arc::clone(&answers));
            move || go_on(client, &ends, &answers)
        });
        Traffic { ends, answers, client }
    }

    /// How many answers there were.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// Waits until so many answers came that somebody goes on.
    #[track_caller]
    pub(super) fn goes_on(&self) {
        let before = self.answers();
        until("a client goes on getting good answers", || {
            (self.answers() >= before + GOES_ON || self.client.is_finished()).then_some(())
        });
        assert!(!self.client.is_finished(), "the client has ended");
    }

    /// Has it end, and gives what it saw.
    #[track_caller]
    pub(super) fn end(self) -> Seen {
        self.ends.store(true, Ordering::Release);
        let (seen, broken) = self.client.join().expect("the client got good answers alone");
        assert_eq!(broken, None, "a request was not answered as it should be");
        seen
    }

    /// Waits until the host is gone, and gives what it saw until then.
    #[track_caller]
    pub(super) fn end_with_host(self) -> Seen {
        let (seen, broken) = self.client.join().expect("the client got good answers alone");
        assert!(broken.is_some(), "the host was still there");
        seen
    }
}

fn go_on(mut client: Client, ends: &AtomicBool, answers: &AtomicU64) -> (Seen, Option<String>) {
    let mut seen = Seen::default();
    let headers = [("content-type", "application/json")];
    let mut ask = |method: Method, path: &str, body: &'static str| {
        let answer = client.try_send(method, path, &headers, Bytes::from_static(body.as_bytes()))?;
        // A host that stops says that nothing was done.
        if answer.status == 503 { Err(answer.to_string()) } else { Ok(answer) }
    };
    while !ends.load(Ordering::Acquire) {
        let reported = match ask(Method::GET, "/changing/version", "") {
            Ok(answer) => answer,
            Err(error) => return (seen, Some(error)),
        };
        number_of(&reported.expect(200));
        let written = match ask(Method::POST, "/changing/notes", "{\"text\": \"any\"}") {
            Ok(answer) => answer,
            Err(error) => return (seen, Some(error)),
        };
        let note = written.expect(201);
        number_of(&note);
        seen.notes.insert(note["id"].as_str().expect("an id").to_owned());
        seen.labels.extend([label(&reported), label(&written)]);
        answers.fetch_add(2, Ordering::Release);
    }
    (seen, None)
}

/// What a deploy changes, as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The schema and the steps to it.
    pub(super) schema: Vec<String>,
    /// Which version is active, and which were.
    pub(super) activations: Vec<String>,
    /// The files beside the database.
    pub(super) files: BTreeSet<String>,
}

impl Stored {
    #[track_caller]
    pub(super) fn of(site: &Site) -> Stored {
        let connection = database::open(&site.database("changing"));
        let texts = |sql: &str| database::texts(&connection, sql);
        let mut schema = texts("SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY name");
        schema.extend(texts("SELECT version || name || sha256 FROM _bulkhead_migration ORDER BY version"));
        let activations =
            texts("SELECT number || ' ' || sha256 || ' ' || how FROM _bulkhead_version ORDER BY number");
        let folder = std::fs::read_dir(site.data().join("versions/changing")).expect("a folder of versions");
        let files = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
        Stored { schema, activations, files: files.collect() }
    }
}

/// Checks that these notes, and no others, are there, that each was published once, and that each event took effect once.
#[track_caller]
pub(super) fn check_notes(site: &Site, acknowledged: &BTreeSet<String>) {
    let changing = database::open(&site.database("changing"));
    database::check(&changing);
    let notes = database::texts(&changing, "SELECT id FROM note ORDER BY id");
    let there: BTreeSet<String> = notes.iter().cloned().collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    let events = database::texts(&changing, "SELECT subject FROM _bulkhead_outbox ORDER BY subject");
    assert!(notes == events, "{} notes and {} events", notes.len(), events.len());
    let watching = database::open(&site.database("watching"));
    let consumed = database::texts(&watching, "SELECT note_id FROM seen WHERE arrivals = 1 ORDER BY note_id");
    assert!(
        notes == consumed,
        "{} notes, and {} of their events took effect once",
        notes.len(),
        consumed.len()
    );
}
