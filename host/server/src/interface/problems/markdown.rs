//! The page as a file of the project: `docs/problems.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bulkhead_runtime::Description;
use bulkhead_types::ServiceName;

use super::text::{markdown as text, markdown_code, markdown_escaped};
use super::{EVERYWHERE, INTRODUCTION, NONE, STANDARD, STANDARD_DOCUMENT, own};

/// The page for these services, in Markdown.
#[must_use]
pub fn markdown(application: &str, described: &BTreeMap<ServiceName, Description>) -> String {
    let mut page = format!(
        "# Problem codes: {}\n\nMade by `bulkhead problems` from the host's table of codes and from what the components say of themselves. Do \
         not edit it.\n",
        markdown_escaped(application)
    );
    let (name, address) = STANDARD_DOCUMENT;
    for paragraph in INTRODUCTION {
        let paragraph = text(paragraph).replace(name, &format!("[{name}]({address})"));
        let _ = write!(page, "\n{paragraph}\n");
    }
    let _ = write!(
        page,
        "\n## {EVERYWHERE}\n\n| code | status | what it means, and what to do |\n| --- | --- | --- |\n"
    );
    for kind in &STANDARD {
        let _ = writeln!(page, "| `{}` | {} | {} |", kind.code, kind.status, text(kind.meaning));
    }
    for (service, description) in described {
        let _ = write!(page, "\n## {}\n\n", markdown_escaped(service));
        let kinds = own(description);
        if kinds.is_empty() {
            let _ = writeln!(page, "{NONE}");
            continue;
        }
        page.push_str(
            "| code | status | what it means, and what to do | operations |\n| --- | --- | --- | --- |\n",
        );
        for own in &kinds {
            let operations: Vec<String> =
                own.operations.iter().map(|operation| markdown_code(operation)).collect();
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} |",
                markdown_code(&own.kind.code),
                own.kind.status,
                text(&own.kind.description),
                operations.join(", ")
            );
        }
    }
    page
}
