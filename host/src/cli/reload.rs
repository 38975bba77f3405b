//! `bulkhead reload`.

use http::Method;
use serde_json::Value;

use super::client::HostArgs;
use super::output::{items, print, print_json};

pub(super) fn run(host: &HostArgs, json: bool) -> anyhow::Result<()> {
    let document = host.ask(Method::POST, "/api/reload")?;
    if json {
        return print_json(&document);
    }
    let names =
        |member: &str| -> Vec<&str> { items(&document, member).iter().filter_map(Value::as_str).collect() };
    let (services, sources) = (names("services"), names("sources"));
    if !services.is_empty() || sources.is_empty() {
        print(&if services.is_empty() {
            "nothing has changed in the manifest that holds for running services\n".to_owned()
        } else {
            format!("what has changed holds: {}\n", services.join(", "))
        })?;
    }
    for service in sources {
        print(&format!(
            "service.{service}: the changed source does not hold yet; `bulkhead deploy {service}` has it serve now, or the next start does\n"
        ))?;
    }
    Ok(())
}
