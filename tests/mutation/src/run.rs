//! Runs one test in a process of its own, as nextest does, or several of one program in one process.

use crate::built::{Suite, Suites, TestId};
use crate::mutant::Id;
use crate::tree::Tree;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    TimedOut,
}

/// What a test runs with.
pub(crate) struct Setting<'s> {
    /// The mutant that is on; 0 is none.
    pub(crate) switch: Id,
    /// Where the switches that it reaches are noted.
    pub(crate) reached: Option<&'s Path>,
    pub(crate) at_most: Duration,
}

/// Runs tests of one suite, with the same environment whatever it is for.
pub(crate) fn run(tree: &Tree, suites: &Suites, tests: &[&TestId], setting: &Setting<'_>) -> Result<Ended> {
    let Some(first) = tests.first() else { return Ok(Ended::Passed) };
    let suite = suites.get(&first.suite).with_context(|| format!("{} was not built", first.suite))?;
    // What a test leaves that is ended goes with it.
    let temporary = tempfile::tempdir()?;
    let mut command = command(tree, suite, setting);
    command.args(tests.iter().map(|test| &test.name));
    let child = command.env("TMPDIR", temporary.path()).spawn()?;
    wait(child, setting.at_most)
}

fn command(tree: &Tree, suite: &Suite, setting: &Setting<'_>) -> Command {
    let mut command = Command::new(&suite.binary_path);
    command.args(["--nocapture", "--test-threads=1", "--exact"]).current_dir(&suite.cwd).process_group(0);
    // As cargo has it: the tests find the components by it.
    command.env("CARGO_TARGET_DIR", &tree.target).env("CARGO_MANIFEST_DIR", &suite.cwd);
    command.env("MUTATION_SWITCH", setting.switch.to_string());
    match setting.reached {
        Some(file) => command.env("MUTATION_REACHED", file),
        None => command.env_remove("MUTATION_REACHED"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits for a process, and ends it and the hosts that it started.
fn wait(mut child: Child, at_most: Duration) -> Result<Ended> {
    let group = Pid::from_raw(child.id().cast_signed()).context("a process has no number")?;
    thread::scope(|scope| {
        let (tell, received) = channel();
        scope.spawn(move || tell.send(child.wait()));
        let ended = received.recv_timeout(at_most);
        // Where nobody is left in it there is no group.
        let _ = kill_process_group(group, Signal::KILL);
        match ended {
            Ok(status) => Ok(if status?.success() { Ended::Passed } else { Ended::Failed }),
            Err(_) => Ok(Ended::TimedOut),
        }
    })
}
