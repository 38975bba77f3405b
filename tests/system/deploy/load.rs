//! A hundred swaps under load: no request fails, nothing that was acknowledged is missing, no event is lost or doubled, and no answer has
//! the code of one version and the schema of another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_tests::shop::position;
use bulkhead_tests::{Admin, Answer, Client, Host, Manifest, Random, Site, database, versions};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::busy::{Load, ROOM, Work, label, version_of};

const CONNECTIONS: u64 = 32;
/// Each with eight swaps without migrations, one with a migration, and one that undoes it.
const ROUNDS: usize = 10;
const SWAPS_WITHOUT: usize = 8;
/// So many answers of a version are awaited before the next takes its place.
const ANSWERS: usize = 100;
/// The busy handlers are busy for so many milliseconds at most: they begin before a swap and end after it.
const BUSY_MAX: u64 = 8;
const NOTES_LISTED_MAX: usize = 5_000;

const COLUMNS: [&str; 4] = ["place", "id", "text", "number"];
const COLUMNS_WITH_MOOD: [&str; 5] = ["place", "id", "text", "number", "mood"];

/// The guests, with more time and room than any busy machine needs.
fn manifest() -> Manifest {
    ["changing", "watching"].iter().fold(Manifest::changing(), |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest
            .set(&format!("{limits}.request_timeout"), "50s")
            .set(&format!("{limits}.lease_hold"), "10s")
            .set(&format!("{limits}.queue"), ROOM)
    })
}

/// What is known of a version of `changing`, by which its answers are held to be of one piece.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u64,
    expects_mood: bool,
}

/// The versions, by what the header `Bulkhead-Version` says of them.
#[derive(Debug, Default)]
struct Versions(BTreeMap<String, Known>);

impl Versions {
    /// The version that gave the answer. The status is as it should be.
    #[track_caller]
    fn of(&self, answer: &Answer, status: u16) -> Known {
        answer.expect_status(status);
        let version = version_of(answer);
        *self.0.get(version).unwrap_or_else(|| panic!("{version} was never deployed: {answer}"))
    }

    /// The same where the answer tells which version it is of and which columns its handler found: all belongs together.
    #[track_caller]
    fn of_one_piece(&self, answer: &Answer, status: u16) -> Known {
        let (known, reported) = (self.of(answer, status), answer.value());
        let columns: &[&str] = if known.expects_mood { &COLUMNS_WITH_MOOD } else { &COLUMNS };
        let found = [&reported["number"], &reported["expects_mood"], &reported["columns"]];
        let expected = [json!(known.number), json!(known.expects_mood), json!(columns)];
        assert_eq!(found, expected.each_ref(), "{} said so: {answer}", version_of(answer));
        known
    }
}

/// A note that was acknowledged.
#[derive(Debug, Clone)]
struct Note {
    id: String,
    text: String,
    /// The version that wrote it.
    number: u64,
}

/// An answer that was as it should be: the version that gave it, and the note that was written, if any was.
struct Answered {
    number: u64,
    note: Option<Note>,
}

impl From<Known> for Answered {
    fn from(known: Known) -> Self {
        Answered { number: known.number, note: None }
    }
}

/// One connection, which asks again as soon as it has its answer.
struct Asker {
    client: Client,
    versions: Arc<Versions>,
    random: Random,
    name: String,
    /// How many notes it has written.
    count: u64,
    /// The last of them, and where the log was then.
    last: Option<(Note, String)>,
    /// The last request with a key, and its answer.
    keyed: Option<(String, Bytes, Answer)>,
}

impl Asker {
    fn new(client: Client, versions: &Arc<Versions>, random: Random, name: String) -> Asker {
        let (versions, count, last, keyed) = (Arc::clone(versions), 0, None, None);
        Asker { client, versions, random, name, count, last, keyed }
    }

    fn ask(&mut self) -> Answered {
        let busy = 1 + self.random.below(BUSY_MAX);
        let Some((last, position)) = self.last.clone() else { return self.write("/changing/notes") };
        match self.random.below(20) {
            0..=6 => self.write("/changing/notes"),
            7 => self.write(&format!("/changing/slow-write?milliseconds={busy}")),
            8 => self.write_with_key(),
            9 => self.repeat(),
            10..=12 => self.read(&last),
            13 => self.list(&last),
            14 => self.count(),
            15 => self.count_watched(&position),
            16 => self.belonging(&format!("/changing/slow?milliseconds={busy}")),
            _ => self.belonging("/changing/version"),
        }
    }

