//! `bulkhead versions`.

use http::Method;

use super::client::{HostArgs, escaped};
use super::output::{items, print_json, print_table};

pub(super) fn run(host: &HostArgs, service: &str, json: bool) -> anyhow::Result<()> {
    let document = host.ask(Method::GET, &format!("/api/versions/{}", escaped(service)))?;
    if json {
        return print_json(&document);
    }
    let columns = [
        ("VERSION", "version"),
        ("ACTIVE", "active"),
        ("KEPT", "kept"),
        ("SINCE", "at"),
        ("HOW", "how"),
        ("AUTHOR", "author"),
        ("NOTE", "note"),
    ];
    print_table(items(&document, "items"), &columns, "it has had no version")
}
