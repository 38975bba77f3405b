//! `bulkhead events`.

use clap::Args;
use http::Method;

use super::client::{HostArgs, escaped};
use super::output::{items, print_json, print_table};

/// Which events.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The service whose event log is read
    service: String,
    /// Only events of this type
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only events about this subject
    #[arg(long)]
    subject: Option<String>,
    /// Only events before this place in the event log
    #[arg(long)]
    before: Option<u64>,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(super) fn run(host: &HostArgs, which: &Which, json: bool) -> anyhow::Result<()> {
    let mut path = format!("/api/events?service={}&limit={}", escaped(&which.service), which.limit);
    let before = which.before.map(|before| before.to_string());
    for (name, value) in [("type", &which.kind), ("subject", &which.subject), ("before", &before)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let document = host.ask(Method::GET, &path)?;
    if json {
        return print_json(&document);
    }
    let columns = [
        ("PLACE", "sequence"),
        ("TIME", "time"),
        ("TYPE", "type"),
        ("SUBJECT", "subject"),
        ("TRACE", "traceid"),
        ("DATA", "data"),
    ];
    print_table(items(&document, "items"), &columns, "there are no such events")
}