    fn belonging(&mut self, path: &str) -> Answered {
        let answer = self.client.get(path);
        self.versions.of_one_piece(&answer, 200).into()
    }

    fn next_text(&self) -> String {
        format!("{}-{}", self.name, self.count)
    }

    fn write(&mut self, path: &str) -> Answered {
        let text = self.next_text();
        let answer = self.client.post(path, &json!({"text": text}));
        self.acknowledged(&answer, text)
    }

    fn acknowledged(&mut self, answer: &Answer, text: String) -> Answered {
        let (Known { number, .. }, reported) = (self.versions.of_one_piece(answer, 201), answer.value());
        assert_eq!(reported["text"], text.as_str(), "{answer}");
        let note = Note { id: id_of(&reported, "id"), text, number };
        self.count += 1;
        self.last = Some((note.clone(), position(answer)));
        Answered { number, note: Some(note) }
    }

    fn write_with_key(&mut self) -> Answered {
        let text = self.next_text();
        let (key, body) = (text.clone(), Bytes::from(json!({"text": text}).to_string()));
        let answer = send_with_key(&mut self.client, &key, body.clone());
        assert_eq!(answer.header("idempotency-replayed"), None, "{answer}");
        let answered = self.acknowledged(&answer, text);
        self.keyed = Some((key, body, answer));
        answered
    }

    /// Sends a request again, perhaps to another version: it has the answer of the one that took it.
    fn repeat(&mut self) -> Answered {
        let Some((key, body, first)) = self.keyed.clone() else { return self.write_with_key() };
        let again = send_with_key(&mut self.client, &key, body);
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
        assert_eq!(again.body, first.body, "{again} after {first}");
        self.versions.of_one_piece(&again, 201);
        // It tells of the version that was, not of the one that is.
        self.belonging("/changing/version")
    }

    fn read(&mut self, note: &Note) -> Answered {
        let answer = self.client.get(&format!("/changing/notes/{}", note.id));
        let (known, reported) = (self.versions.of(&answer, 200), answer.value());
        assert_eq!(
            (&reported["text"], &reported["number"]),
            (&json!(note.text), &json!(note.number)),
            "{answer}"
        );
        assert!(
            known.expects_mood || reported["mood"].is_null(),
            "{} knows no moods: {answer}",
            known.number
        );
        known.into()
    }

    /// What was written since the note.
    fn list(&mut self, note: &Note) -> Answered {
        let place = self.client.get(&format!("/changing/notes/{}", note.id)).expect(200)["place"].clone();
        let answer = self.client.get(&format!("/changing/notes?after={place}"));
        let (known, list) = (self.versions.of(&answer, 200), answer.value());
        for note in list["items"].as_array().expect("items") {
            assert!(known.expects_mood || note["mood"].is_null(), "{} knows no moods: {note}", known.number);
        }
        known.into()
    }

    fn count(&mut self) -> Answered {
        let answer = self.client.get("/changing/count");
        let (known, counted) = (self.versions.of(&answer, 200), answer.value());
        assert_eq!(counted["number"], known.number, "{answer}");
        assert!(counted["count"].as_u64() >= Some(self.count), "{answer}");
        known.into()
    }

    /// How many events the other service has taken, when it has taken that of this connection's last note.
    fn count_watched(&mut self, position: &str) -> Answered {
        let headers = [("bulkhead-after", position)];
        let counted = self.client.send(Method::GET, "/watching/count", &headers, Bytes::new()).expect(200);
        assert!(counted["events"].as_u64() >= Some(self.count), "{counted}");
        assert_eq!(counted["events"], counted["arrivals"], "an event took effect twice");
        self.belonging("/changing/version")
    }
}

fn send_with_key(client: &mut Client, key: &str, body: Bytes) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    client.send(Method::POST, "/changing/notes", &headers, body)
}

/// The site, and what can be deployed there.
struct Swaps {
    site: Site,
    host: Host,
    admin: Admin,
    /// Versions 1 and 2, which have the same schema.
    plain: [PathBuf; 2],
    /// Version 3, which has a column more.
    column: PathBuf,
    /// Two versions of the consumer.
    watching: [PathBuf; 2],
    versions: Arc<Versions>,
}

