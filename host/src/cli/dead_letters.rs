//! `bulkhead dead-letters`.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::client::{HostArgs, escaped};
use super::output::{items, print, print_json, print_table};

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List the parked events and dead letters
    List {
        /// Only those of this service
        service: Option<String>,
    },
    /// Show one with its data
    Show {
        /// The service that could not take it
        service: String,
        /// The event's id
        id: String,
    },
    /// Have one be tried again at once
    Retry {
        /// The service that could not take it
        service: String,
        /// The event's id
        id: String,
    },
    /// Drop a dead letter for good
    Drop {
        /// The service that could not take it
        service: String,
        /// The event's id
        id: String,
    },
}

pub(super) fn run(host: &HostArgs, action: &Action, json: bool) -> anyhow::Result<()> {
    let one = |service: &str, id: &str| format!("/api/dead-letters/{}/{}", escaped(service), escaped(id));
    match action {
        Action::List { service } => {
            let query = service.as_deref().map(|service| format!("?service={}", escaped(service)));
            let document =
                host.ask(Method::GET, &format!("/api/dead-letters{}", query.unwrap_or_default()))?;
            if json {
                return print_json(&document);
            }
            let columns = [
                ("SERVICE", "service"),
                ("STATE", "state"),
                ("TYPE", "type"),
                ("SUBJECT", "subject"),
                ("ATTEMPTS", "attempts"),
                ("NEXT", "next_attempt"),
                ("ID", "id"),
                ("REASON", "reason"),
            ];
            print_table(items(&document, "items"), &columns, "there are no parked events and no dead letters")
        }
        Action::Show { service, id } => print_json(&host.ask(Method::GET, &one(service, id))?),
        Action::Retry { service, id } => done(
            &host.ask(Method::POST, &format!("{}/retry", one(service, id)))?,
            json,
            "it is tried again now",
        ),
        Action::Drop { service, id } => {
            done(&host.ask(Method::DELETE, &one(service, id))?, json, "it is dropped")
        }
    }
}

fn done(document: &Value, json: bool, text: &str) -> anyhow::Result<()> {
    if json { print_json(document) } else { print(&format!("{text}\n")) }
}
