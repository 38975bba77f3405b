//! `bulkhead ownership`: the page that shows which service owns which data, and which services keep replicas of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bulkhead_manifest::Manifest;
use bulkhead_runtime::Description;
use bulkhead_server::application;
use bulkhead_types::ServiceName;

use super::ApplicationArgs;
use super::output::print;

/// Prints the page, in Markdown.
pub(super) fn run(arguments: ApplicationArgs) -> anyhow::Result<()> {
    let manifest = arguments.read()?;
    let described = application::describe(&manifest)
        .map_err(|error| anyhow::anyhow!("load the components of {}:\n{error}", manifest.name))?;
    print(&page(&manifest, &described))
}

fn page(manifest: &Manifest, described: &BTreeMap<ServiceName, Description>) -> String {
    let mut text = format!(
        "# Who owns which data: {}\n\nMade by `bulkhead ownership` from the manifest and from what the components say of themselves. Do not \
         edit it.\n\nA service's database is its own. What others know of its data they have by its events, or ask for by a call.\n",
        manifest.name
    );
    for (name, entry) in &manifest.services {
        let summary = described.get(name).map_or("", |description| description.summary.as_str());
        let _ = write!(text, "\n## {name}\n\n{summary}\n\n");
        if entry.rebuildable {
            let _ = writeln!(
                text,
                "Owns nothing: all that it has is made from events, and `bulkhead replay {name}` rebuilds it.\n"
            );
        }
        let list =
            |names: Vec<String>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let coded =
            |names: &mut dyn Iterator<Item = &str>| list(names.map(|name| format!("`{name}`")).collect());
        let grants = &entry.spec.grants;
        let _ = writeln!(text, "| | |\n| --- | --- |");
        let _ = writeln!(text, "| routes | {} |", coded(&mut entry.spec.routes.iter().map(String::as_str)));
        // Of the service's own tables the check compares only the declared ones with replicas. The service owns the others all the same.
        let owns = match (entry.rebuildable, &entry.database, entry.entities.is_empty()) {
            (true, ..) | (_, None, _) => "nothing".to_owned(),
            (false, Some(_), true) => {
                "the tables of its database; it declares no `entity` of them".to_owned()
            }
            (false, Some(_), false) => coded(&mut entry.entities.keys().map(String::as_str)),
        };
        let _ = writeln!(text, "| owns | {owns} |");
        let _ = writeln!(text, "| publishes | {} |", coded(&mut grants.publishes.iter().map(String::as_str)));
        let _ = writeln!(text, "| consumes | {} |", coded(&mut grants.subscribes.iter().map(String::as_str)));
        let _ = writeln!(text, "| timers | {} |", coded(&mut grants.timers.iter().map(String::as_str)));
        let _ = writeln!(text, "| calls | {} |", coded(&mut grants.calls.iter().map(ServiceName::as_str)));
    }
    let _ = write!(
        text,
        "\n## Copies\n\nA copy is as fresh as its subscription is: an event is in it when its keeper has consumed the event, usually within milliseconds of the \
         owner's commit. `/metrics` on the admin port tells how old the oldest event is that a copy lacks \
         (`bulkhead_replica_staleness_seconds`), a request with `Bulkhead-After` waits for it, and `bulkhead check` compares copies with \
         their owners.\n\n| copy | kept by | owner | columns | follows | goes with |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    for (name, entry) in &manifest.services {
        for replica in &entry.replicas {
            let columns: Vec<&str> = replica.columns.iter().map(|column| column.name.as_str()).collect();
            let delete = replica.delete.as_ref().map_or("-".to_owned(), |kind| format!("`{kind}`"));
            let _ = writeln!(
                text,
                "| `{}` | {name} | {} | {} | `{}` | {delete} |",
                replica.name,
                replica.owner,
                columns.join(", "),
                replica.upsert
            );
        }
    }
    text.push_str("\n## Who hears of what\n\n| event | owner | consumed by |\n| --- | --- | --- |\n");
    for (name, entry) in &manifest.services {
        for kind in &entry.spec.grants.publishes {
            let takers: Vec<&str> = manifest
                .services
                .iter()
                .filter(|(_, other)| {
                    other.spec.grants.subscribes.contains(kind)
                        || other.replicas.iter().any(|replica| replica.takes(kind))
                })
                .map(|(other, _)| other.as_str())
                .collect();
            let takers = if takers.is_empty() { "nobody".to_owned() } else { takers.join(", ") };
            let _ = writeln!(text, "| `{kind}` | {name} | {takers} |");
        }
    }
    text
}
