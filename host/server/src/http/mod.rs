//! HTTP: from a connection to a job in a service's queue, and back.

mod access;
mod after;
mod answer;
pub(crate) mod body;
pub(crate) mod compression;
mod connections;
mod figures;
mod ingress;
mod own_answers;
mod problems;
mod same_key;
mod server;
pub(crate) mod well_formed;

pub(crate) use access::ACCESS_TARGET;
pub(crate) use answer::{Answer, Answering};
pub use connections::Connections;
pub use figures::HttpFigures;
pub(crate) use problems::{own, problem_response, tell_trace, unreadable};
pub use same_key::key_of as idempotency_key;
pub use server::{Listening, serve};

/// What the paths of the host's own begin with. No service can have them.
pub const HOST_PATHS: &str = "/.well-known/bulkhead";
/// Other names of `live` and `ready`.
pub const HEALTH_ALIASES: [&str; 2] = ["/healthz", "/readyz"];
