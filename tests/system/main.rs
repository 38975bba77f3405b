//! System tests: the host as a process, over real HTTP and on real files. Each test starts a host of its own, on a port and in a folder
//! of its own, so that all of them may run at the same time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helper functions too"
)]

mod access;
mod access_log;
mod addresses;
mod admin;
mod bad_requests;
mod building;
mod catalogue;
mod categories;
mod compression;
mod conditional;
mod conflicts;
mod consistency;
mod crash;
mod deploy;
mod doctor;
mod events;
mod failures;
mod hostile;
mod http_rules;
mod idempotency;
mod identity;
mod images;
mod kill;
mod listing;
mod manifest;
mod openapi;
mod ordering;
mod orders;
mod output;
mod ownership;
mod pages;
mod paging;
mod positions;
mod preferences;
mod problem_page;
mod products;
mod protocol;
mod rebuild;
mod relay;
mod reload;
mod replay;
mod report;
mod reservations;
mod reviews;
mod revocation;
mod run_script;
mod scaffold;
mod secrecy;
mod sessions;
mod shutdown;
mod startup;
mod stock;
mod tidy;
mod tutorial;
mod users;
mod variables;
mod versions;
mod watch;
