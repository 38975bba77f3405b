//! Tests of components: the same component that will be deployed, its database and its events, on the test's own thread.
//!
//! There is no network, no thread and no sleep. A test takes milliseconds, and a run repeats exactly. A handler goes through the same parts
//! as in a host: the same instance, authorizer, unit of work, event log, positions, parked events and timers.
//!
//! ```no_run
//! use bulkhead_testing::{Fault, Service, json};
//!
//! let notes = Service::start("notes");
//! let write = || notes.post("/notes").principal("ada").json(json!({"body": "buy milk"}));
//! let id = write().send().status(201).text_of("id");
//! notes.get(format!("/notes/{id}")).send().status(200).includes(json!({"body": "buy milk"}));
//! notes.expect_published(json!([{"type": "notes.kept", "subject": id, "data": {"id": id}}]));
//!
//! write().failing(Fault::Commit).send().problem(503, "unavailable");
//! assert_eq!(notes.rows("SELECT body FROM note"), json!([{"body": "buy milk"}]));
//!
//! notes.event("user.deleted").subject("ada").data(json!({"id": "ada"})).deliver_twice().consumed();
//! notes.get(format!("/notes/{id}")).send().problem(404, "not-found");
//! ```
//!
//! The manifest is `bulkhead.toml` in the nearest folder above the test's crate. The component has the grants of this manifest. If the
//! sources of a component have changed, it is built, and compiled once for all processes (`component.rs`).
//!
//! - [`Service::start`] runs one service. [`Service::with`] adds stand-ins for other services, and other settings.
//! - [`Application::of`] runs several services, with the real subscriptions between them, stepped by the test.
//! - A [`Request`] is sent like a client's request, with the principal of its token. An [`Answer`] is checked.
//! - An [`Event`] is delivered like another service's event. [`Service::published`] are the service's own events.
//! - [`Service::advance`] moves the clock, and timers fire.
//! - [`Service::rows`] reads the database, and [`Service::write`] adds rows of an earlier version.
//! - A [`Fault`] makes a database call, a commit, a call or the memory fail.
//! - [`coverage()`] fails if an endpoint or a subscription has no test.
//!
//! A failure shows what the service did in that call: its statements with their values, its events, its calls, and its log lines.
//!
//! # Differences from a host
//!
//! - There is no HTTP: no tokens (a test names the principal), no limits on sizes, no compression, no waiting for a position.
//! - Each unit of work has its own commit, so none is run again because of another one in its batch.
//! - A handler has a minute, and half of that for the writer lease: a busy machine fails no test.
//! - The clock stands still, except for a millisecond between two requests or events.
//! - Databases are files in memory if the system has `/dev/shm`, and temporary files otherwise.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "this is how a harness tells a test that something is wrong"
)]

mod advance;
mod answer;
mod application;
mod clock;
mod component;
mod coverage;
mod diff;
mod event;
mod fail;
mod fault;
mod hits;
mod recorder;
mod request;
mod service;
mod stand_in;
mod start;
mod template;
mod world;

pub use serde_json::{Value, json};

pub use answer::Answer;
pub use application::{Application, Builder, Step};
pub use coverage::{Coverage, coverage};
pub use event::{Delivered, Event, Published, Timer};
pub use fault::Fault;
pub use request::Request;
pub use service::Service;
pub use stand_in::{Call, Reply};
