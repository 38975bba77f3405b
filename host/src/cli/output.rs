//! Prints the results of commands.

use std::io::Write as _;

use anyhow::Context as _;
use bulkhead_types::{is_control, own_words};
use serde_json::Value;

/// Writes to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // Data left in the buffer would fail at the end of the process, where nobody would see the error.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("print the answer"),
    }
}

/// Writes a document as JSON without characters that control a terminal.
pub(super) fn print_json(document: &Value) -> anyhow::Result<()> {
    let mut text = String::new();
    for letter in format!("{document:#}\n").chars() {
        // Outside of strings the only control character is the line break. A JSON reader still gets the escaped character.
        if is_control(letter) && letter != '\n' {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    print(&text)
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

/// Text from services and their clients is shown to an operator, but must not control the terminal.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => own_words(text, usize::MAX),
        Some(other) => own_words(&other.to_string(), usize::MAX),
    }
}

/// The items of a list.
pub(super) fn items<'d>(document: &'d Value, member: &str) -> &'d [Value] {
    document.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn event_text_cannot_move_the_terminal_cursor() {
        let texts = [json!("a\u{1b}[2J\u{9b}\u{202e}b"), json!({"n": "\u{9b}\u{202e}"})];
        let texts = texts.map(|value| shown(Some(&value)));
        assert_eq!(texts, ["a\\u{1b}[2J\\u{9b}\\u{202e}b", "{\"n\":\"\\u{9b}\\u{202e}\"}"]);
    }
}
