//! HTTP: from a connection to a job in a service's queue, and back.

mod access;
mod after;
mod answer;
pub(crate) mod body;
mod ingress;
mod own_answers;
mod problems;
mod same_key;
mod server;
pub(crate) mod well_formed;

pub(crate) use answer::{Answer, Answering};
pub(crate) use problems::{add_trace, own, problem_response, unreadable};
pub use same_key::key_of as idempotency_key;
pub use server::{Listening, serve};
