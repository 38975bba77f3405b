//! The harness itself, on guests that publish and take events as a test tells them: see `tests/guests`.

mod alone;
mod events;
mod faults;
mod listeners;
mod messages;
mod repeats;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bulkhead_testing::{Application, Builder, Service, Value, json};

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/events.toml");
const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/bulkhead.toml");

/// `source`, which publishes what it is told to, and `sink`, which takes it.
fn both() -> Application {
    Application::in_manifest(EVENTS, ["source", "sink"]).start()
}

/// `sink` alone.
fn sink() -> Service {
    Application::in_manifest(EVENTS, ["sink"]).start().service("sink")
}

/// `source` alone.
fn source() -> Service {
    Application::in_manifest(EVENTS, ["source"]).start().service("source")
}

/// `relay`, which passes requests on.
fn relay() -> Builder {
    Application::in_manifest(GUESTS, ["relay"])
}

/// Has `source` publish that something happened.
fn happen(source: &Service, subject: &str, n: u32, act: &str) {
    let event = json!({
        "type": "source.happened",
        "subject": subject,
        "data": {"subject": subject, "n": n, "act": act, "at": "sink", "failures": 2},
    });
    source.post("/source/events").json(event).send().status(201);
}

/// The numbers that `sink` has taken, in the order of their arrival.
fn taken(sink: &Service) -> Value {
    let rows = sink.rows("SELECT n FROM taken ORDER BY arrival");
    rows.as_array().into_iter().flatten().map(|row| row["n"].clone()).collect()
}

/// What a test that fails is told.
fn told(test: impl FnOnce()) -> String {
    let failed = catch_unwind(AssertUnwindSafe(test)).expect_err("it was to fail");
    failed.downcast_ref::<String>().cloned().unwrap_or_default()
}
