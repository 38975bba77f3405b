//! `bulkhead dead-letters`.

use anyhow::bail;
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
        /// Only events of this service
        service: Option<String>,
    },
    /// Show one event with its data
    Show {
        /// The service that could not consume it
        service: String,
        /// The event's id
        id: String,
    },
    /// Retry one event now, or all of them
    Retry {
        /// The service that could not consume it; with --all, only those of this service
        service: Option<String>,
        /// The event's id
        #[arg(conflicts_with = "all")]
        id: Option<String>,
        /// Retry all dead letters and parked events
        #[arg(long)]
        all: bool,
        /// With --all, only events of this service
        #[arg(long, requires = "all", conflicts_with = "id")]
        producer: Option<String>,
        /// With --all, only events of this type
        #[arg(long = "type", value_name = "TYPE", requires = "all", conflicts_with = "id")]
        kind: Option<String>,
    },
    /// Delete a dead letter
    Drop {
        /// The service that could not consume it
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
        Action::Retry { service: Some(service), id: Some(id), .. } => done(
            &host.ask(Method::POST, &format!("{}/retry", one(service, id)))?,
            json,
            "it is tried again now",
        ),
        Action::Retry { all: false, .. } => {
            bail!("retry: name the service and the event's id, or retry all of them with --all")
        }
        Action::Retry { service, producer, kind, .. } => {
            let filters = [("service", service), ("producer", producer), ("type", kind)];
            let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
            let query: Vec<String> =
                filters.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
            let path = format!("/api/dead-letters/retry?{}", query.join("&"));
            let document = host.ask(Method::POST, &path)?;
            done(&document, json, &retried(&document, kind.as_deref()))
        }
        Action::Drop { service, id } => {
            done(&host.ask(Method::DELETE, &one(service, id))?, json, "it is dropped")
        }
    }
}

/// How many events are retried, by service.
fn retried(document: &Value, kind: Option<&str>) -> String {
    let counts = document.get("retried").and_then(Value::as_object);
    let counts: Vec<String> =
        counts.into_iter().flatten().map(|(service, count)| format!("{count} of {service}")).collect();
    if counts.is_empty() {
        let of = kind.map(|kind| format!(" of the type {kind}")).unwrap_or_default();
        return format!("there are none{of} to try again");
    }
    format!("tried again now: {}", counts.join(", "))
}

fn done(document: &Value, json: bool, text: &str) -> anyhow::Result<()> {
    if json { print_json(document) } else { print(&format!("{text}\n")) }
}