impl Swaps {
    fn new() -> Swaps {
        let site = Site::new(&manifest());
        let plain = [1, 2].map(|number| versions::changing(&site, number, "plain"));
        let column = versions::changing(&site, 3, "column");
        let watching = [1, 2].map(|number| versions::watching(&site, number, "plain"));
        let host = site.start();
        let mut admin = Admin::of(&site, &host);
        let mut known = Versions::default();
        let first = label("changing", &admin.versions("changing")[0]);
        known.0.insert(first, Known { number: 1, expects_mood: false });
        // Tried before they are swapped: then their answers can be told from the first on.
        for (file, number) in [(&plain[1], 2), (&column, 3)] {
            let label = label("changing", &admin.try_deploy("changing", file));
            known.0.insert(label, Known { number, expects_mood: number == 3 });
        }
        assert_eq!(known.0.len(), 3, "{known:?}");
        Swaps { site, host, admin, plain, column, watching, versions: Arc::new(known) }
    }

    /// What was deployed serves from the answer of the admin port on.
    #[track_caller]
    fn serves(&self, deployed: &Value, number: u64, migrations: &Value) {
        let answer = self.host.client().get("/changing/version");
        assert_eq!(version_of(&answer), label("changing", deployed), "{deployed}");
        assert_eq!(self.versions.of_one_piece(&answer, 200).number, number);
        let steps = deployed["migrations"].as_array().expect("migrations").iter();
        let steps: Vec<Value> = steps.map(|step| json!([step["name"], step["undone"]])).collect();
        assert_eq!(json!(steps), *migrations, "{deployed}");
        assert_eq!(deployed["pause_milliseconds"].is_null(), steps.is_empty(), "{deployed}");
    }

    /// One round: ten swaps of the service under load, and one of the service that takes its events.
    #[track_caller]
    fn round(&mut self, round: usize, load: &mut Load<Answered>) {
        for swap in 1..=SWAPS_WITHOUT {
            let deployed = self.admin.deploy("changing", &self.plain[swap % 2]);
            let number = swap as u64 % 2 + 1;
            self.serves(&deployed, number, &json!([]));
            until_answered_by(load, number);
        }
        let deployed = self.admin.deploy("watching", &self.watching[(round + 1) % 2]);
        let reported = self.host.client().get("/watching/version");
        assert_eq!(version_of(&reported), label("watching", &deployed));

        let deployed = self.admin.deploy("changing", &self.column);
        self.serves(&deployed, 3, &json!([["add_mood", false]]));
        until_answered_by(load, 3);
        let back = self.admin.roll_back("changing", None);
        self.serves(&back, 1, &json!([["add_mood", true]]));
        until_answered_by(load, 1);
    }

    /// All that was acknowledged is there, and nothing else is.
    #[track_caller]
    fn all_is_stored(&mut self, written: &BTreeMap<String, Note>) {
        let notes = read_all(&mut self.host.client(), "/changing/notes");
        let found: BTreeMap<String, &Value> = notes.iter().map(|note| (id_of(note, "id"), note)).collect();
        assert_eq!(notes.len(), found.len(), "an id is there twice");
        for Note { id, text, number } in written.values() {
            let note = found.get(id).unwrap_or_else(|| panic!("acknowledged, and not there: {text}"));
            let is_same = note["text"] == text.as_str() && note["number"] == *number;
            assert!(is_same && note["mood"].is_null(), "{number} wrote {text}: {note}");
        }
        let more: Vec<_> = found.keys().filter(|id| !written.contains_key(*id)).collect();
        assert!(more.is_empty(), "there and not acknowledged, though all were answered: {more:?}");
    }

    /// Each event took effect once, in the order in which they were written.
    #[track_caller]
    fn all_was_consumed_once(&mut self, written: &BTreeMap<String, Note>) {
        let subscription = self.admin.until_consumed("changing", "watching");
        assert_eq!(
            (&subscription["parked"], &subscription["stopped"]),
            (&json!(0), &Value::Null),
            "{subscription}"
        );
        let dead = self.admin.dead_letters("watching");
        assert!(dead.is_empty(), "{dead:?}");
        let mut client = self.host.client();
        let events = read_all(&mut client, "/watching/events");
        let ids: BTreeSet<String> = events.iter().map(|event| id_of(event, "event_id")).collect();
        assert_eq!(ids.len(), events.len(), "an event is there twice");
        for event in &events {
            let number = written.get(&id_of(event, "note_id")).map(|note| note.number);
            assert_eq!((&event["arrivals"], event["written_by"].as_u64()), (&json!(1), number), "{event}");
        }
        let of_notes = read_all(&mut client, "/changing/notes");
        let ids = |items: &[Value], name| items.iter().map(|item| id_of(item, name)).collect::<Vec<_>>();
        assert!(ids(&events, "note_id") == ids(&of_notes, "id"), "lost, or in another order");
        let takers: BTreeSet<u64> = events.iter().filter_map(|event| event["taken_by"].as_u64()).collect();
        assert_eq!(takers, BTreeSet::from([1, 2]), "both versions of the consumer took events");
    }

