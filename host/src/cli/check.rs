//! `bulkhead check`.

use anyhow::bail;
use http::Method;
use serde_json::Value;

use super::client::HostArgs;
use super::output::{items, print, print_json, print_table};

/// Fails if something is wrong and was not repaired.
pub(super) fn run(host: &HostArgs, repair: bool, json: bool) -> anyhow::Result<()> {
    let document = host.ask(Method::POST, if repair { "/api/check?repair=true" } else { "/api/check" })?;
    let findings = items(&document, "findings");
    let is_repaired = |finding: &&Value| finding.get("repaired").and_then(Value::as_bool) == Some(true);
    let repaired = findings.iter().filter(is_repaired).count();
    if json {
        print_json(&document)?;
    } else {
        let columns = [
            ("KIND", "kind"),
            ("SERVICE", "service"),
            ("PLACE", "place"),
            ("KEY", "key"),
            ("REPAIRED", "repaired"),
            ("WHAT", "detail"),
        ];
        print_table(findings, &columns, "everything is as it should be")?;
        let count = |member| document.get(member).and_then(Value::as_u64).unwrap_or_default();
        print(&format!(
            "looked at {} rows of replicas, {} references and {} events\n",
            count("replica_rows"),
            count("references"),
            count("events")
        ))?;
    }
    match findings.len() - repaired {
        0 => Ok(()),
        1 => bail!("find everything as it should be: there is 1 finding"),
        left => bail!("find everything as it should be: there are {left} findings"),
    }
}
