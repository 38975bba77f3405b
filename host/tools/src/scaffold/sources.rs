//! Finds Bulkhead's sources: the SDK and the test harness that a service's crate depends on, and the WIT contract.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::NewError;

/// The files that a folder must have to be Bulkhead's sources.
const FILES: [&str; 4] =
    ["Cargo.lock", "components/sdk/Cargo.toml", "host/testing/Cargo.toml", "wit/world.wit"];

/// The folder of Bulkhead's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    /// Absolute.
    pub(super) root: PathBuf,
    /// Whether they were named by a relative path. Then references to them must be relative too.
    pub(super) is_relative: bool,
}

impl Sources {
    /// The named sources. Otherwise those whose SDK the workspace uses (`used`, with whether the path is relative). Otherwise those that
    /// the running command was built from.
    pub(super) fn find(asked: Option<&Path>, used: Option<(PathBuf, bool)>) -> Result<Self, NewError> {
        let named = asked.map(|folder| (folder.to_owned(), folder.is_relative()));
        if let Some((folder, is_relative)) = named.or(used) {
            return Self::at(&folder, is_relative).map_err(|why| NewError::Sources { why });
        }
        let command = std::env::current_exe().ok();
        let above = command.iter().flat_map(|command| command.ancestors().skip(1));
        // If cargo's target folder is elsewhere: the folder in which this code was compiled.
        let compiled = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let found = above.chain(compiled).find_map(|folder| Self::at(folder, false).ok());
        found.ok_or_else(|| NewError::Sources {
            why: "they are not where this command lies, nor where it was built".to_owned(),
        })
    }

    /// The sources in a folder. The error is what is missing there.
    fn at(folder: &Path, is_relative: bool) -> Result<Self, String> {
        match FILES.iter().find(|file| !folder.join(file).is_file()) {
            Some(file) => Err(format!("{} has no {file}", folder.display())),
            None => {
                let root = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
                Ok(Self { root, is_relative })
            }
        }
    }

    /// The versions that Bulkhead was tested with, as a start for a new application.
    pub(super) fn lock(&self) -> Result<String, NewError> {
        let file = self.root.join("Cargo.lock");
        let text = fs::read_to_string(&file);
        text.map(|text| without_members(&text)).map_err(|error| NewError::File { what: "read", file, error })
    }

    /// The path of the sources as seen from a folder of a workspace. It is absolute, unless they are in the workspace or were named by a
    /// relative path.
    pub(super) fn from(&self, folder: &Path, workspace: &Path) -> String {
        let path = if self.is_relative || self.root.starts_with(workspace) {
            relative(folder, &self.root)
        } else {
            self.root.clone()
        };
        path.display().to_string()
    }
}

/// A package of a `Cargo.lock`.
#[derive(Deserialize)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: String,
    /// None for the crates of a workspace, and for other path dependencies.
    pub(super) source: Option<String>,
}

/// A lock file without the members of Bulkhead's own workspace that nobody can depend on, because an application's services may have the
/// same names. Bulkhead's crates stay. Packages that only the removed members needed also stay, until cargo writes the file again.
fn without_members(lock: &str) -> String {
    const BEGINS: &str = "[[package]]";
    let mut parts = lock.split(BEGINS);
    let head = parts.next().unwrap_or_default().to_owned();
    let stays = |part: &&str| {
        let package = toml::from_str::<Locked>(part);
        package.map_or(true, |package| package.source.is_some() || package.name.starts_with("bulkhead"))
    };
    parts.filter(stays).fold(head, |text, part| text + BEGINS + part)
}

/// The relative path from one folder to another. Both are absolute, without links and dots.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Path::new(".."));
    let down = to.components().skip(common).map(|part| Path::new(part.as_os_str()));
    let way: PathBuf = up.chain(down).collect();
    if way == Path::new("") { PathBuf::from(".") } else { way }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_to_the_sources_stays_valid() {
        for (from, to, expected) in [
            ("/a/components/x", "/a", "../.."),
            ("/a", "/a", "."),
            ("/a/b", "/c/d", "../../c/d"),
            ("/a", "/a/b", "b"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(expected), "{from} {to}");
        }
        let sources = |is_relative| Sources { root: "/src/bulkhead".into(), is_relative };
        let app = Path::new("/src/app");
        assert_eq!(sources(false).from(app, app), "/src/bulkhead");
        assert_eq!(sources(true).from(app, app), "../bulkhead");
        assert_eq!(
            sources(false).from(Path::new("/src/bulkhead/components/x"), Path::new("/src/bulkhead")),
            "../.."
        );
    }

    #[test]
    fn sources_of_this_crate_are_found_and_a_folder_without_them_says_what_is_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        assert_eq!(Sources::find(None, None).unwrap().root, root.canonicalize().unwrap());
        let error = Sources::find(Some(&root.join("docs")), None).unwrap_err().to_string();
        assert!(error.contains("docs has no Cargo.lock") && error.contains("--bulkhead DIR"), "{error}");
    }
}
