//! The programs and the tests of the copy, built once.

use crate::tree::{PROFILE, Tree, output, succeed};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A test, by its program and its name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct TestId {
    pub(crate) suite: String,
    pub(crate) name: String,
}

/// A test program.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Suite {
    pub(crate) binary_path: PathBuf,
    /// The folder that its tests run in: that of their package.
    pub(crate) cwd: PathBuf,
    testcases: BTreeMap<String, TestCase>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TestCase {
    filter_match: FilterMatch,
}

#[derive(Debug, Deserialize)]
struct FilterMatch {
    status: String,
}

/// The test programs, by their names.
pub(crate) type Suites = BTreeMap<String, Suite>;

impl Suite {
    /// Its tests, without those that are left out.
    pub(crate) fn tests(&self, suite: &str) -> impl Iterator<Item = TestId> {
        let chosen = self.testcases.iter().filter(|(_, case)| case.filter_match.status == "matches");
        chosen.map(move |(name, _)| TestId { suite: suite.to_owned(), name: name.clone() })
    }
}

/// Builds what the tests start, and the tests.
pub(crate) fn build(tree: &Tree) -> Result<Suites> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct List {
        rust_suites: Suites,
    }
    /// Those that build the project again, look at its text, or only look whether each endpoint has a test.
    const LEFT_OUT: &str =
        "not test(tutorial) and not test(/^tidy::/) and not test(every_endpoint_and_subscription_has_a_test)";
    succeed(&mut tree.cargo(&["build", "--quiet", "--profile", PROFILE, "--workspace", "--bins"]))?;
    let mut list = tree.cargo(&["nextest", "list", "--cargo-profile", PROFILE, "--workspace"]);
    let list = output(list.args(["-E", LEFT_OUT, "--message-format", "json"]))?;
    let list: List =
        serde_json::from_str(&list).context("this version of cargo-nextest lists tests in another form")?;
    Ok(list.rust_suites)
}
