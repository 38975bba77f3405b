//! The page that the host serves. It is self-contained: no script, no other file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bulkhead_runtime::Description;
use bulkhead_types::ServiceName;

use super::text::{html as text, html_code, html_escaped};
use super::{EVERYWHERE, INTRODUCTION, NONE, STANDARD, STANDARD_DOCUMENT, own};

const STYLE: &str = include_str!("page.css");

/// The page for these services, in HTML. Each code has an anchor, whose id is the code.
#[must_use]
pub fn html(application: &str, described: &BTreeMap<ServiceName, Description>) -> String {
    let title = format!("Problem codes of {}", html_escaped(application));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let (name, address) = STANDARD_DOCUMENT;
    for paragraph in INTRODUCTION {
        let paragraph = text(paragraph).replace(name, &format!("<a href=\"{address}\">{name}</a>"));
        let _ = writeln!(page, "<p>{paragraph}</p>");
    }
    let mut places = BTreeSet::new();
    begin(&mut page, EVERYWHERE, &[]);
    for kind in &STANDARD {
        row(&mut page, &mut places, kind.code, kind.status, &[text(kind.meaning)]);
    }
    page.push_str(END);
    for (service, description) in described {
        let kinds = own(description);
        if kinds.is_empty() {
            let _ = writeln!(page, "<h2>{}</h2>\n<p>{NONE}</p>", html_escaped(service));
            continue;
        }
        begin(&mut page, service, &["operations"]);
        for own in &kinds {
            let operations: Vec<String> =
                own.operations.iter().map(|operation| html_code(operation)).collect();
            let cells = [text(&own.kind.description), operations.join("<br>")];
            row(&mut page, &mut places, &own.kind.code, own.kind.status, &cells);
        }
        page.push_str(END);
    }
    page.push_str("</body>\n</html>\n");
    page
}

const END: &str = "</tbody>\n</table>\n</div>\n";

fn begin(page: &mut String, title: &str, more_columns: &[&str]) {
    let _ = write!(page, "<h2>{}</h2>\n<div class=\"table\">\n<table>\n<thead><tr>", html_escaped(title));
    for column in ["code", "status", "what it means, and what to do"].iter().chain(more_columns) {
        let _ = write!(page, "<th scope=\"col\">{column}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

/// A row, with the anchor of its code unless another row has it: two services may have the same kind.
fn row<'c>(page: &mut String, places: &mut BTreeSet<&'c str>, code: &'c str, status: u16, cells: &[String]) {
    let shown = html_escaped(code);
    let place = if places.insert(code) { format!(" id=\"{shown}\"") } else { String::new() };
    let _ = write!(page, "<tr{place}><td><a href=\"#{shown}\">{shown}</a></td><td>{status}</td>");
    for cell in cells {
        let _ = write!(page, "<td>{cell}</td>");
    }
    page.push_str("</tr>\n");
}
