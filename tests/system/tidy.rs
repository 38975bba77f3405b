//! Rules about the tree itself.

mod architecture;
mod contract;
mod imports;
mod layers;
mod mutants;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulkhead_tests::paths;

/// No source file is longer.
const LINES_MAX: usize = 600;

/// The shop's words, which the host knows nothing of.
const SHOP_WORDS: [&str; 14] = [
    "basket",
    "cart",
    "categories",
    "category",
    "customer",
    "customers",
    "order",
    "orders",
    "payment",
    "price",
    "product",
    "products",
    "sku",
    "skus",
];

/// The sources of what runs in the host's process.
const HOST: [&str; 8] = [
    "host/src",
    "host/manifest/src",
    "host/runtime/src",
    "host/server/src",
    "host/sqlite/src",
    "host/store/src",
    "host/tools/src",
    "host/types/src",
];

/// Phrases in which such a word means something else.
const OTHER_MEANINGS: [&str; 6] =
    ["in order", "in their order", "order by", "order of", "out of order", "the order"];

/// Files below a folder whose names end so, in the order of their paths. What is built or fetched is not part of the tree.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A path as people say it.
fn shown(file: &Path) -> String {
    file.strip_prefix(paths::root()).unwrap_or(file).display().to_string()
}

/// Whether a text has a word, and not only as a part of another.
fn has_word(text: &str, word: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(place, _)| {
        let (before, behind) = (text[..place].chars().next_back(), text[place + word.len()..].chars().next());
        !before.is_some_and(is_inner) && !behind.is_some_and(is_inner)
    })
}

