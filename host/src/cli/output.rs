//! Printing what was asked for.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::Value;

/// Writes to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // What stays in the buffer would fail at the end of the process, where nobody is told.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("print the answer"),
    }
}

/// Writes a document as JSON.
pub(super) fn print_json(document: &Value) -> anyhow::Result<()> {
    print(&format!("{document:#}\n"))
}

/// Writes some members of each item, in columns.
pub(super) fn print_table(items: &[Value], columns: &[(&str, &str)], nothing: &str) -> anyhow::Result<()> {
    if items.is_empty() {
        return print(&format!("{nothing}\n"));
    }
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()];
    rows.extend(
        items.iter().map(|item| columns.iter().map(|(_, member)| shown(item.get(*member))).collect()),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    print(&text)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The items of a list.
pub(super) fn items<'d>(document: &'d Value, member: &str) -> &'d [Value] {
    document.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
