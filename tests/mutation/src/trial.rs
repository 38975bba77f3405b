//! Tries the mutants: each with the tests that reach it, until one fails.

use crate::built::{Suites, TestId};
use crate::mutant::{Id, Mutant};
use crate::outcome::{Outcome, Outcomes, Verdict};
use crate::reach::{Test, by_switch};
use crate::run::{Ended, Setting, run};
use crate::switches::{NotIn, WhyNot};
use crate::tree::{Tree, write_whole};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the mutants are tried with.
pub(crate) struct Trial<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) suites: &'t Suites,
    pub(crate) tests: &'t [Test],
    pub(crate) mutants: &'t [Mutant],
    pub(crate) not_in: &'t NotIn,
    /// How long one is tried.
    pub(crate) at_most: Duration,
}

struct State<'t> {
    outcomes: Outcomes,
    /// How often a test found a mutant of a function: it is likely to find the next.
    found_by: HashMap<(&'t str, usize), u32>,
    left: usize,
    noted_at: Instant,
}

impl<'t> Trial<'t> {
    /// Tries those whose name has `only` in it, and that no earlier run has tried.
    pub(crate) fn run(&self, only: &str) -> Result<Outcomes> {
        const BETWEEN_NOTES: Duration = Duration::from_secs(30);
        let noted = self.tree.notes.join("outcomes.json");
        let mut known: Outcomes = if noted.exists() { self.tree.read_note(&noted)? } else { Outcomes::new() };
        let mut left = Vec::new();
        for (id, mutant) in (1..).zip(self.mutants).filter(|(_, mutant)| mutant.name.contains(only)) {
            let why_not = self.not_in.get(&id).map(|why_not| match why_not {
                WhyNot::Unviable => Verdict::Unviable,
                WhyNot::Unswitchable => Verdict::NotTried,
            });
            match (why_not, known.get(&mutant.name)) {
                (Some(verdict), _) => drop(known.insert(mutant.name.clone(), Outcome::without_test(verdict))),
                (None, Some(outcome)) if outcome.is_final(self.at_most) => {}
                (None, _) => left.push((id, mutant)),
            }
        }
        eprintln!("mutation: {} mutants are tried", left.len());
        let by_switch = by_switch(self.tests);
        let (outcomes, found_by) = (known, HashMap::new());
        let state = Mutex::new(State { outcomes, found_by, left: left.len(), noted_at: Instant::now() });
        let tried = crate::in_parallel(left, |(id, mutant)| {
            let places = by_switch.get(&id).map_or(&[][..], Vec::as_slice);
            let (outcome, found_by) = self.attempt(id, mutant, places, &state)?;
            let mut state = locked(&state);
            if let Some(place) = found_by {
                *state.found_by.entry((mutant.function(), place)).or_default() += 1;
            }
            state.outcomes.insert(mutant.name.clone(), outcome);
            state.left -= 1;
            if state.noted_at.elapsed() > BETWEEN_NOTES {
                state.noted_at = Instant::now();
                eprintln!("mutation: {} are left", state.left);
                write_whole(&noted, &state.outcomes)?;
            }
            Ok(())
        });
        let mut outcomes = state.into_inner().unwrap_or_else(PoisonError::into_inner).outcomes;
        write_whole(&noted, &outcomes)?;
        tried?;
        outcomes.retain(|name, _| name.contains(only));
        Ok(outcomes)
    }

    /// Tries one; gives the place of the test that found it as well.
    fn attempt(
        &self,
        id: Id,
        mutant: &Mutant,
        places: &[usize],
        state: &Mutex<State<'t>>,
    ) -> Result<(Outcome, Option<usize>)> {
        let (reached_by, at_most) = (places.len(), self.at_most);
        let began = Instant::now();
        let mut tests = 0;
        for group in self.grouped(&self.sorted(places, mutant, state)) {
            if tests > 0 && began.elapsed() > at_most {
                let verdict = Verdict::OutOfTime;
                return Ok((Outcome { verdict, test: None, tests, reached_by, at_most }, None));
            }
            if group.len() > 1 && self.passes(&group, id)? {
                tests += group.len();
                continue;
            }
            for (place, test) in group {
                tests += 1;
                if let Some(verdict) = self.finds(test, id)? {
                    let test = Some(test.id.clone());
                    return Ok((Outcome { verdict, test, tests, reached_by, at_most }, Some(place)));
                }
            }
        }
        Ok((Outcome { verdict: Verdict::Survived, test: None, tests, reached_by, at_most }, None))
    }

