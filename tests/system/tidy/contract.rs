//! `docs/contract.md`: each test that it names is there.

use std::collections::BTreeMap;

use bulkhead_tests::paths;

use super::{nothing_of, read};

const PAGE: &str = "docs/contract.md";

/// The page has many more; fewer would mean that they are not found.
const REFERENCES_MIN: usize = 150;

/// The tests of a row `| claim | tests |`, each as `FILE::NAME` between backticks, at most two; none where it is no such row.
fn references(row: &str) -> Option<Vec<(String, &str)>> {
    let (_, tests) = row.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | ")?;
    let tests = tests.strip_prefix('`')?.strip_suffix('`')?;
    let found: Option<Vec<_>> = tests.split("`, `").map(reference).collect();
    found.filter(|found| found.len() <= 2)
}

/// A file from the project's folder, where `system/` stands for `tests/system/`, and the full name of a test in it.
fn reference(text: &str) -> Option<(String, &str)> {
    let (file, name) = text.split_once("::")?;
    let is_name = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let file = if file.starts_with("system/") { format!("tests/{file}") } else { file.to_owned() };
    (file.ends_with(".rs") && !name.is_empty() && is_name).then_some((file, name))
}

/// Whether a file has a test of this name: a function below `#[test]`, or what a macro of the file makes one of, by a line that begins with
/// the name and a colon.
fn has_test(text: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut above = "";
    for line in text.lines().map(str::trim_start) {
        if above == "#[test]" && line.starts_with(&function) {
            return true;
        }
        above = line;
    }
    let made = format!("{name}: ");
    text.contains("fn $test()") && text.lines().any(|line| line.trim_start().starts_with(&made))
}

#[test]
fn each_claim_of_the_contract_names_existing_tests() {
    let page = read(&paths::root().join(PAGE));
    let (claims, _) = page.split_once("\n## Without a test\n").expect("what has no test stands at the end");
    let mut texts = BTreeMap::new();
    let (mut found, mut count) = (Vec::new(), 0);
    let rows = claims.lines().filter(|line| line.starts_with('|'));
    for row in rows.filter(|row| !["| claim | test |", "| --- | --- |"].contains(row)) {
        let Some(references) = references(row) else {
            found.push(format!("one or two tests as `FILE::NAME`: {row}"));
            continue;
        };
        count += references.len();
        for (file, name) in references {
            let path = paths::root().join(&file);
            let text = texts.entry(file.clone()).or_insert_with(|| path.is_file().then(|| read(&path)));
            if !text.as_ref().is_some_and(|text| has_test(text, name)) {
                found.push(format!("{file}::{name} is not there"));
            }
        }
    }
    nothing_of(&found, "docs/contract.md names each test by its file and its full name");
    assert!(count >= REFERENCES_MIN, "{count} tests were found");
}

#[test]
fn a_reference_is_a_file_and_the_name_of_a_test_in_it() {
    let row = "| a `|` | b | `system/a.rs::one`, `components/b/src/c.rs::two` |";
    let expected = [("tests/system/a.rs".to_owned(), "one"), ("components/b/src/c.rs".to_owned(), "two")];
    assert_eq!(references(row).as_deref(), Some(&expected[..]));
    for tests in ["", "system/a.rs::one", "`a.rs`", "`a::one`", "`a.rs::one…`", "`a.rs::`"] {
        assert_eq!(references(&format!("| claim | {tests} |")), None, "{tests}");
    }
    assert_eq!(references("| claim | `a.rs::one`, `a.rs::two`, `a.rs::three` |"), None);

    let text = "    #[test]\n    fn one() {\n    }\nfn two() {}\n    three: \"x\";\n";
    assert_eq!(["one", "on", "two", "three"].map(|name| has_test(text, name)), [true, false, false, false]);
    assert!(has_test(&format!("{text}fn $test() {{"), "three"));
}
