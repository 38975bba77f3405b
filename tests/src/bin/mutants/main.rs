//! `mutants` puts one deliberate bug after the other into the services, and has the component tests find each.
//!
//! It works in a copy of the project's sources, in the target folder, so nothing of the checkout changes. The test program is the one of the
//! checkout: it takes the manifest of the copy, and builds the components there.
//!
//! It ends with 0 when the tests pass without a bug and fail with each, and with 1 when not.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::mutants::{MUTANTS, Mutant};
use bulkhead_tests::{copy, paths};
use clap::Parser;

/// Put deliberate bugs into the services, and see that the component tests find each
#[derive(Debug, Parser)]
struct Arguments {
    /// Only those whose names have these words
    words: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("mutants: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether every bug was found.
fn run(arguments: &Arguments) -> Result<bool> {
    let words = arguments.words.as_deref().unwrap_or_default();
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(|mutant| mutant.name.contains(words)).collect();
    if mutants.is_empty() {
        let names = MUTANTS.map(|mutant| format!("\n  {}", mutant.name)).concat();
        bail!("no bug has {words:?} in its name; there are:{names}");
    }
    let program = test_program()?;
    let place = paths::target().context("find the target folder")?.join("mutants");
    let bench = Bench { program, tree: place.join("tree"), target: place.join("target") };
    copy::sources(&paths::root(), &bench.tree).context("copy the sources")?;

    say("without a bug: the components are built, and their tests run");
    let failed = bench.failing(None)?;
    if !failed.is_empty() {
        bail!("without a bug these fail, so nothing can be told: {}", failed.join(", "));
    }
    let mut survivors = 0;
    for mutant in mutants {
        let found = bench.with(mutant)?;
        match found.first() {
            Some(first) => {
                say(&format!("found     {}\n          by {} tests: {first}", mutant.name, found.len()))
            }
            None => {
                survivors += 1;
                say(&format!(
                    "NOT FOUND {}\n          {} has it, and no test of {} fails",
                    mutant.name, mutant.file, mutant.service
                ));
            }
        }
    }
    if survivors > 0 {
        say(&format!("{survivors} bugs were not found: each wants a test in tests/components"));
    }
    Ok(survivors == 0)
}

/// Where bugs are tried.
struct Bench {
    /// The component tests.
    program: PathBuf,
    /// The copy of the sources.
    tree: PathBuf,
    /// The target folder of the copy.
    target: PathBuf,
}

impl Bench {
    /// The tests that fail with a bug.
    fn with(&self, mutant: &Mutant) -> Result<Vec<String>> {
        let file = mutant.path(&self.tree);
        let source = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let changed = mutant.apply(&source).map_err(anyhow::Error::msg)?;
        std::fs::write(&file, changed)?;
        let found = self.failing(Some(mutant.service));
        // Also where the tests did not run.
        std::fs::write(&file, source)?;
        found
    }

    /// The tests that fail: of one service and of the sagas, or of all.
    fn failing(&self, service: Option<&str>) -> Result<Vec<String>> {
        let mut command = Command::new(&self.program);
        if let Some(service) = service {
            command.args([&format!("{service}::"), "saga::"]);
        }
        let output = command
            // Those that count what others reach run all tests once more.
            .args(["--skip", "every_endpoint"])
            .env("BULKHEAD_MANIFEST", self.tree.join("bulkhead.toml"))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("INSTA_UPDATE", "no")
            .env("RUST_BACKTRACE", "0")
            .stderr(Stdio::piped())
            .output()
            .with_context(|| format!("run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .map(str::to_owned)
            .collect();
        let ran = text.lines().any(|line| line.starts_with("test result:"));
        // A bug that can't be built would be found by every test, and prove nothing.
        if !ran || text.contains("failed to build") {
            bail!("the tests did not run:\n{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(failed)
    }
}

/// Builds the component tests of the checkout, and gives the program.
fn test_program() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(paths::root())
        .args(["test", "--no-run", "--release", "--workspace", "--test", "components"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo")?;
    if !output.status.success() {
        bail!("the component tests can't be built: {}", output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message.pointer("/target/name").is_some_and(|name| name == "components"))
        .find_map(|message| message.get("executable")?.as_str().map(|path| Path::new(path).to_owned()))
        .context("cargo names no program of the component tests")
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
