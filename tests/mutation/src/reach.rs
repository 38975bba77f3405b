//! Which tests reach which switches: learned by running all of them once.

use crate::built::{Suites, TestId};
use crate::mutant::Id;
use crate::run::{Ended, Setting, run};
use crate::tree::{Tree, write_whole};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A test that passes when no mutant is on.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Test {
    pub(crate) id: TestId,
    pub(crate) seconds: f64,
    /// The switches that it reaches.
    pub(crate) reaches: BTreeSet<Id>,
}

/// How long a test may take when no mutant is on: some build a component first.
const LEARNING_MAX: Duration = Duration::from_secs(900);

/// Runs each test once, if an earlier run has not.
pub(crate) fn learn(tree: &Tree, suites: &Suites) -> Result<Vec<Test>> {
    let noted = tree.notes.join("tests.json");
    if noted.exists() {
        return tree.read_note(&noted);
    }
    let all: Vec<TestId> = suites.iter().flat_map(|(name, suite)| suite.tests(name)).collect();
    eprintln!("mutation: all {} tests run once", all.len());
    let tests = Mutex::new(Vec::new());
    crate::in_parallel(all, |test| {
        let reached = tempfile::NamedTempFile::new()?;
        let began = Instant::now();
        let setting = Setting { switch: 0, reached: Some(reached.path()), at_most: LEARNING_MAX };
        let ended = run(tree, suites, &[&test], &setting)?;
        let seconds = began.elapsed().as_secs_f64();
        if ended == Ended::Passed {
            let reaches =
                fs::read_to_string(reached.path())?.lines().map(str::parse).collect::<Result<_, _>>()?;
            let mut tests = tests.lock().unwrap_or_else(PoisonError::into_inner);
            tests.push(Test { id: test, seconds, reaches });
        } else {
            let TestId { suite, name } = test;
            eprintln!("mutation: {suite} {name} fails without a mutant, and is left out");
        }
        Ok(())
    })?;
    let mut tests = tests.into_inner().unwrap_or_else(PoisonError::into_inner);
    tests.retain(|test| !test.reaches.is_empty());
    ensure!(!tests.is_empty(), "no test passes and reaches a mutant: does `make test` pass?");
    write_whole(&noted, &tests)?;
    Ok(tests)
}

/// The tests that reach a switch, by their places.
pub(crate) fn by_switch(tests: &[Test]) -> HashMap<Id, Vec<usize>> {
    let mut by_switch: HashMap<Id, Vec<usize>> = HashMap::new();
    for (place, test) in tests.iter().enumerate() {
        for id in &test.reaches {
            by_switch.entry(*id).or_default().push(place);
        }
    }
    by_switch
}
