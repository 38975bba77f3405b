//! Running services: wasmtime, the workers, and what the host lets a component do.
//!
//! Invariants:
//!
//! - One `Engine` constructor (`engine.rs`), one `bindgen!` (`bindings.rs`), one mapping from a failure to a problem
//!   document (`problem.rs`).
//! - A component has no authority except the interfaces of `capability/`. Each interface checks the grants of the manifest.
//! - Every accepted job is answered exactly once. If it joined a unit of work, the answer comes after the unit of work is durable
//!   (`runner.rs`, `member.rs`).
//! - No action of a guest panics a worker.
//!
//! This crate does not use sockets: `host/server` turns HTTP into [`Job`]s.

mod bindings;
mod cache;
mod capability;
mod component;
mod component_info;
mod compute;
mod consumer;
mod database;
mod database_call;
mod deferred;
mod delivery;
mod described;
mod diagnosis;
mod engine;
mod fault_injector;
mod gate;
mod header;
mod hold;
mod host_context;
mod idempotency;
mod idempotency_key;
mod instance;
mod job;
mod json_value;
mod kind;
mod member;
mod observer;
mod path;
mod probation;
mod problem;
pub mod problem_kinds;
mod queues;
mod release;
mod runner;
mod running;
mod scheduler;
mod service;
mod spec;
mod state;
mod stepped;
mod subscription;
mod subscription_worker;
pub mod supervise;
#[cfg(test)]
mod trial;
mod version;
mod waited;
mod worker;

pub use bindings::bulkhead::service::types::{Header, Principal, Request};
pub use bindings::exports::bulkhead::service::describe as description;
pub use bindings::exports::bulkhead::service::describe::Description;
pub use cache::ComponentCache;
pub use component::{Compiled, Component, LoadError};
pub use consumer::{ChangeError, Consumer};
pub use database::{DatabaseEngine, ServiceDatabase, WritableDatabase};
pub use database_call::DatabaseCall;
pub use deferred::Deferred;
pub use engine::{Engine, WASMTIME_VERSION};
pub use fault_injector::FaultInjector;
pub use gate::{Held, NotHeld};
pub use header::{is_hosts, says_no_store};
pub use host_context::{Directory, HostContext};
pub use idempotency_key::{InvalidKey, idempotency_key};
pub use job::{Answer, Failure, Job, Outcome, Reply};
pub use kind::QUEUES;
pub use member::Member;
pub use observer::{DropCause, Limit, Observation, Observer, Observers};
pub use path::{PathError, normal_path, normal_query};
pub use probation::Probation;
pub use problem::Problem;
pub use queues::{AdmissionLimits, QueueEnds, Queues, RunAtOnce, queues};
pub use release::Release;
pub use scheduler::{Deliveries, SchedulerError};
pub use service::Service;
pub use spec::{Grants, InstancePolicy, Limits, ServiceSpec, route_matches, route_rank};
pub use stepped::{SteppedService, SteppedSubscriptionWorker, SteppedTimers};
pub use subscription::{Counts, Subscription, SubscriptionSpec};
pub use version::Version;
pub use waited::Waited;
