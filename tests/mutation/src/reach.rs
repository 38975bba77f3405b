//! Which tests reach which switches: learned by running all of them once.

use crate::built::{Suites, nextest};
use crate::switches::Id;
use crate::tree::Tree;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::process::Stdio;

/// A test that passes when no mutant is on.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Test {
    /// The name of its program.
    pub(crate) suite: String,
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// The switches that it reaches.
    pub(crate) reaches: BTreeSet<Id>,
}

/// Runs each test once, if an earlier run has not.
pub(crate) fn learn(tree: &Tree, suites: &Suites) -> Result<Vec<Test>> {
    let noted = tree.notes.join("tests.json");
    if noted.exists() {
        return Ok(serde_json::from_slice(&fs::read(noted)?)?);
    }
    let folder = tree.notes.join("reached");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    eprintln!("mutation: all tests run once");
    let mut command = nextest(tree, "run", &["--no-fail-fast", "--color", "never", "--status-level", "pass"]);
    let output = command.env("MUTATION_REACHED", &folder).stderr(Stdio::piped()).output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    let mut tests = Vec::new();
    for (passed, seconds, suite, name) in log.lines().filter_map(ended) {
        if !passed {
            eprintln!("mutation: {suite} {name} fails without a mutant, and is left out");
            continue;
        }
        ensure!(suites.contains_key(suite), "nextest names an unknown test program: {suite}");
        let reached = fs::read_to_string(folder.join(format!("{suite} {name}").replace('/', "%")));
        let reaches = match reached {
            Ok(lines) => {
                lines.lines().map(str::parse).collect::<Result<_, _>>().context("a note is broken")?
            }
            Err(_) => BTreeSet::new(),
        };
        tests.push(Test { suite: suite.to_owned(), name: name.to_owned(), seconds, reaches });
    }
    ensure!(!tests.is_empty(), "no test passes without a mutant:\n{log}");
    tests.retain(|test| !test.reaches.is_empty());
    fs::write(noted, serde_json::to_vec(&tests)?)?;
    Ok(tests)
}

/// A line of nextest's about a test that has ended: whether it passed, how long it took, its program and its name.
fn ended(line: &str) -> Option<(bool, f64, &str, &str)> {
    let (status, rest) = line.trim_start().split_once(" [")?;
    let passed = match status.trim() {
        "PASS" => true,
        "FAIL" | "SIGABRT" | "SIGSEGV" | "SIGKILL" | "TIMEOUT" => false,
        _ => return None,
    };
    let (seconds, rest) = rest.split_once("s]")?;
    // `( 12/345)`, if it is there.
    let rest = rest.trim_start();
    let rest = if rest.starts_with('(') { rest.split_once(')')?.1.trim_start() } else { rest };
    let (suite, name) = rest.split_once(' ')?;
    Some((passed, seconds.trim().parse().ok()?, suite, name.trim()))
}

/// The tests that reach a switch.
pub(crate) fn by_switch(tests: &[Test]) -> HashMap<Id, Vec<usize>> {
    let mut by_switch: HashMap<Id, Vec<usize>> = HashMap::new();
    for (place, test) in tests.iter().enumerate() {
        for id in &test.reaches {
            by_switch.entry(*id).or_default().push(place);
        }
    }
    by_switch
}
