//! What became of the mutants.

use crate::built::TestId;
use crate::mutant::Mutant;
use crate::tree::Tree;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

/// By the name of the mutant.
pub(crate) type Outcomes = BTreeMap<String, Outcome>;

/// What became of one.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// The test that found it.
    pub(crate) test: Option<TestId>,
    /// How many tests ran.
    pub(crate) tests: usize,
    /// How many reach it.
    pub(crate) reached_by: usize,
    /// How long it was to be tried at most.
    pub(crate) at_most: Duration,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Verdict {
    /// A test failed.
    Found,
    /// A test had no end.
    TimedOut,
    /// All tests that reach it passed.
    Survived,
    /// Its time was over before all of them had run.
    OutOfTime,
    /// It does not compile.
    Unviable,
    /// It can't be put behind a switch.
    NotTried,
}

impl Verdict {
    pub(crate) fn is_found(self) -> bool {
        matches!(self, Self::Found | Self::TimedOut)
    }
}

impl Outcome {
    pub(crate) fn without_test(verdict: Verdict) -> Self {
        Self { verdict, test: None, tests: 0, reached_by: 0, at_most: Duration::ZERO }
    }

    /// Whether nothing more is to be learned in so much time.
    pub(crate) fn is_final(&self, at_most: Duration) -> bool {
        self.verdict != Verdict::OutOfTime || at_most <= self.at_most
    }
}

/// The mutants that may survive: their files, and what is changed into what.
pub(crate) struct Justified(BTreeSet<(String, String)>);

impl Justified {
    /// What `justified.toml` says.
    pub(crate) fn read(tree: &Tree) -> Result<Self> {
        let path = tree.project.join("tests/mutation/justified.toml");
        Self::parse(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
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
        let List { survivor } = toml::from_str(text)?;
        let all = survivor.into_iter().flat_map(|Survivor { file, changes, .. }| {
            changes.into_iter().map(move |change| (file.clone(), change))
        });
        Ok(Self(all.collect()))
    }

    fn has(&self, mutant: &Mutant) -> bool {
        self.0.contains(&(mutant.file.clone(), mutant.change().to_owned()))
    }

    /// Those that no mutant needs any more.
    fn stale(&self, outcomes: &Outcomes, mutants: &[Mutant]) -> Vec<String> {
        let needed: BTreeSet<(String, String)> = mutants
            .iter()
            .filter(|mutant| outcomes.get(&mutant.name).is_some_and(|outcome| !outcome.verdict.is_found()))
            .map(|mutant| (mutant.file.clone(), mutant.change().to_owned()))
            .collect();
        self.0.difference(&needed).map(|(file, change)| format!("{file}: {change}")).collect()
    }
}

/// Of one package.
#[derive(Default)]
struct Figures {
    unviable: usize,
    found: usize,
    timed_out: usize,
    justified: usize,
    survived: usize,
    out_of_time: usize,
    not_tried: usize,
}

impl Figures {
    fn row(&self, package: &str) -> String {
        let Self { unviable, found, timed_out, justified, survived, out_of_time, not_tried } = self;
        let (good, bad) = (found + timed_out, justified + survived + out_of_time);
        let score = (good * 1000).checked_div(good + bad).unwrap_or(1000);
        format!(
            "| {package} | {} | {unviable} | {found} | {timed_out} | {justified} | {survived} | {out_of_time} | {not_tried} | {}.{} % |",
            unviable + good + bad + not_tried,
            score / 10,
            score % 10
        )
    }
}

/// Prints the figures by the package, and the survivors that nothing justifies: if there are any, the run fails.
pub(crate) fn report(outcomes: &Outcomes, mutants: &[Mutant], justified: &Justified) -> ExitCode {
    let mut figures: BTreeMap<&str, Figures> = BTreeMap::new();
    let mut found_by: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut open, mut not_tried) = (Vec::new(), Vec::new());
    for mutant in mutants {
        let Some(outcome) = outcomes.get(&mutant.name) else { continue };
        if let Some(test) = &outcome.test {
            *found_by.entry(&test.suite).or_default() += 1;
        }
        let figures = figures.entry(&mutant.package).or_default();
        let is_justified = justified.has(mutant);
        let count = match outcome.verdict {
            Verdict::Unviable => &mut figures.unviable,
            Verdict::Found => &mut figures.found,
            Verdict::TimedOut => &mut figures.timed_out,
            Verdict::NotTried => &mut figures.not_tried,
            _ if is_justified => &mut figures.justified,
            Verdict::Survived => &mut figures.survived,
            Verdict::OutOfTime => &mut figures.out_of_time,
        };
        *count += 1;
        match outcome.verdict {
            Verdict::NotTried => not_tried.push(mutant),
            Verdict::Survived | Verdict::OutOfTime if !is_justified => open.push((mutant, outcome)),
            _ => {}
        }
    }
    println!(
        "| package | mutants | unviable | found | timed out | justified | survived | out of time | not tried | score |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    figures.iter().for_each(|(package, figures)| println!("{}", figures.row(package)));
    for (suite, count) in found_by {
        println!("found by {suite}: {count}");
    }
    if !not_tried.is_empty() {
        println!("these can't have a switch; `cargo mutants --re` tries them one by one:");
    }
    for mutant in not_tried {
        println!("  {}", mutant.name);
    }
    for (mutant, outcome) in &open {
        println!("{:?}, {} of {} tests: {}", outcome.verdict, outcome.tests, outcome.reached_by, mutant.name);
    }
    let mut is_good = open.is_empty();
    if !is_good {
        println!(
            "write a test for each, or say in tests/mutation/justified.toml why it may survive; what is out of time wants more SECONDS"
        );
    }
    // Of a part nobody can tell.
    if mutants.iter().all(|mutant| outcomes.contains_key(&mutant.name)) {
        for stale in justified.stale(outcomes, mutants) {
            println!("tests/mutation/justified.toml has what does not survive: {stale}");
            is_good = false;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
