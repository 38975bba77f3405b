//! Tries the mutants: each with the tests that reach it, until one fails.

use crate::built::Suites;
use crate::mutant::Mutant;
use crate::outcome::{Outcome, Outcomes, Result as Found};
use crate::reach::{Test, by_switch};
use crate::switches::{Id, Left, NotIn};
use crate::tree::Tree;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// What the workers share.
struct Trial<'t> {
    suites: &'t Suites,
    tests: &'t [Test],
    by_switch: HashMap<Id, Vec<usize>>,
    mutants: &'t [Mutant],
    at_most: Duration,
    state: Mutex<State<'t>>,
}

struct State<'t> {
    left: Vec<Id>,
    outcomes: Outcomes,
    /// How often a test found a mutant of a function: it is likely to find the next.
    found_by: HashMap<(&'t str, usize), u32>,
    noted_at: Instant,
}

/// Tries the chosen mutants that no earlier run tried.
pub(crate) fn run(
    tree: &Tree,
    suites: &Suites,
    tests: &[Test],
    not_in: &NotIn,
    mutants: &[Mutant],
    only: &str,
    at_most: Duration,
) -> Result<Outcomes> {
    let noted = tree.notes.join("outcomes.json");
    let mut known: Outcomes =
        if noted.exists() { serde_json::from_slice(&fs::read(&noted)?)? } else { Outcomes::new() };
    let chosen = |id: &Id| mutants.get(id - 1).is_some_and(|mutant| mutant.name.contains(only));
    let mut left = Vec::new();
    for id in (1..=mutants.len()).filter(chosen) {
        match not_in.get(&id) {
            Some(Left::Unviable) => drop(known.insert(id, Outcome::without_test(Found::Unviable))),
            Some(Left::Unswitchable) => drop(known.insert(id, Outcome::without_test(Found::NotTried))),
            None if known.get(&id).is_some_and(|outcome| outcome.is_final(at_most)) => {}
            None => left.push(id),
        }
    }
    // The last is taken first.
    left.reverse();
    let count = left.len();
    let trial = Trial {
        suites,
        tests,
        by_switch: by_switch(tests),
        mutants,
        at_most,
        state: Mutex::new(State {
            left,
            outcomes: known,
            found_by: HashMap::new(),
            noted_at: Instant::now(),
        }),
    };
    let workers = thread::available_parallelism()?.get();
    eprintln!("mutation: {count} mutants are to be tried, {workers} at a time");
    let note = |outcomes: &Outcomes| -> Result<()> { Ok(fs::write(&noted, serde_json::to_vec(outcomes)?)?) };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| trial.work(count, &note))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    let outcomes = trial.state.into_inner().unwrap_or_else(PoisonError::into_inner).outcomes;
    note(&outcomes)?;
    Ok(outcomes.into_iter().filter(|(id, _)| chosen(id)).collect())
}

impl<'t> Trial<'t> {
    fn state(&self) -> MutexGuard<'_, State<'t>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, count: usize, note: &impl Fn(&Outcomes) -> Result<()>) -> Result<()> {
        const BETWEEN_NOTES: Duration = Duration::from_secs(30);
        loop {
            let Some(id) = self.state().left.pop() else { return Ok(()) };
            let Some(mutant) = self.mutants.get(id - 1) else { continue };
            let outcome = self.attempt(id, mutant)?;
            let mut state = self.state();
            if let Some(test) = outcome.test {
                *state.found_by.entry((mutant.function(), test)).or_default() += 1;
            }
            if !outcome.result.is_found() {
                eprintln!(
                    "mutation: {:?}, {} of {} tests: {}",
                    outcome.result, outcome.tests, outcome.reached_by, mutant.name
                );
            }
            state.outcomes.insert(id, outcome);
            if state.noted_at.elapsed() > BETWEEN_NOTES {
                state.noted_at = Instant::now();
                eprintln!("mutation: {} of {count} are left", state.left.len());
                note(&state.outcomes)?;
            }
        }
    }

    fn attempt(&self, id: Id, mutant: &Mutant) -> Result<Outcome> {
        let mut places = self.by_switch.get(&id).cloned().unwrap_or_default();
        let (reached_by, at_most) = (places.len(), self.at_most);
        self.sort(&mut places, mutant);
        let began = Instant::now();
        let mut tests = 0;
        for place in places {
            let Some(test) = self.tests.get(place) else { continue };
            tests += 1;
            let result = self.test(test, id)?;
            if result.is_found() {
                return Ok(Outcome { result, test: Some(place), tests, reached_by, at_most });
            }
            if began.elapsed() > at_most {
                break;
            }
        }
        Ok(Outcome { result: Found::Survived, test: None, tests, reached_by, at_most })
    }

    /// The likely tests first: those that found another mutant of the function, then those of the crate, then those that are named after the
    /// file, and of the rest the quick ones that reach little else.
    fn sort(&self, places: &mut [usize], mutant: &Mutant) {
        let topic = mutant.topic();
        let cost: BTreeMap<usize, _> = {
            let state = self.state();
            let cost = |place: usize| {
                let test = self.tests.get(place)?;
                let found = state.found_by.get(&(mutant.function(), place)).copied().unwrap_or(0).min(3);
                #[expect(clippy::cast_precision_loss, reason = "it is small")]
                let cost = test.seconds * (test.reaches.len() as f64).sqrt();
                Some((3 - found, test.suite != mutant.package, !test.name.contains(topic), cost))
            };
            places.iter().map(|place| (*place, cost(*place))).collect()
        };
        places.sort_by(|a, b| cost.get(a).partial_cmp(&cost.get(b)).unwrap_or(std::cmp::Ordering::Equal));
    }

    fn test(&self, test: &Test, id: Id) -> Result<Found> {
        let suite = self.suites.get(&test.suite).with_context(|| format!("{} is missing", test.suite))?;
        // What a test leaves that is ended goes with it.
        let temporary = tempfile::tempdir()?;
        let mut command = Command::new(&suite.binary_path);
        command.args(["--exact", &test.name, "--nocapture"]).current_dir(&suite.cwd).process_group(0);
        command.env("MUTATION_SWITCH", id.to_string()).env("TMPDIR", temporary.path());
        command.env("CARGO_MANIFEST_DIR", &suite.cwd);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let ended = wait(&mut child, Duration::from_secs_f64((test.seconds * 6.0).max(12.0)));
        // With the hosts that it started.
        if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait()?;
        Ok(match ended? {
            Some(true) => Found::Survived,
            Some(false) => Found::Found,
            None => Found::TimedOut,
        })
    }
}

/// Whether a process succeeds; none if it does not end in time.
fn wait(child: &mut Child, at_most: Duration) -> Result<Option<bool>> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
    let until = Instant::now() + at_most;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}