/// Fails with all that was found, and not with the first alone.
#[track_caller]
fn nothing_of(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn no_source_file_is_too_long() {
    let found: Vec<String> = files(&paths::root(), ".rs")
        .iter()
        .filter(|file| !file.ends_with("src/bindings.rs") || file.ends_with("sdk/src/bindings.rs"))
        .map(|file| (shown(file), read(file).lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    nothing_of(&found, "split on an idea before 600 lines");
}

#[test]
fn the_host_has_no_word_of_the_shop() {
    let root = paths::root();
    let sources = files(&root.join("host"), ".rs");
    let contract = files(&root.join("wit"), ".wit");
    let mut found = Vec::new();
    for file in sources.iter().chain(contract.iter().filter(|file| !file.starts_with(root.join("wit/deps"))))
    {
        for (number, line) in read(file).lines().enumerate() {
            for word in shop_words(line) {
                found.push(format!("{}:{}: {word}: {}", shown(file), number + 1, line.trim()));
            }
        }
    }
    nothing_of(&found, "the host and its contract serve any application: say it without the shop");
}

/// The shop's words in a line: whole words, also as parts of names. A comment may take its example from the shop.
fn shop_words(line: &str) -> Vec<String> {
    let mut code = line.split("//").next().unwrap_or_default().to_lowercase().replace('_', " ");
    for phrase in OTHER_MEANINGS {
        code = code.replace(phrase, "");
    }
    let words = code.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| SHOP_WORDS.contains(word)).map(str::to_owned).collect()
}

#[test]
fn a_shop_word_is_found_and_an_order_of_things_is_not() {
    assert_eq!(shop_words("let product_id = sku.product; // of a cart"), ["product", "sku", "product"]);
    assert!(shop_words("\"SELECT x FROM y ORDER BY z\", kept in order").is_empty());
}

/// `make bench` runs guests of the tests as `make test` does: in a clone where nothing else was built yet, too.
#[test]
fn each_make_target_that_runs_test_guests_builds_them() {
    let makefile = read(&paths::root().join("Makefile"));
    let rule = |target: &str| {
        let rule = makefile.split("\n\n").flat_map(|part| part.split_once(&format!("\n{target}:")));
        rule.map(|(_, rule)| rule.to_owned()).next().unwrap_or_else(|| panic!("there is no target {target}"))
    };
    for manifest in files(&paths::root().join("tests"), ".toml") {
        let text = read(&manifest);
        if text.contains("[application]") {
            let manifest = shown(&manifest);
            assert!(rule("guests").contains(&manifest), "`make guests` does not build those of {manifest}");
        }
    }
    assert!(rule("guests").starts_with(" build\n"), "it runs `bulkhead build`");
    for (target, runs) in [("test", "nextest"), ("bench", "release/bench")] {
        let rule = rule(target);
        assert!(rule.contains(runs) && rule.lines().next().unwrap().contains(" guests "), "{target}:{rule}");
    }
}

/// Where `Path::parent` may be asked: in the place of [`Path::parent`] that the others ask, and where the path is only joined.
/// In two more places a path that is below another, or of a test, is asked.
const PARENTS: [&str; 4] = [
    "host/build/src/migrations.rs",
    "host/build/src/place.rs",
    "host/manifest/src/read.rs",
    "host/sqlite/src/failing_sync.rs",
];

/// `Path::parent` of `bulkhead.toml` is an empty path, which no system call takes for the current folder.
#[test]
fn parent_folder_of_a_file_comes_from_one_function() {
    let mut found = Vec::new();
    for file in files(&paths::root().join("host"), ".rs") {
        let name = shown(&file);
        if PARENTS.contains(&name.as_str()) || name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| line.contains(".parent()")) {
            found.push(format!("{name}:{}: {}", number + 1, line.trim()));
        }
    }
    nothing_of(&found, "ask bulkhead_build::folder_of, which gives `.` where a path names no folder");
}

#[test]
fn sqlite_is_opened_only_by_its_engine() {
    let root = paths::root();
    let mut found = Vec::new();
    for folder in ["host", "components", "data"] {
        for file in files(&root.join(folder), ".rs") {
            if !file.starts_with(root.join("host/sqlite")) && read(&file).contains("Connection::open") {
                found.push(shown(&file));
            }
        }
    }
    nothing_of(&found, "another way to a database would be a way around the authorizer");
}

/// Where threads and tasks may be started.
const STARTERS: [&str; 2] = ["host/runtime/src/supervise.rs", "host/server/src/tasks.rs"];

#[test]
fn no_thread_and_no_task_of_the_host_dies_unnoticed() {
    let root = paths::root();
    let mut found = Vec::new();
    for folder in HOST {
        for file in files(&root.join(folder), ".rs") {
            let name = shown(&file);
            if STARTERS.contains(&name.as_str()) || file.ends_with("tests.rs") || name.contains("/tests/") {
                continue;
            }
            let text = read(&file);
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (number, line) in code.lines().enumerate() {
                if ["thread::spawn", "thread::Builder", "tokio::spawn", "task::spawn("]
                    .iter()
                    .any(|way| line.contains(way))
                {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    nothing_of(&found, "threads are started by `supervise`, and tasks by `tasks`");
}

#[test]
fn all_printing_goes_through_functions_that_fail_without_a_panic() {
    let root = paths::root();
    let mut found = Vec::new();
    for folder in HOST.into_iter().chain(["host/build/src", "data/loader/src"]) {
        let is_code = |file: &&PathBuf| !file.ends_with("tests.rs") && !shown(file).contains("/tests/");
        for file in files(&root.join(folder), ".rs").iter().filter(is_code) {
            for (number, line) in read(file).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if ["println!(", "print!("].iter().any(|way| code.contains(way)) {
                    found.push(format!("{}:{}: {}", shown(file), number + 1, line.trim()));
                }
            }
        }
    }
    nothing_of(
        &found,
        "`println!` and `eprintln!` panic where nobody takes what they write: see `cli/output.rs` and `telemetry`",
    );
}

#[test]
fn each_file_of_the_contract_is_named_after_its_interface() {
    let mut found = Vec::new();
    for file in files(&paths::root().join("wit"), ".wit") {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if file.starts_with(paths::root().join("wit/deps")) || name == "world" {
            continue;
        }
        let text = read(&file);
        let interfaces: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("interface "))
            .map(|rest| rest.trim_end_matches(['{', ' ']))
            .collect();
        if interfaces != [name.as_str()] {
            found.push(format!("{} has {interfaces:?}", shown(&file)));
        }
    }
    nothing_of(&found, "one interface per file, of the file's name");
}

#[test]
fn each_item_of_the_contract_has_a_since_version() {
    let items = ["interface ", "world ", "record ", "enum ", "variant ", "flags ", "resource ", "type "];
    let mut found = Vec::new();
    for file in files(&paths::root().join("wit"), ".wit") {
        if file.starts_with(paths::root().join("wit/deps")) {
            continue;
        }
        let mut since = false;
        for (number, line) in read(&file).lines().map(str::trim).enumerate() {
            let function = line.contains(": func(") && !line.starts_with("//");
            if (function || items.iter().any(|item| line.starts_with(item))) && !since {
                found.push(format!("{}:{}: {line}", shown(&file), number + 1));
            }
            since = line.starts_with("@since(") || (since && line.starts_with("//"));
        }
    }
    nothing_of(&found, "@since stands above each item");
}

#[test]
fn no_test_sleeps_or_is_left_out() {
    let mut found = Vec::new();
    let this = Path::new(file!()).file_name().unwrap();
    for file in files(&paths::root(), ".rs").iter().filter(|file| file.file_name() != Some(this)) {
        let text = read(file);
        let test = file.starts_with(paths::root().join("tests")) || file.ends_with("tests.rs");
        for (number, line) in text.lines().enumerate() {
            if (test && line.contains("sleep(")) || line.trim_start().starts_with("#[ignore") {
                found.push(format!("{}:{}: {}", shown(file), number + 1, line.trim()));
            }
        }
    }
    nothing_of(&found, "a test waits for events, and runs");
}

#[test]
fn migrations_are_named_by_version_and_action_and_their_tables_are_strict() {
    let mut found = Vec::new();
    for file in files(&paths::root().join("components"), ".sql") {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (version, deed) = name.split_once("__").unwrap_or((name, ""));
        let numbered = version.len() == 5
            && version.starts_with('V')
            && version[1..].bytes().all(|b| b.is_ascii_digit());
        if !numbered || !deed.contains('_') {
            found.push(format!("{}: not named V0001__verb_noun.sql", shown(&file)));
        }
        let text: String =
            read(&file).lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        for (place, _) in text.match_indices("CREATE TABLE") {
            let end = text[place..].find(';').map_or(text.len(), |end| place + end);
            if !text[place..end].contains("STRICT") {
                found.push(format!("{}: {} is not STRICT", shown(&file), &text[place..end]));
            }
        }
    }
    nothing_of(&found, "migrations");
}

/// Money is whole cents, and so is every other number of the shop whole. The SDK reads any number that a client or a database may hold.
const FLOATS_WELCOME: [(&str, &str); 3] = [
    ("components/sdk/src/bounded.rs", "takes 5.0 for the whole number 5"),
    ("components/sdk/src/json.rs", "reads any JSON, to say what is wrong with it"),
    ("components/sdk/src/sql.rs", "gives a service every type that SQLite has"),
];

#[test]
fn no_service_computes_with_floats() {
    let root = paths::root();
    let components = root.join("components");
    let mut found = Vec::new();
    // Property tests try floats, to see them refused.
    let is_code = |file: &&PathBuf| !file.ends_with("properties.rs");
    for file in files(&components, ".rs").iter().chain(&files(&components, ".sql")).filter(is_code) {
        let name = shown(file);
        let has_float = |line: &&str| {
            let code = line.split("//").next().unwrap_or_default().split("--").next().unwrap_or_default();
            let mut words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            words.any(|word| ["f32", "f64", "REAL"].contains(&word) || word.eq_ignore_ascii_case("avg"))
        };
        let text = read(file);
        let floats: Vec<&str> = text.lines().filter(has_float).collect();
        match FLOATS_WELCOME.iter().find(|(welcome, _)| *welcome == name) {
            Some((_, reason)) if floats.is_empty() => {
                found.push(format!("{name}: no float is left that {reason}"))
            }
            Some(_) => {}
            None => found.extend(floats.iter().map(|line| format!("{name}: {}", line.trim()))),
        }
    }
    nothing_of(&found, "money is never a float: use `Money`, or whole numbers");
}

/// `type` of a problem document leads to a place on the page of codes: each with which the host or the SDK answers has one there, with
/// its status, and no code stands there as theirs that is not.
#[test]
fn each_problem_code_of_the_host_and_the_sdk_is_on_the_page() {
    let page = read(&paths::root().join("docs/problems.md"));
    let section = page.split("\n## ").nth(1).unwrap_or_default();
    let listed: BTreeSet<(u16, String)> = section.lines().filter_map(listed_problem).collect();
    let mut made = BTreeSet::new();
    for folder in HOST.into_iter().chain(["components/sdk/src"]) {
        for file in files(&paths::root().join(folder), ".rs") {
            if !file.ends_with("tests.rs") {
                let text = read(&file);
                made.extend(made_problems(
                    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default(),
                ));
            }
        }
    }
    assert!(made.len() > 15, "the codes were not found: {made:?}");
    let missing: Vec<String> =
        made.difference(&listed).map(|kind| format!("{kind:?} is not there")).collect();
    nothing_of(
        &missing,
        "each problem code is in the table `STANDARD` of the host, and so in docs/problems.md",
    );
    let unused: Vec<String> =
        listed.difference(&made).map(|kind| format!("{kind:?} is made nowhere")).collect();
    nothing_of(&unused, "the table `STANDARD` has what the host or the SDK answers with");
}

/// A kind of problem that nobody answers with any more would stay on the page of codes.
#[test]
fn each_kind_of_problem_of_the_host_is_in_use() {
    let kinds = paths::root().join("host/runtime/src/problem_kinds.rs");
    let text = read(&kinds);
    let names = text.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let answers: Vec<String> = HOST
        .iter()
        .flat_map(|folder| files(&paths::root().join(folder), ".rs"))
        .filter(|file| *file != kinds && !file.ends_with("interface/problems.rs"))
        .map(|file| read(&file))
        .collect();
    let is_used = |name: &&str| answers.iter().any(|text| has_word(text, &format!("problem_kinds::{name}")));
    let (used, unused): (Vec<&str>, Vec<&str>) = names.partition(is_used);
    assert!(used.len() > 25, "{used:?}");
    assert_eq!(unused, [""; 0]);
}

/// The status and the code of a row of the page.
fn listed_problem(row: &str) -> Option<(u16, String)> {
    let (code, rest) = row.strip_prefix("| `")?.split_once("` | ")?;
    Some((rest.split(' ').next()?.parse().ok()?, code.to_owned()))
}

/// The problems that a source makes: each with its status and its code, one after the other.
fn made_problems(source: &str) -> impl Iterator<Item = (u16, String)> {
    let calls =
        ["kind(", "new(", "ProblemKind::standard("].into_iter().flat_map(|call| source.split(call).skip(1));
    calls.filter_map(|call| {
        let mut arguments = call.split(',').map(str::trim);
        let status = arguments.next()?.parse().ok().filter(|status| (400..600).contains(status))?;
        let code = arguments.next()?.strip_prefix('"')?.split('"').next()?;
        Some((status, code.to_owned()))
    })
}

#[test]
fn a_problem_is_found_by_its_status_and_its_code() {
    let source = "kind(409, \"busy\", why); = kind(\n  503,\n  \"unavailable\",\n); ProblemKind::standard(404, \"gone\")";
    let found: Vec<_> = made_problems(source).collect();
    assert_eq!(found, [(409, "busy".into()), (503, "unavailable".into()), (404, "gone".into())]);
    assert_eq!(made_problems("kind(200, \"fine\"); Vec::new()").count(), 0);
    assert_eq!(listed_problem("| `busy` | 409 | A check runs. |"), Some((409, "busy".to_owned())));
    assert_eq!(listed_problem("| code | status | meaning |"), None);
}
