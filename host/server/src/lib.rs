//! The server of an application. It takes an application from its manifest to running services. It also contains HTTP, token checks, the
//! interface documents, deploys and reloads, the admin port, and the consistency check.
//!
//! `bulkhead-store` defines the unit of work, `bulkhead-runtime` runs handlers, and `bulkhead-manifest` defines the manifest.

pub mod admin;
pub mod application;
pub mod check;
mod compression;
mod engine;
mod figures;
pub mod http;
mod identity;
pub mod interface;
pub mod tasks;
pub mod telemetry;

pub use engine::database_engine;
