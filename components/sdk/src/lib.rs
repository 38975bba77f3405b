//! The guest SDK of Bulkhead: a service reads like its rules.
//!
//! A service is a function that returns a [`Service`]: its routes, its subscriptions and its migrations. A handler is a function; the types
//! of its arguments say where each comes from, and `?` turns errors into problem documents.
//!
//! ```
//! use bulkhead_sdk::{Body, Created, Json, Path, Problem, Read as _, Result, Service, Snapshot, Text, Transaction, params};
//! use uuid::Uuid;
//!
//! bulkhead_sdk::row! {
//!     /// A note.
//!     pub struct Note { pub id: Uuid, pub body: String }
//! }
//! bulkhead_sdk::body! {
//!     /// What a note is made from.
//!     pub struct NoteInput { pub body: Text<1, 500> }
//! }
//!
//! fn one(Path(id): Path<Uuid>, snapshot: Snapshot) -> Result<Json<Note>> {
//!     let note = snapshot.query_optional("SELECT id, body FROM note WHERE id = ?1", &params![id])?;
//!     note.map(Json).ok_or_else(|| Problem::not_found("there is no such note"))
//! }
//!
//! fn create(Body(new): Body<NoteInput>, transaction: Transaction) -> Result<Created<Note>> {
//!     let note = Note { id: bulkhead_sdk::new_id(), body: new.body.into_string() };
//!     transaction.execute("INSERT INTO note (id, body) VALUES (?1, ?2)", &params![note.id, note.body])?;
//!     Ok(Created { location: format!("/notes/{}", note.id), body: note })
//! }
//!
//! fn service() -> Service {
//!     Service::new("Keeps notes.").get("/notes/{id}", "Gives a note.", one).post("/notes", "Keeps a note.", create)
//! }
//! bulkhead_sdk::service!(service);
//! ```
//!
//! The guarantees:
//! - a handler of GET can't write, and only [`Transaction`] publishes: the types enforce this;
//! - what the types of the arguments say is checked before the handler runs, and all errors are reported at once, up to
//!   [`ERRORS_MAX`](invalid::ERRORS_MAX);
//! - the answer of a GET has an `ETag`, and a client that changes the thing may say which one it knows ([`precondition`]);
//! - the text of an SQL error never reaches a client: if a constraint refused a write, the client gets its kind and its name.
//!
//! Left out on purpose: middleware (the host does what every request needs), async (one request at a time runs in an instance), and bodies
//! other than JSON (take [`Request`] for those).

// The macros name this crate in the same way as their users do.
extern crate self as bulkhead_sdk;

pub mod access;
pub mod bounded;
pub mod call;
pub mod component;
pub mod config;
pub mod context;
pub mod database;
pub mod encoding;
pub mod event;
pub mod extract;
mod host;
pub mod invalid;
pub mod json;
pub mod log;
pub mod migration;
pub mod page;
pub mod precondition;
pub mod problem;
mod random;
pub mod record;
pub mod response;
pub mod router;
pub mod service;
pub mod sql;
mod subscription;
#[cfg(test)]
mod tests;
pub mod time;
pub mod value;
pub mod wit;

// What the macros expand to needs these.
pub use serde;
pub use serde_json;
pub use uuid::{self, Uuid};

pub use access::{Access, Principal};
pub use bounded::{Change, Integer, List, Patch, Text};
pub use call::{Answer, Call, CallError};
pub use config::{config, secret};
pub use context::{Context, Request};
pub use database::{FromRow, PublishError, Read, Row, Snapshot, Transaction};
pub use event::{Event, HandleError, Received};
pub use extract::{Body, Compute, Extract, Handler, Path, Query};
pub use invalid::{Errors, FieldError};
pub use migration::Migration;
pub use page::{Cursor, Limit, Page};
pub use problem::{Problem, ProblemKind, Result};
pub use random::{new_id, random_bytes};
pub use record::FromQuery;
pub use response::{AnswerDescription, Created, Effects, Json, NoContent, Put, Reply, Response};
pub use service::Service;
pub use sql::{Column, ConstraintKind, ExecuteResult, Parameter, Value};
pub use time::{Timestamp, now};
pub use value::{FromJson, FromText, Schema};
