//! The copy of the project that the mutants are put into.

use crate::mutant::Mutant;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A copy, with folders of its own for what is built and noted.
pub(crate) struct Tree {
    /// The project that it is a copy of.
    pub(crate) project: PathBuf,
    /// The copy of the last commit.
    pub(crate) root: PathBuf,
    /// Its target folder, in which the tests find the components.
    pub(crate) target: PathBuf,
    /// What was learned.
    pub(crate) notes: PathBuf,
    /// No two runs use the folder at once.
    _lock: File,
}

impl Tree {
    /// The last commit of the project in the working folder.
    pub(crate) fn at_head(target: &Path) -> Result<Self> {
        let own = target.join("mutation");
        fs::create_dir_all(&own)?;
        let lock = File::create(own.join("lock"))?;
        ensure!(lock.try_lock().is_ok(), "another run uses {}: wait for it", own.display());
        let (root, target_of_copy, notes) = (own.join("tree"), own.join("target"), own.join("notes"));
        let project = output(Command::new("git").args(["rev-parse", "--show-toplevel"]))?;
        let tree = Self { project: project.clone().into(), root, target: target_of_copy, notes, _lock: lock };
        let head = output(Command::new("git").args(["rev-parse", "HEAD"]))?;
        if !output(Command::new("git").args(["status", "--porcelain"]))?.is_empty() {
            eprintln!("mutation: the last commit is tried, without what is not committed yet");
        }
        if !tree.root.exists() {
            let new = own.join("tree.new");
            if new.exists() {
                fs::remove_dir_all(&new)?;
            }
            succeed(Command::new("git").args(["clone", "--quiet", "--no-local", &project]).arg(&new))?;
            fs::rename(new, &tree.root)?;
        }
        succeed(tree.git().args(["fetch", "--quiet", &project, &head]))?;
        let about = tree.code_of(&head)?;
        let stamp = tree.notes.join("about");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&about) {
            if tree.notes.exists() {
                fs::remove_dir_all(&tree.notes)?;
            }
            // Without its switches. A later run of the same code leaves all files as they are: nothing is built again.
            succeed(tree.git().args(["reset", "--quiet", "--hard", &head]))?;
            succeed(tree.git().args(["clean", "--quiet", "-d", "--force"]))?;
            fs::create_dir_all(&tree.notes)?;
            let mutants = tree.list()?;
            fs::write(tree.notes.join(MUTANTS), mutants)?;
            fs::write(stamp, about)?;
        }

        fs::create_dir_all(&tree.target)?;
        // Where the tests look for the programs of `make build`.
        let link = tree.target.join("release");
        if fs::symlink_metadata(&link).is_err() {
            symlink(PROFILE, link)?;
        }
        // A copy: a component with switches in it is nobody else's. The tests build those again whose code has become another.
        let components = target.join("components");
        ensure!(components.is_dir(), "{} is missing: run `make guests`", components.display());
        succeed(Command::new("cp").args(["--archive", "--update"]).arg(components).arg(&tree.target))?;
        Ok(tree)
    }

    /// All that the notes hang on: the files of a commit with their hashes.
    fn code_of(&self, commit: &str) -> Result<String> {
        let mut list = self.git();
        list.args(["ls-tree", "-r", commit, "--", "Cargo.toml", "Cargo.lock"]);
        let list = output(list.args(["components", "data", "host", "tests", "wit"]))?;
        // What reads the notes is no part of what they are about.
        Ok(list
            .lines()
            .filter(|line| !line.contains("\ttests/mutation/"))
            .flat_map(|line| [line, "\n"])
            .collect())
    }

    /// What cargo-mutants lists, in JSON. The code must be without switches.
    fn list(&self) -> Result<String> {
        let mut command = self.cargo(&["mutants", "--list", "--json", "--workspace"]);
        output(command.args(FILES.iter().flat_map(|file| ["--file", file])))
    }

    /// The mutants of this code.
    pub(crate) fn mutants(&self) -> Result<Vec<Mutant>> {
        self.read_note(&self.notes.join(MUTANTS))
    }

    /// A file as it was committed.
    pub(crate) fn original(&self, file: &Path) -> Result<String> {
        written(self.git().arg("show").arg(format!("HEAD:{}", file.display())))
    }

    pub(crate) fn read_note<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let read = || Ok::<_, anyhow::Error>(serde_json::from_slice(&fs::read(path)?)?);
        read().with_context(|| format!("{} can't be read: remove {}", path.display(), self.notes.display()))
    }

    /// git in the copy, and nowhere else.
    fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(self.root.join(".git")).arg("--work-tree").arg(&self.root);
        command.current_dir(&self.root).env_remove("GIT_INDEX_FILE");
        command
    }

    /// Cargo in the copy, with the profile for mutants.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// What is changed: the host's database engine, store and runtime, the rules of the services, and the contracts between them.
const FILES: [&str; 5] = [
    "host/sqlite/src/**",
    "host/store/src/**",
    "host/runtime/src/**",
    "components/*/src/rules/**",
    "components/contracts/src/**",
];

/// The note with the list of cargo-mutants.
const MUTANTS: &str = "mutants.json";

/// The profile of `Cargo.toml` that is built with.
pub(crate) const PROFILE: &str = "mutants";

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, value: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)?;
    Ok(fs::rename(new, path)?)
}

/// What a command that succeeds writes to its standard output.
fn written(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?} can't be run"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The same without the end of its last line.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    Ok(written(command)?.trim_end().to_owned())
}

pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} can't be run"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
