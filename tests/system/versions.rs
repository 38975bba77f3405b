//! The versions that tests of deploys deploy, each as a host finds it at its start: what they are made to do, they do.

mod order;
mod product;

use bulkhead_tests::{Admin, Client, Manifest, Site, database, paths, versions};
use http::Method;
use serde_json::{Value, json};

/// All of a service's schema that a statement can tell apart: tables with their columns and keys, indexes with theirs, triggers.
fn schema(site: &Site, service: &str) -> Vec<String> {
    let connection = database::open(&site.database(service));
    [
        "SELECT t.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '-') || ' ' || c.pk
         FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c ORDER BY t.name, c.cid",
        "SELECT t.name || ' ' || k.\"from\" || ' ' || k.\"table\" || ' ' || coalesce(k.\"to\", '-') || ' ' || k.on_delete
         FROM pragma_table_list AS t, pragma_foreign_key_list(t.name) AS k ORDER BY t.name, k.id, k.seq",
        "SELECT t.name || ' ' || i.name || ' ' || i.\"unique\" || ' ' || coalesce(c.name, '-')
         FROM pragma_table_list AS t, pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c ORDER BY t.name, i.name, c.seqno",
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
    ]
    .iter()
    .flat_map(|statement| database::texts(&connection, statement))
    .collect()
}

/// Undoes the last migration of a service, as an operator could by hand while no host runs.
#[track_caller]
fn undo(site: &Site, service: &str, version: u32, reverse: &str) {
    let file = paths::root().join(reverse);
    let sql = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let connection = database::open_to_break(&site.database(service));
    let record = format!("DELETE FROM _bulkhead_migration WHERE version = {version}");
    connection
        .execute_batch(&format!("PRAGMA foreign_keys = OFF; BEGIN; {sql} {record}; COMMIT"))
        .unwrap_or_else(|error| panic!("{reverse}: {error}"));
    database::check(&connection);
}

/// The guests, with more time than any busy machine needs.
fn manifest() -> Manifest {
    ["changing", "watching"].iter().fold(Manifest::changing(), |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest.set(&format!("{limits}.request_timeout"), "50s").set(&format!("{limits}.lease_hold"), "10s")
    })
}

/// Puts another version of the guest in its place, for the next start.
fn put(site: &Site, number: u32, words: &str) {
    let file = versions::changing(site, number, words);
    site.write_manifest(&manifest().set("service.changing.source", file.to_str().unwrap()).text());
}

fn write(client: &mut Client, text: &str) -> Value {
    client.post("/changing/notes", &json!({"text": text})).expect(201)
}

/// What the version says of itself and of its database.
fn belonging(client: &mut Client) -> (u64, bool, Vec<String>) {
    let reported = client.get("/changing/version").expect(200);
    (reported["number"].as_u64().unwrap(), reported["expects_mood"].as_bool().unwrap(), columns(&reported))
}

