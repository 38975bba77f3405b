//! Where the things are that `make build` made.

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project").to_owned()
}

/// A program of the project, by its name.
pub fn program(name: &str) -> PathBuf {
    built(&["release", name], "a program")
}

/// A component, by the name of its crate's folder.
pub fn component(name: &str) -> PathBuf {
    built(&["components", &format!("{name}.wasm")], "a component")
}

/// Finds a built file: beside the running program first, then in the project's `target`.
fn built(parts: &[&str], what: &str) -> PathBuf {
    let places: Vec<PathBuf> = [target(), Some(root().join("target"))]
        .into_iter()
        .flatten()
        .map(|folder| parts.iter().fold(folder, |path, part| path.join(part)))
        .collect();
    match places.iter().find(|path| path.is_file()) {
        Some(path) => path.clone(),
        None => panic!("{what} is missing: {places:?}. Run `make build` first"),
    }
}

/// Cargo's target folder: the running program lies in `PROFILE/deps` or in `PROFILE` of it.
pub fn target() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let profile = if folder.ends_with("deps") { folder.parent()? } else { folder };
    Some(profile.parent()?.to_owned())
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the test's paths are text")
}
