//! Differences that are easy to read.

use std::fmt::Write as _;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Both values as JSON lines. Expected lines that are missing get a `-`, and unexpected lines get a `+`.
pub(crate) fn of(expected: &Value, found: &Value) -> String {
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (expected, found) = (text(expected), text(found));
    let diff = TextDiff::from_lines(&expected, &found);
    let mut lines = String::new();
    for change in diff.iter_all_changes() {
        let mark = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let _ = writeln!(lines, "  {mark} {}", change.value().trim_end_matches('\n'));
    }
    lines
}

/// The found value, restricted to the expected members at any depth. Items of lists are matched by their index.
pub(crate) fn restricted(expected: &Value, found: &Value) -> Value {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let members = found
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), restricted(expected.get(name)?, value))));
            Value::Object(members.collect())
        }
        (Value::Array(expected), Value::Array(found)) => {
            let items = found.iter().enumerate();
            items
                .map(|(place, item)| {
                    expected.get(place).map_or_else(|| item.clone(), |e| restricted(e, item))
                })
                .collect()
        }
        (_, found) => found.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn diff_shows_differences_with_unchanged_context() {
        let printed = of(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3}));
        assert_eq!(printed, "    {\n      \"a\": 1,\n  -   \"b\": 2\n  +   \"b\": 3\n    }\n");
    }

    #[test]
    fn unexpected_members_are_omitted_but_items_are_kept() {
        let found = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4, "g": 5}, 6]});
        assert_eq!(
            restricted(&json!({"b": {"c": 0}, "e": [{"f": 0}], "missing": 1}), &found),
            json!({"b": {"c": 2}, "e": [{"f": 4}, 6]})
        );
    }
}