    /// The first tests each by itself, for one of them fails with most mutants; the others in groups of one program, which run in a
    /// process together: they pass, nearly all.
    fn grouped(&self, places: &[usize]) -> Vec<Vec<(usize, &'t Test)>> {
        const ALONE: usize = 16;
        const GROUP_TESTS: usize = 100;
        const GROUP_SECONDS: f64 = 8.0;
        let mut tests = places.iter().filter_map(|place| Some((*place, self.tests.get(*place)?)));
        let alone: Vec<_> = tests.by_ref().take(ALONE).map(|test| vec![test]).collect();
        let mut groups: Vec<(Vec<(usize, &Test)>, f64)> = Vec::new();
        for (place, test) in tests {
            let has_room = |group: &&mut (Vec<(usize, &Test)>, f64)| {
                let (tests, seconds) = &**group;
                let is_same = tests.first().is_some_and(|(_, first)| first.id.suite == test.id.suite);
                is_same && tests.len() < GROUP_TESTS && seconds + test.seconds <= GROUP_SECONDS
            };
            match groups.iter_mut().rev().find(has_room) {
                Some((tests, seconds)) => {
                    tests.push((place, test));
                    *seconds += test.seconds;
                }
                None => groups.push((vec![(place, test)], test.seconds)),
            }
        }
        alone.into_iter().chain(groups.into_iter().map(|(tests, _)| tests)).collect()
    }

    /// Whether all tests of a group pass with the mutant, in one process.
    fn passes(&self, group: &[(usize, &Test)], switch: Id) -> Result<bool> {
        let tests: Vec<&TestId> = group.iter().map(|(_, test)| &test.id).collect();
        let seconds: f64 = group.iter().map(|(_, test)| test.seconds).sum();
        let at_most = Duration::from_secs_f64((seconds * 6.0).max(10.0));
        let setting = Setting { switch, reached: None, at_most };
        Ok(run(self.tree, self.suites, &tests, &setting)? == Ended::Passed)
    }

    /// Whether a test fails with the mutant. A failure counts if it comes again: the machine may be busy.
    fn finds(&self, test: &Test, switch: Id) -> Result<Option<Verdict>> {
        let at_most = Duration::from_secs_f64((test.seconds * 6.0).max(5.0));
        let setting = Setting { switch, reached: None, at_most };
        let attempt = || run(self.tree, self.suites, &[&test.id], &setting);
        let ended = match attempt()? {
            Ended::Passed => Ended::Passed,
            Ended::Failed | Ended::TimedOut => attempt()?,
        };
        Ok(match ended {
            Ended::Passed => None,
            Ended::Failed => Some(Verdict::Found),
            Ended::TimedOut => Some(Verdict::TimedOut),
        })
    }

    /// The likely tests first: those that found another mutant of the function, then those of the crate, then those that are named after the
    /// file, and of the rest the quick ones that reach little else.
    fn sorted(&self, places: &[usize], mutant: &Mutant, state: &Mutex<State<'_>>) -> Vec<usize> {
        let topic = mutant.topic();
        let state = locked(state);
        let cost = |place: usize| {
            let test = self.tests.get(place)?;
            let found = state.found_by.get(&(mutant.function(), place)).copied().unwrap_or(0).min(3);
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            let cost = test.seconds * (test.reaches.len() as f64).sqrt();
            Some((3 - found, test.id.suite != mutant.package, !test.id.name.contains(topic), cost))
        };
        let costs: BTreeMap<usize, _> = places.iter().map(|place| (*place, cost(*place))).collect();
        let mut places = places.to_vec();
        places.sort_by(|a, b| costs.get(a).partial_cmp(&costs.get(b)).unwrap_or(std::cmp::Ordering::Equal));
        places
    }
}

fn locked<'s, 't>(state: &'s Mutex<State<'t>>) -> MutexGuard<'s, State<'t>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
