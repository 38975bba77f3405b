//! Mutation testing of the host and of the services' rules: `make mutation`.
//!
//! cargo-mutants says which places of the code are to be changed, and into what. It would then build and test the project once for each of
//! them: sixteen hours here. This program puts all changes into one copy of the code, each behind a switch (*mutant schemata*; R. Untch, A. J.
//! Offutt and M. J. Harrold, "Mutation analysis using mutant schemata", ISSTA 1993), builds that once, runs all tests once to learn which of
//! them reach which switch, and then tries each mutant with those tests alone, the likely ones first, until one fails. A switch is turned by
//! an environment variable, so it is turned in the host processes too that the system tests start.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for the terminal")]

mod built;
mod mutant;
mod outcome;
mod reach;
mod switches;
mod tree;
mod trial;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
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
    let options = Options::parse();
    let target = options.target.canonicalize().context("the target folder is missing: run `make guests`")?;
    let tree = tree::Tree::at_head(&target)?;
    let mutants = mutant::list(&tree)?;
    let justified = outcome::Justified::read(&tree)?;
    let not_in = switches::lay(&tree, &mutants)?;
    let suites = built::build(&tree)?;
    let tests = reach::learn(&tree, &suites)?;
    let at_most = Duration::from_secs(options.seconds);
    let outcomes = trial::run(&tree, &suites, &tests, &not_in, &mutants, &options.only, at_most)?;
    ensure!(!outcomes.is_empty(), "no mutant has {:?} in its name", options.only);
    Ok(outcome::report(&outcomes, &mutants, &tests, &justified))
}