fn columns(reported: &Value) -> Vec<String> {
    reported["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

const COLUMNS: [&str; 4] = ["place", "id", "text", "number"];
const COLUMNS_WITH_MOOD: [&str; 5] = ["place", "id", "text", "number", "mood"];

#[test]
fn version_reports_its_number_and_stores_its_notes() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut client = host.client();
    assert_eq!(belonging(&mut client), (1, false, COLUMNS.map(String::from).to_vec()));
    let first = write(&mut client, "one");
    assert_eq!((&first["number"], columns(&first)), (&json!(1), COLUMNS.map(String::from).to_vec()));
    host.stop();

    put(&site, 2, "plain");
    let host = site.start();
    let mut client = host.client();
    assert_eq!(belonging(&mut client).0, 2);
    let second = write(&mut client, "two");
    let listed = client.get("/changing/notes").expect(200);
    let said = |note: &Value| (note["text"].clone(), note["number"].clone(), note["mood"].clone());
    let items = listed["items"].as_array().unwrap();
    assert_eq!(
        items.iter().map(said).collect::<Vec<_>>(),
        [(json!("one"), json!(1), json!(null)), (json!("two"), json!(2), json!(null))]
    );
    let after = client.get(&format!("/changing/notes?after={}", items[0]["place"])).expect(200);
    assert_eq!(after["items"], json!([items[1]]));
    let path = format!("/changing/notes/{}", second["id"].as_str().unwrap());
    assert_eq!(client.get(&path).expect(200), items[1]);
    client.get("/changing/notes/nothing").problem(404, "not-found");
    assert_eq!(client.get("/changing/count").expect(200), json!({"count": 2, "number": 2}));
    for path in ["/changing/new", "/changing/computed"] {
        client.get(path).problem(404, "not-found");
    }
    host.stop();
}

#[test]
fn code_and_schema_of_a_version_belong_together() {
    for words in ["column", "irreversible", "slow"] {
        let site = Site::new(&manifest());
        let host = site.start();
        write(&mut host.client(), "before");
        host.stop();
        put(&site, 2, words);
        let host = site.start();
        let mut client = host.client();
        let expected = COLUMNS_WITH_MOOD.map(String::from).to_vec();
        assert_eq!(belonging(&mut client), (2, true, expected), "{words}");
        write(&mut client, "after");
        let listed = client.get("/changing/notes").expect(200);
        assert_eq!(
            (&listed["items"][0]["mood"], &listed["items"][1]["mood"]),
            (&json!(null), &json!("glad"))
        );
        host.stop();
        // The version before it does not start on the schema of this one.
        put(&site, 3, "plain");
        site.fail_to_start().says(1, &["changing", "V0002", "V0001"]);
    }
}

#[test]
fn version_that_cannot_start_is_refused_and_the_previous_one_keeps_serving() {
    let site = Site::new(&manifest());
    let host = site.start();
    write(&mut host.client(), "kept");
    host.stop();
    let before = database::row_counts(&site.database("changing"));
    let table: [(&str, &[&str]); 7] = [
        ("trap-at-start", &["describe", "unreachable"]),
        ("loops-at-start", &["describe"]),
        ("hungry-at-start", &["describe"]),
        ("ungranted", &["changing.forgotten", "publishes"]),
        ("edited", &["V0001__create_note", "never changes"]),
        ("half", &["V0002__add_mood", "NOT NULL constraint failed: note.text"]),
        (
            "misspelt",
            &["describe", "it panicked: no version is \"misspelt\" (tests/guests/changing/src/version.rs:"],
        ),
    ];
    for (words, texts) in table {
        put(&site, 2, words);
        site.fail_to_start().says(1, &[&["changing"], texts].concat());
        assert_eq!(database::row_counts(&site.database("changing")), before, "{words}");
    }
    put(&site, 1, "plain");
    let host = site.start();
    assert_eq!(belonging(&mut host.client()), (1, false, COLUMNS.map(String::from).to_vec()));
    assert_eq!(host.client().get("/changing/count").expect(200)["count"], 1);
    host.stop();
}

#[test]
fn files_that_are_not_a_service_are_refused() {
    let site = Site::new(&manifest());
    for (file, text) in [
        (versions::not_a_component(&site), "not WebAssembly"),
        (versions::core_module(&site), "core WebAssembly module"),
        (versions::wrong_world(&site), "test:other/thing"),
    ] {
        let source = file.to_str().unwrap();
        site.write_manifest(&manifest().set("service.changing.source", source).text());
        site.fail_to_start().says(1, &["changing", source, text]);
    }
}

/// What comes of a read, of a write, and of the write's note.
fn outcomes(words: &str) -> (u16, u16, i64) {
    let site = Site::new(&manifest());
    put(&site, 2, words);
    let host = site.start();
    let mut client = host.client();
    let read = client.get("/changing/count").status;
    let write = client.post("/changing/notes", &json!({"text": "any"})).status;
    // A write that failed leaves neither a note nor an event.
    host.stop();
    let connection = database::open(&site.database("changing"));
    let notes = database::number(&connection, "SELECT count(*) FROM note");
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_outbox"), notes, "{words}");
    (read, write, notes)
}

#[test]
fn version_fails_as_its_parameters_say() {
    for (words, expected) in [
        ("plain", (200, 201, 1)),
        ("traps", (500, 500, 0)),
        ("fails", (500, 500, 0)),
        ("fails-writes", (200, 500, 0)),
        ("column fails-writes", (200, 500, 0)),
    ] {
        assert_eq!(outcomes(words), expected, "{words}");
    }
}

#[test]
fn version_has_the_routes_that_its_parameters_say() {
    let site = Site::new(&manifest());
    put(&site, 2, "routes computes");
    let host = site.start();
    let mut client = host.client();
    let document = client.get("/openapi.json").expect(200);
    for path in ["/changing/new", "/changing/computed"] {
        assert_eq!(client.get(path).expect(200)["number"], 2);
        assert!(document["paths"][path].is_object(), "{path} is not in the document");
    }
    host.stop();
}

#[test]
fn busy_request_is_answered_when_its_time_ends() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut client = host.client();
    let begun = std::time::Instant::now();
    assert_eq!(client.get("/changing/slow?milliseconds=100").expect(200)["number"], 1);
    let path = "/changing/slow-write?milliseconds=100";
    assert_eq!(client.post(path, &json!({"text": "at last"})).expect(201)["text"], "at last");
    assert!(begun.elapsed().as_millis() >= 200, "{:?}", begun.elapsed());
    client.send(Method::GET, "/changing/slow", &[], bytes::Bytes::new()).invalid(&["milliseconds"]);
    host.stop();
}

