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
    let services: Vec<&str> = items(&document, "services").iter().filter_map(Value::as_str).collect();
    print(&if services.is_empty() {
        "nothing has changed in the manifest that holds for running services\n".to_owned()
    } else {
        format!("what has changed holds: {}\n", services.join(", "))
    })
}
