//! `bulkhead replay`.

use http::Method;
use serde_json::Value;

use super::client::{HostArgs, escaped};
use super::output::{print, print_json};

pub(super) fn run(host: &HostArgs, service: &str, json: bool) -> anyhow::Result<()> {
    let document = host.ask(Method::POST, &format!("/api/replay/{}", escaped(service)))?;
    if json {
        return print_json(&document);
    }
    let number = |member| document.get(member).and_then(Value::as_u64).unwrap_or_default();
    let parked = match number("parked") {
        0 => String::new(),
        parked => format!("; {parked} could not be consumed: see `bulkhead dead-letters list {service}`"),
    };
    print(&format!(
        "{service} is rebuilt from {} events in {} ms{parked}\n",
        number("events"),
        number("milliseconds")
    ))
}
