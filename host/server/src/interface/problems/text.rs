//! Text with code spans, in HTML and in Markdown. A component's text may contain anything: only its backticks are markup.

use std::borrow::Cow;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Plain(&'t str),
    Code(&'t str),
}

/// The parts of a text: text between two backticks is code. An unpaired backtick is literal.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`')
        && let Some((code, after)) = after.split_once('`')
    {
        parts.push(Part::Plain(before));
        parts.push(if code.trim().is_empty() { Part::Plain("``") } else { Part::Code(code) });
        rest = after;
    }
    parts.push(Part::Plain(rest));
    parts.retain(|part| *part != Part::Plain(""));
    parts
}

/// A text as HTML, for an element and for an attribute in quotes.
pub(super) fn html(text: &str) -> String {
    parts(text)
        .iter()
        .map(|part| match part {
            Part::Plain(plain) => html_escaped(plain),
            Part::Code(code) => html_code(code),
        })
        .collect()
}

pub(super) fn html_code(code: &str) -> String {
    format!("<code>{}</code>", html_escaped(code))
}

pub(super) fn html_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A text as Markdown, on one line and suitable for a table cell.
pub(super) fn markdown(text: &str) -> String {
    parts(&one_line(text))
        .iter()
        .map(|part| match part {
            Part::Plain(plain) => markdown_escaped(plain),
            Part::Code(code) => markdown_code(code),
        })
        .collect()
}

/// Code in Markdown, on one line. In a code span of a table cell, a `|` needs a backslash, a backslash must not be escaped, and a backtick
/// can't be written at all. Code with one of these becomes an HTML element, in which everything is escaped as elsewhere.
pub(super) fn markdown_code(code: &str) -> String {
    let code = one_line(code);
    if code.is_empty() || code.contains(['|', '\\', '`']) {
        format!("<code>{}</code>", markdown_escaped(&code))
    } else {
        format!("`{code}`")
    }
}

/// Puts a backslash before each character that is markup in Markdown text.
pub(super) fn markdown_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '|' | '`' | '<' | '&' | '*' | '_' | '[' | ']' | '~') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(
            text.split(|letter: char| letter.is_control() || letter == ' ')
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
        )
    } else {
        Cow::Borrowed(text)
    }
}
