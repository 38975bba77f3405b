//! Tests of components: the very component that will be deployed, its database and its events, on the test's own thread.
//!
//! There is no network, no thread and no sleep: a test takes milliseconds, and a run repeats exactly. What a handler goes through is what
//! it goes through in a host: the same instance, authorizer, unit of work, event log, positions, parked events and timers.
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
//! notes.event("user.deleted").subject("ada").data(json!({"id": "ada"})).deliver_twice().taken();
//! notes.get(format!("/notes/{id}")).send().problem(404, "not-found");
//! ```
//!
//! The manifest is `bulkhead.toml` in the nearest folder above the test's crate, and what it grants is what the component has. A component
//! whose sources have changed is built, and compiled once for all processes (`component.rs`).
//!
//! - [`Service::start`] runs one service; [`Service::with`] has others be stood in for, and sets what else is to be set.
//! - [`Application::of`] runs several, with the real subscriptions between them, stepped by hand.
//! - A [`Request`] is sent as a client would send it, by who its token says; an [`Answer`] is checked.
//! - An [`Event`] is delivered as another service's would be; [`Service::published`] are its own.
//! - [`Service::advance`] moves the clock, and timers fire.
//! - [`Service::rows`] looks at the database, and [`Service::write`] puts rows of an earlier version there.
//! - A [`Fault`] has a database call, a commit, a call or the memory fail.
//! - [`coverage()`] fails when an endpoint or a subscription has no test.
//!
//! Whatever fails shows what the service did in that call: its statements with their values, its events, its calls, its lines of the log.
//!
//! # What is otherwise than in a host
//!
//! - Nothing of HTTP is here: no tokens (a test says who asks), no limits on sizes, no compression, no waiting for a position.
//! - Each unit of work is committed by itself, so none is run again for the sake of a neighbour.
//! - A handler has a minute, and the writer lease for half of one: a busy machine fails no test.
//! - The clock stands still, but for a millisecond from one request or event to the next.
//! - Databases are files in memory where the system has `/dev/shm`, and else temporary ones.

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
mod feed;
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
