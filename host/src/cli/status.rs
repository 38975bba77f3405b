//! `bulkhead status`.

use http::Method;

use super::client::HostArgs;
use super::output::{items, print, print_json, print_table};

pub(super) fn run(host: &HostArgs, json: bool) -> anyhow::Result<()> {
    let document = host.ask(Method::GET, "/api/status")?;
    if json {
        return print_json(&document);
    }
    let services =
        [("SERVICE", "name"), ("VERSION", "version"), ("EVENTS", "log_head"), ("ROUTES", "routes")];
    print_table(items(&document, "services"), &services, "there are no services")?;
    print("\n")?;
    let subscriptions = [
        ("FROM", "producer"),
        ("TO", "consumer"),
        ("CONSUMED", "applied"),
        ("BEHIND", "lag"),
        ("PARKED", "parked"),
        ("DEAD", "dead"),
        ("STOPPED", "stopped"),
    ];
    print_table(items(&document, "subscriptions"), &subscriptions, "no service consumes events of another")?;
    let timers = items(&document, "timers");
    if timers.is_empty() {
        return Ok(());
    }
    print("\n")?;
    print_table(timers, &[("TIMERS OF", "service"), ("PARKED", "parked"), ("DEAD", "dead")], "")
}
