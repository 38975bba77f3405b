//! The harness itself, on guests that publish and take events as a test tells them: see `tests/guests`.

mod alone;
mod answers;
mod events;
mod faults;
mod listeners;
mod messages;
mod repeats;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

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
fn consumed_numbers(sink: &Service) -> Value {
    let rows = sink.rows("SELECT n FROM taken ORDER BY arrival");
    rows.as_array().into_iter().flatten().map(|row| row["n"].clone()).collect()
}

/// What a test that fails is told. It fails at a line of its own, and at none of the harness's.
fn failure_of(test: impl FnOnce()) -> String {
    thread_local!(static FAILED_AT: RefCell<String> = RefCell::default());
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            FAILED_AT.with_borrow_mut(|failed_at| *failed_at = place);
            before(panic);
        }));
    });
    let failed = catch_unwind(AssertUnwindSafe(test)).expect_err("it was to fail");
    let failed_at = FAILED_AT.with_borrow(String::clone);
    let why = failed.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(failed_at.contains("components/harness/"), "the test failed at {failed_at}: {why}");
    why
}
