//! The programs and the tests of the copy, built once.

use crate::tree::{PROFILE, Tree, output, succeed};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

/// A test program.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Suite {
    pub(crate) binary_path: PathBuf,
    /// The folder that its tests run in: that of their package.
    pub(crate) cwd: PathBuf,
}

/// The test programs, by their names.
pub(crate) type Suites = HashMap<String, Suite>;

/// Builds what the tests start, and the tests.
pub(crate) fn build(tree: &Tree) -> Result<Suites> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct List {
        rust_suites: Suites,
    }
    succeed(&mut tree.cargo(&["build", "--quiet", "--profile", PROFILE, "--workspace", "--bins"]))?;
    let list = output(&mut nextest(tree, "list", &["--message-format", "json"]))?;
    let list: List = serde_json::from_str(&list).context("nextest lists tests in another form")?;
    Ok(list.rust_suites)
}

/// nextest with the tests that hold the code. The others build the project anew, or look whether each endpoint has a test.
pub(crate) fn nextest(tree: &Tree, what: &str, arguments: &[&str]) -> Command {
    const TESTS: &str = "not test(tutorial) and not test(every_endpoint_and_subscription_has_a_test)";
    let mut command = tree.cargo(&["nextest", what, "--cargo-profile", PROFILE, "--workspace", "-E", TESTS]);
    command.args(arguments);
    command
}
