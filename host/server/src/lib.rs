//! The server of an application: from its manifest to running services, HTTP, tokens, the documents of the interface, deploys and
//! reloads, the admin port, and the consistency check.
//!
//! What a unit of work is stands in `bulkhead-store`, how a handler runs in `bulkhead-runtime`, what a manifest says in
//! `bulkhead-manifest`.

pub mod admin;
pub mod application;
pub mod check;
mod compression;
mod figures;
pub mod http;
mod identity;
pub mod interface;
pub mod tasks;
pub mod telemetry;