    /// The host tells of each swap, the last first.
    #[track_caller]
    fn history_is_listed(&mut self) {
        let reported = self.admin.versions("changing");
        let number = |item| self.versions.0[&label("changing", item)].number;
        let reported: Vec<(&str, u64)> =
            reported.iter().map(|item| (item["how"].as_str().expect("a way"), number(item))).collect();
        let mut round = vec![("rollback", 1), ("deploy", 3)];
        round.extend((1..=SWAPS_WITHOUT).rev().map(|swap| ("deploy", swap as u64 % 2 + 1)));
        assert_eq!(reported, round.repeat(ROUNDS));
    }
}

/// Waits until a version has answered often enough.
#[track_caller]
fn until_answered_by(load: &mut Load<Answered>, number: u64) {
    load.until(&format!("version {number} answers"), ANSWERS, |answered| answered.number == number);
}

/// A list, page by page.
#[track_caller]
fn read_all(client: &mut Client, path: &str) -> Vec<Value> {
    let (mut all, mut place) = (Vec::new(), json!(0));
    loop {
        let list = client.get(&format!("{path}?after={place}")).expect(200);
        let items = list["items"].as_array().expect("items");
        let Some(last) = items.last() else { return all };
        assert!(items.len() <= NOTES_LISTED_MAX, "{path} gave {} items", items.len());
        place = last["place"].clone();
        all.extend(items.iter().cloned());
    }
}

#[track_caller]
fn id_of(item: &Value, name: &str) -> String {
    item[name].as_str().unwrap_or_else(|| panic!("no {name}: {item}")).to_owned()
}

#[test]
fn hundred_swaps_under_load_fail_no_request_lose_no_data_and_mix_no_versions() {
    let mut swaps = Swaps::new();
    let mut random = Random::new();
    let works = (0..CONNECTIONS).map(|number| {
        let random = Random::of_seed(random.number());
        let mut asker = Asker::new(swaps.host.client(), &swaps.versions, random, number.to_string());
        Box::new(move || asker.ask()) as Work<Answered>
    });
    let mut load = Load::start(works.collect());
    until_answered_by(&mut load, 1);
    for round in 0..ROUNDS {
        swaps.round(round, &mut load);
    }
    let answered = load.end();
    let by = |number| answered.iter().filter(|answered| answered.number == number).count();
    let counts = [1, 2, 3].map(by);
    assert!(counts.iter().all(|count| *count >= ANSWERS * ROUNDS), "{counts:?}");
    let written: BTreeMap<String, Note> = answered
        .iter()
        .filter_map(|answered| answered.note.clone())
        .map(|note| (note.id.clone(), note))
        .collect();
    let count = answered.iter().filter(|answered| answered.note.is_some()).count();
    assert_eq!(count, written.len(), "two notes have the same id");
    swaps.all_is_stored(&written);
    swaps.all_was_consumed_once(&written);
    swaps.history_is_listed();
    let report = swaps.admin.send(Method::POST, "/api/check").expect(200);
    assert_eq!(report["findings"], json!([]), "{report}");
    let Swaps { site, host, .. } = swaps;
    let finished = host.stop();
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    for service in ["changing", "watching"] {
        database::check(&database::open(&site.database(service)));
    }
}

#[test]
fn repeated_request_gets_the_answer_and_version_of_the_first_execution() {
    let mut swaps = Swaps::new();
    let mut client = swaps.host.client();
    let body = Bytes::from(json!({"text": "once"}).to_string());
    let first = send_with_key(&mut client, "once", body.clone());
    assert_eq!(swaps.versions.of_one_piece(&first, 201).number, 1);
    for deployed in [swaps.plain[1].clone(), swaps.column.clone()] {
        swaps.admin.deploy("changing", &deployed);
        let again = send_with_key(&mut client, "once", body.clone());
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(version_of(&again), version_of(&first));
    }
    assert_eq!(client.get("/changing/count").expect(200), json!({"count": 1, "number": 3}));
    swaps.host.stop();
}
