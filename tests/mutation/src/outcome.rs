//! What became of the mutants.

use crate::mutant::Mutant;
use crate::reach::Test;
use crate::switches::Id;
use crate::tree::Tree;
use anyhow::{Context, Result as Fallible};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) type Outcomes = BTreeMap<Id, Outcome>;

/// What became of one.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) result: Result,
    /// The test that found it.
    pub(crate) test: Option<usize>,
    /// How many tests ran.
    pub(crate) tests: usize,
    /// How many reach it.
    pub(crate) reached_by: usize,
    /// How long it was to be tried at most.
    pub(crate) at_most: Duration,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Result {
    /// A test failed.
    Found,
    /// A test had no end.
    TimedOut,
    Survived,
    /// It does not compile.
    Unviable,
    /// It can't be put behind a switch.
    NotTried,
}

impl Result {
    pub(crate) fn is_found(self) -> bool {
        matches!(self, Self::Found | Self::TimedOut)
    }
}

impl Outcome {
    pub(crate) fn without_test(result: Result) -> Self {
        Self { result, test: None, tests: 0, reached_by: 0, at_most: Duration::MAX }
    }

    /// Whether nothing more is to be learned in so much time.
    pub(crate) fn is_final(&self, at_most: Duration) -> bool {
        self.result != Result::Survived || self.tests == self.reached_by || at_most <= self.at_most
    }
}

/// The mutants that may survive.
pub(crate) struct Justified(HashSet<(String, String)>);

impl Justified {
    /// What `justified.toml` says.
    pub(crate) fn read(tree: &Tree) -> Fallible<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct List {
            survivor: Vec<Survivor>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Survivor {
            file: String,
            changes: Vec<String>,
            /// For the reader.
            #[expect(dead_code)]
            because: String,
        }
        let path = tree.root.join("tests/mutation/justified.toml");
        let list: List =
            toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        let all = list.survivor.into_iter();
        let all = all.flat_map(|Survivor { file, changes, .. }| {
            changes.into_iter().map(move |change| (file.clone(), change))
        });
        Ok(Self(all.collect()))
    }

    fn has(&self, mutant: &Mutant) -> bool {
        self.0.contains(&(mutant.file.clone(), mutant.change().to_owned()))
    }
}

/// Prints the figures by the package, and the survivors that nothing justifies: if there are any, the run fails.
pub(crate) fn report(
    outcomes: &Outcomes,
    mutants: &[Mutant],
    tests: &[Test],
    justified: &Justified,
) -> ExitCode {
    let mut figures: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    let mut unjustified = Vec::new();
    let mut by_suite: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, outcome) in outcomes {
        let Some(mutant) = mutants.get(id - 1) else { continue };
        let is_justified = justified.has(mutant);
        if let Some(test) = outcome.test.and_then(|place| tests.get(place)) {
            *by_suite.entry(&test.suite).or_default() += 1;
        }
        let column = match outcome.result {
            Result::Unviable => 0,
            Result::Found => 1,
            Result::TimedOut => 2,
            Result::NotTried => 3,
            Result::Survived if is_justified => 4,
            Result::Survived => 5,
        };
        if let Some(count) = figures.entry(&mutant.package).or_default().get_mut(column) {
            *count += 1;
        }
        if column == 5 || column == 3 && !is_justified {
            unjustified.push((mutant, outcome));
        }
    }
    println!("| package | unviable | found | timed out | not tried | justified | survived |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (package, [unviable, found, timed_out, not_tried, justified, survived]) in figures {
        println!(
            "| {package} | {unviable} | {found} | {timed_out} | {not_tried} | {justified} | {survived} |"
        );
    }
    println!("found by: {by_suite:?}");
    for (mutant, outcome) in &unjustified {
        println!("{:?}, {} of {} tests: {}", outcome.result, outcome.tests, outcome.reached_by, mutant.name);
    }
    if unjustified.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
