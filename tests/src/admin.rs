//! The admin port of a host, as an operator reaches it: over HTTP with the token of the data folder, and by the command line.

pub mod deploys;

use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::host::{self, Finished, Host};
use crate::paths::text;
use crate::site::Site;

/// What the host does by itself within this time fails no test: a bound for a wait, not a measure.
const UNTIL_BOUND: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < UNTIL_BOUND, "this did not come about: {what}");
        std::thread::yield_now();
    }
}

/// A client of the admin port.
#[derive(Debug)]
pub struct Admin {
    client: Client,
    /// What the command line wants to know.
    data: String,
    address: String,
}

impl Admin {
    /// A client of this host, which runs in this site.
    #[track_caller]
    pub fn of(site: &Site, host: &Host) -> Admin {
        let address = host.admin_address().expect("the host has an admin port");
        let file = site.data().join("admin.token");
        let token = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("failed to read {}: {error}", file.display()));
        let client = Client::new(address).with_token(token.trim());
        Admin { client, data: text(&site.data()).to_owned(), address: address.to_string() }
    }

    /// GET of a path, which is there.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Value {
        self.client.get(path).expect(200)
    }

    /// Any request.
    #[track_caller]
    pub fn send(&mut self, method: Method, path: &str) -> Answer {
        self.client.send(method, path, &[], bytes::Bytes::new())
    }

    /// How a subscription is.
    #[track_caller]
    pub fn subscription(&mut self, producer: &str, consumer: &str) -> Value {
        let status = self.get("/api/status");
        let subscriptions =
            status["subscriptions"].as_array().unwrap_or_else(|| panic!("no subscriptions: {status}"));
        let this = |subscription: &&Value| {
            subscription["producer"] == producer && subscription["consumer"] == consumer
        };
        subscriptions.iter().find(this).unwrap_or_else(|| panic!("no such subscription: {status}")).clone()
    }

    /// Waits until a consumer has taken, passed over or parked all that its producer has published.
    #[track_caller]
    pub fn until_consumed(&mut self, producer: &str, consumer: &str) -> Value {
        until(&format!("{consumer} takes all of {producer}"), || {
            Some(self.subscription(producer, consumer)).filter(|subscription| subscription["lag"] == 0)
        })
    }

    /// The same, and that nothing of it is parked any more.
    #[track_caller]
    pub fn until_quiet(&mut self, producer: &str, consumer: &str) -> Value {
        until(&format!("nothing of {producer} is parked at {consumer}"), || {
            Some(self.subscription(producer, consumer))
                .filter(|subscription| subscription["lag"] == 0 && subscription["parked"] == 0)
        })
    }

    /// Waits until a subscription stands still for good, and gives the reason.
    #[track_caller]
    pub fn until_stopped(&mut self, producer: &str, consumer: &str) -> String {
        until(&format!("{consumer}'s subscription to {producer} stops"), || {
            self.subscription(producer, consumer)["stopped"].as_str().map(str::to_owned)
        })
    }

    /// The parked events and dead letters of a service, the oldest first.
    #[track_caller]
    pub fn dead_letters(&mut self, service: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/dead-letters?service={service}"));
        list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}")).clone()
    }

    /// Waits until an event is a dead letter or parked, as `state` says, after at least so many attempts.
    #[track_caller]
    pub fn until_state(&mut self, service: &str, id: &str, state: &str, attempts: u64) -> Value {
        until(&format!("{id} is {state} at {service} after {attempts} attempts"), || {
            self.dead_letters(service).into_iter().find(|letter| {
                letter["id"] == id
                    && letter["state"] == state
                    && letter["attempts"].as_u64().is_some_and(|made| made >= attempts)
            })
        })
    }

    /// Has one be tried again.
    #[track_caller]
    pub fn retry(&mut self, service: &str, id: &str) -> Value {
        self.send(Method::POST, &format!("/api/dead-letters/{service}/{id}/retry")).expect(200)
    }

    /// Asks for one to be dropped.
    #[track_caller]
    pub fn drop_letter(&mut self, service: &str, id: &str) -> Answer {
        self.send(Method::DELETE, &format!("/api/dead-letters/{service}/{id}"))
    }

    /// Runs the consistency check, and gives what it found of a kind.
    #[track_caller]
    pub fn findings(&mut self, kind: &str) -> Vec<Value> {
        let report = self.send(Method::POST, "/api/check").expect(200);
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings: {report}"));
        findings.iter().filter(|finding| finding["kind"] == kind).cloned().collect()
    }

    /// The value of a metric with these labels, as the host writes them: `service="source"`; none if it has none.
    #[track_caller]
    pub fn metric(&mut self, name: &str, labels: &str) -> f64 {
        self.find_metric(name, labels).unwrap_or_else(|| panic!("there is no {name} of {labels:?}"))
    }

    /// The same, where there is one.
    #[track_caller]
    pub fn find_metric(&mut self, name: &str, labels: &str) -> Option<f64> {
        let answer = self.client.get("/metrics");
        answer.expect_status(200);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line = if labels.is_empty() { format!("{name} ") } else { format!("{name}{{{labels}}} ") };
        let value = text.lines().find_map(|found| found.strip_prefix(&line))?;
        Some(value.parse().unwrap_or_else(|error| panic!("{line}{value}: {error}")))
    }

    /// Runs a verb of the command line against this host.
    #[track_caller]
    pub fn command(&self, verb: &str, arguments: &[&str]) -> Finished {
        let mut all = vec![verb, "--data", &self.data, "--admin", &self.address, "--json"];
        all.extend(arguments);
        host::run(&all)
    }

    /// The same, where it works, and its JSON.
    #[track_caller]
    pub fn command_json(&self, verb: &str, arguments: &[&str]) -> Value {
        let finished = self.command(verb, arguments);
        assert_eq!(finished.status.code(), Some(0), "{verb} {arguments:?}: {}", finished.stderr);
        let read = serde_json::from_str(&finished.stdout);
        read.unwrap_or_else(|error| panic!("{verb} {arguments:?}: {error}: {}", finished.stdout))
    }
}
