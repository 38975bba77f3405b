//! Bulkhead: microservices as sandboxed WebAssembly components in one process, each with a private SQLite database.
//!
//! This crate puts the parts together: the manifest, HTTP, start and stop, and the command line. What a unit of work is stands
//! in `bulkhead-store`, how a handler runs in `bulkhead-runtime`, how a component is built in `bulkhead-build`.

mod address;
pub mod admin;
pub mod application;
pub mod check;
pub mod cli;
pub mod doctor;
pub mod http;
mod identity;
pub mod interface;
pub mod manifest;
pub mod scaffold;
mod tasks;
mod telemetry;
mod watch;
