//! Events between services: once, in order, and nobody held up by another's failure. The guests `source` and `sink` do what each event says;
//! `witness` is `sink` once more, as another consumer of the same log.

mod away;
mod clock;
mod delivery;
mod fair;
mod faults;
mod fills;
mod log;
mod parked;
mod positions;
mod refused;
mod replicas;
mod threads;
mod timers;

use bulkhead_tests::{Admin, Client, Host, Manifest, Site};
use serde_json::{Value, json};

/// The guests, with more time than any busy machine needs.
fn manifest() -> Manifest {
    ["source", "sink", "witness"].iter().fold(Manifest::events(), |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest.set(&format!("{limits}.request_timeout"), "50s").set(&format!("{limits}.lease_hold"), "10s")
    })
}

/// A host with the guests, and what a test asks it by.
struct Stage {
    site: Site,
    host: Host,
    client: Client,
    admin: Admin,
}

impl Stage {
    #[track_caller]
    fn new() -> Stage {
        Stage::of(&manifest())
    }

    #[track_caller]
    fn of(manifest: &Manifest) -> Stage {
        Stage::on(Site::new(manifest))
    }

    #[track_caller]
    fn on(site: Site) -> Stage {
        let host = site.start();
        let (client, admin) = (host.client(), Admin::of(&site, &host));
        Stage { site, host, client, admin }
    }

    /// Stops the host, and gives what it ran in.
    #[track_caller]
    fn stop(self) -> Site {
        self.host.stop();
        self.site
    }

    /// Publishes all in one unit of work, and gives their ids.
    #[track_caller]
    fn publish(&mut self, events: &[Value]) -> Vec<String> {
        publish(&mut self.client, events)
    }

    /// Publishes one, and gives its id.
    #[track_caller]
    fn publish_one(&mut self, event: Value) -> String {
        self.publish(&[event]).remove(0)
    }

    /// What took effect at a consumer, in its order.
    #[track_caller]
    fn consumed(&mut self, consumer: &str) -> Vec<Value> {
        consumed(&mut self.client, consumer)
    }

    /// What took effect at a consumer when it has taken, or parked, all that there is.
    #[track_caller]
    fn all_consumed(&mut self, consumer: &str) -> Vec<Value> {
        self.admin.until_consumed("source", consumer);
        self.consumed(consumer)
    }

    /// What took effect at a consumer when nothing is parked there any more.
    #[track_caller]
    fn consumed_when_quiet(&mut self, consumer: &str) -> Vec<Value> {
        self.admin.until_quiet("source", consumer);
        self.consumed(consumer)
    }
}

#[track_caller]
fn publish(client: &mut Client, events: &[Value]) -> Vec<String> {
    let answer = client.post("/source/events", &json!(events)).expect(201);
    texts(answer["ids"].as_array().unwrap_or_else(|| panic!("no ids: {answer}")))
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn consumed(client: &mut Client, consumer: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let behind = all.last().map_or(0, |last| last["arrival"].as_i64().unwrap());
        let page = client.get(&format!("/{consumer}/taken?after={behind}")).expect(200);
        let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
        if items.is_empty() {
            return all;
        }
        all.extend(items.iter().cloned());
    }
}

/// An event that is taken.
fn happened(subject: &str, n: u64) -> Value {
    json!({"type": "source.happened", "subject": subject, "data": {"subject": subject, "n": n}})
}

/// An event at which `sink` does this; everybody else takes it.
fn acting(subject: &str, n: u64, act: &str) -> Value {
    failing_first(subject, n, act, 0)
}

/// The same, where so many attempts fail.
fn failing_first(subject: &str, n: u64, act: &str, failures: u32) -> Value {
    json!({
        "type": "source.happened",
        "subject": subject,
        "data": {"subject": subject, "n": n, "act": act, "at": "sink", "failures": failures},
    })
}

/// The numbers of the events of a subject that took effect, in their order.
fn numbers_of(consumed: &[Value], subject: &str) -> Vec<u64> {
    consumed
        .iter()
        .filter(|event| event["subject"] == subject)
        .map(|event| event["n"].as_u64().unwrap())
        .collect()
}

/// The ids of all that took effect, in their order.
fn ids_of(consumed: &[Value]) -> Vec<String> {
    consumed.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}

/// The numbers from 0.
fn up_to(count: u64) -> Vec<u64> {
    (0..count).collect()
}
