//! Mutation testing of the host and of the services' rules: `make mutation`.
//!
//! cargo-mutants says which places of the code are to be changed, and into what. It would then build and test the project once for each of
//! them: sixteen hours here. This program puts all changes into one copy of the code, each behind a switch (*mutant schemata*; R. Untch,
//! A. J. Offutt and M. J. Harrold, "Mutation analysis using mutant schemata", ISSTA 1993), builds that once, runs all tests once to learn
//! which of them reach which switch, and then tries each mutant with those tests alone, the likely ones first, until one fails. An
//! environment variable turns a switch, so it is turned in the host processes too that the system tests start.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for the terminal")]

mod built;
mod mutant;
mod outcome;
mod reach;
mod run;
mod switches;
mod tree;
mod trial;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Changes the code in one place after the other, and sees that a test fails.
#[derive(Parser)]
struct Options {
    /// Cargo's target folder, in which `make guests` has made the components. What is made lies in its folder `mutation`.
    #[arg(long)]
    target: PathBuf,
    /// Only mutants whose name has this in it; a name begins with the path of its file.
    #[arg(long, default_value = "")]
    only: String,
    /// How long one mutant is tried, in seconds, if no test fails.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> Result<ExitCode> {
    let Options { target, only, seconds } = Options::parse();
    let target = target.canonicalize().context("the target folder is missing: run `make guests`")?;
    let tree = tree::Tree::at_head(&target)?;
    let mutants = tree.mutants()?;
    ensure!(mutants.iter().any(|mutant| mutant.name.contains(&only)), "no mutant has {only:?} in its name");
    let justified = outcome::Justified::read(&tree)?;
    let not_in = switches::insert(&tree, &mutants)?;
    let suites = built::build(&tree)?;
    let tests = reach::learn(&tree, &suites)?;
    let (tests, at_most) = (tests.as_slice(), Duration::from_secs(seconds));
    let trial =
        trial::Trial { tree: &tree, suites: &suites, tests, mutants: &mutants, not_in: &not_in, at_most };
    Ok(outcome::report(&trial.run(&only)?, &mutants, &justified))
}

/// Does the same with each item, on as many threads as there are processors; after a failure no further one is begun.
fn in_parallel<T: Send>(items: Vec<T>, work: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    let left = Mutex::new(items.into_iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(item) = next() {
            if let Err(error) = work(item) {
                while next().is_some() {}
                return Err(error);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(work)).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        // All of them, though one failed.
        joined.collect::<Vec<Result<()>>>().into_iter().collect()
    })
}