#[test]
fn event_of_a_version_is_consumed_once_by_the_watcher() {
    let site = Site::new(&manifest());
    let (mut host, mut written) = (site.start(), Vec::new());
    for number in [1, 2] {
        if number == 2 {
            host.stop();
            let manifest = manifest()
                .set("service.changing.source", versions::changing(&site, 2, "column").to_str().unwrap())
                .set("service.watching.source", versions::watching(&site, 2, "plain").to_str().unwrap());
            site.write_manifest(&manifest.text());
            host = site.start();
        }
        let mut client = host.client();
        written.extend((0..10).map(|note| write(&mut client, &note.to_string())["id"].clone()));
        Admin::of(&site, &host).until_consumed("changing", "watching");
    }
    let mut client = host.client();
    assert_eq!(client.get("/watching/count").expect(200), json!({"events": 20, "arrivals": 20}));
    assert_eq!(client.get("/watching/version").expect(200), json!({"number": 2}));
    let listed = client.get("/watching/events").expect(200);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|event| event["note_id"].clone()).collect::<Vec<_>>(), written);
    for (place, event) in items.iter().enumerate() {
        let number = if place < 10 { 1 } else { 2 };
        assert_eq!((&event["written_by"], &event["taken_by"]), (&json!(number), &json!(number)), "{event}");
    }
    host.stop();
}

#[test]
fn failing_watcher_consumes_nothing() {
    for words in ["traps", "fails"] {
        let site = Site::new(&manifest());
        let file = versions::watching(&site, 2, words);
        site.write_manifest(&manifest().set("service.watching.source", file.to_str().unwrap()).text());
        let host = site.start();
        write(&mut host.client(), "unseen");
        let mut admin = Admin::of(&site, &host);
        admin.until_consumed("changing", "watching");
        assert_eq!(admin.subscription("changing", "watching")["parked"], 1, "{words}");
        let count = host.client().get("/watching/count").expect(200);
        assert_eq!(count, json!({"events": 0, "arrivals": 0}), "{words}");
        host.stop();
    }
}
