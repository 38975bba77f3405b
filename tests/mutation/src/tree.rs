//! The copy of the project that the mutants are put into.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A copy, with folders of its own for what is built and noted.
pub(crate) struct Tree {
    /// The copy of the last commit.
    pub(crate) root: PathBuf,
    /// Its target folder, in which the tests find the components.
    pub(crate) target: PathBuf,
    /// What was learned, of this commit.
    pub(crate) notes: PathBuf,
}

impl Tree {
    /// The last commit of the project in the working folder. What an earlier run built of it is used again, and what it found is kept.
    pub(crate) fn at_head(target: &Path) -> Result<Self> {
        let own = target.join("mutation");
        let tree = Self { root: own.join("tree"), target: own.join("target"), notes: own.join("notes") };
        let project = output(Command::new("git").args(["rev-parse", "--show-toplevel"]))?;
        let head = output(Command::new("git").args(["rev-parse", "HEAD"]))?;
        if !output(Command::new("git").args(["status", "--porcelain"]))?.is_empty() {
            eprintln!("mutation: the last commit is tried, without what is not committed yet");
        }
        if !tree.root.exists() {
            succeed(Command::new("git").args(["clone", "--quiet", "--no-local", &project]).arg(&tree.root))?;
        }
        for arguments in
            [&["fetch", "--quiet", &project, &head] as &[&str], &["reset", "--quiet", "--hard", &head]]
        {
            succeed(Command::new("git").arg("-C").arg(&tree.root).args(arguments))?;
        }
        succeed(Command::new("git").arg("-C").arg(&tree.root).args(["clean", "--quiet", "-d", "--force"]))?;

        let stamp = tree.notes.join("commit");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&head) {
            if tree.notes.exists() {
                fs::remove_dir_all(&tree.notes)?;
            }
            fs::create_dir_all(&tree.notes)?;
            fs::write(stamp, head)?;
        }
        fs::create_dir_all(&tree.target)?;
        // Where the tests look for components, and for the programs of `make build`.
        for (place, name) in [(target.join("components"), "components"), (PathBuf::from(PROFILE), "release")]
        {
            let link = tree.target.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(place, link)?;
            }
        }
        Ok(tree)
    }

    /// Cargo in the copy, with the profile for mutants.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// The profile of `Cargo.toml` that is built with.
pub(crate) const PROFILE: &str = "mutants";

/// What a command that succeeds writes to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?} can't be run"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} can't be run"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
