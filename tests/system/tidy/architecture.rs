//! ARCHITECTURE.md names files and code: all of it is there.

use std::collections::BTreeSet;

use bulkhead_tests::paths;

use super::{files, has_word, nothing_of, read};

/// What stands in backquotes, outside of drawings.
fn named(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let names = prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// Whether it is the path of a file or a folder: not that of a request, a pattern, or a command.
fn is_path(name: &str) -> bool {
    let endings = [".rs", ".md", ".toml", ".sh", ".py", ".wit"];
    let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "./_-".contains(letter));
    is_plain
        && !name.starts_with('/')
        && (name.contains('/') || endings.iter().any(|end| name.ends_with(end)))
}

/// The words of the name of something in the code, such as `Hold::join`.
fn words_of_code(name: &str) -> Option<Vec<&str>> {
    let is_word = |word: &&str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let words: Vec<&str> = name.split("::").collect();
    words.iter().all(is_word).then_some(words)
}

/// The interface and the function that a name such as `outbox.erase` is of; no function where it is `outbox.*`.
fn function_of_interface(name: &str) -> Option<(&str, Option<&str>)> {
    let (interface, function) = name.split_once('.')?;
    let is_word = |text: &str| text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    (is_word(interface) && (function == "*" || is_word(function)))
        .then_some((interface, (function != "*").then_some(function)))
}

/// Whether a file says what `member` of a type, a trait or a module is: a function of it, a constant, a variant.
fn has_member(text: &str, of: &str, member: &str) -> bool {
    let heads = ["impl", "enum", "trait", "struct", "mod", "pub"];
    let is_of = |line: &str| heads.iter().any(|head| line.starts_with(head)) && has_word(line, of);
    let defines = |line: &str| {
        let behind = |word: &str| line.split_once(word).is_some_and(|(_, rest)| has_word_first(rest, member));
        ["fn ", "const ", "type ", "struct "].into_iter().any(behind)
            || has_word_first(line.trim_start(), member) && line.trim_end().ends_with([',', '{', ')'])
    };
    text.lines().any(is_of) && text.lines().any(defines)
}

fn has_word_first(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_'))
}

#[test]
fn names_in_architecture_exist() {
    let root = paths::root();
    let names = named(&read(&root.join("ARCHITECTURE.md")));
    let texts: Vec<String> = ["host", "components", "tests", "wit", "data/loader"]
        .iter()
        .flat_map(|folder| {
            let folder = root.join(folder);
            [".rs", ".wit", ".toml", ".sh"].into_iter().flat_map(move |ending| files(&folder, ending))
        })
        .chain([root.join("Makefile"), root.join("bulkhead.toml")])
        .filter(|file| !file.ends_with("tidy/architecture.rs"))
        .map(|file| read(&file))
        .collect();
    let mut found = Vec::new();
    for name in &names {
        if is_path(name) {
            if !root.join(name).exists() {
                found.push(format!("there is no file {name}"));
            }
        } else if let Some((interface, function)) = function_of_interface(name) {
            let file = root.join(format!("wit/{interface}.wit"));
            if !file.exists() || function.is_some_and(|function| !has_word(&read(&file), function)) {
                found.push(format!("the contract has no {name}"));
            }
        } else if let Some(words) = words_of_code(name) {
            let is_there = match words.as_slice() {
                [of, member] => texts.iter().any(|text| has_member(text, of, member)),
                words => texts.iter().any(|text| words.iter().all(|word| has_word(text, word))),
            };
            if !is_there {
                found.push(format!("nothing in the code has the name {name}"));
            }
        }
    }
    nothing_of(
        &found,
        "ARCHITECTURE.md names files by their paths from the project's folder, and code as it is",
    );
    let (paths, code): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_path(name));
    assert!(paths.len() > 90 && code.len() > 60, "{} paths and {} names", paths.len(), code.len());
}

#[test]
fn path_and_identifier_in_code_are_distinguished() {
    assert_eq!(
        named("a `b.rs`, `C::d`\n```\n`drawn`\n```\n`e f`").into_iter().collect::<Vec<_>>(),
        ["C::d", "b.rs", "e f"]
    );
    for path in ["host/src/main.rs", "wit/", "Cargo.toml", "host/store"] {
        assert!(is_path(path), "{path}");
    }
    for other in ["/metrics", "Hold::join", "make bench", "transaction.*", "snapshot.query"] {
        assert!(!is_path(other), "{other}");
    }
    assert_eq!(words_of_code("Hold::join"), Some(vec!["Hold", "join"]));
    assert_eq!(words_of_code("make bench"), None);
    assert_eq!(function_of_interface("outbox.erase"), Some(("outbox", Some("erase"))));
    assert_eq!(function_of_interface("transaction.*"), Some(("transaction", None)));
    assert_eq!(function_of_interface("Cargo.toml"), None);
    let text = "impl Hold {\n    fn join(self) {}\n}\nenum Kept {\n    Whole,\n}\nfn f() { self.begin(); }";
    assert!(has_member(text, "Hold", "join") && has_member(text, "Kept", "Whole"));
    assert!(!has_member(text, "Hold", "begin") && !has_member(text, "Lease", "join"));
    assert!(
        has_word("fn join(", "join") && !has_word("fn joined(", "join") && has_word("rejoin join", "join")
    );
}
