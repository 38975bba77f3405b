//! `bulkhead new`: it creates a service with a route, a table, a migration, an event and tests, and the application if there is none.
//!
//! Everything is decided first ([`plan`]) and written afterwards ([`Plan::carry_out`]). So all errors are reported before anything is
//! written, and if a file can't be written, everything stays as it was. The manifest and the workspace's `Cargo.toml` get additions, and
//! keep the rest of their bytes. No other existing file is touched.
//!
//! The files are in `template/`. `{{…}}` marks the parts that differ.

mod error;
mod name;
mod place;
mod sources;
mod template;
mod workspace;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

pub use self::error::NewError;
pub use self::place::{MANIFEST_DEFAULT, application_above};
use bulkhead_build::folder_of;

use self::sources::Sources;
use self::template::Values;
use self::workspace::{Workspace, read_if_there};
use self::writing::Written;
use bulkhead_manifest::Manifest;

/// The user's request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The service's name, and its crate's.
    pub name: String,
    /// The manifest, which may be missing.
    pub manifest: PathBuf,
    /// Bulkhead's sources, if the user named their folder.
    pub bulkhead: Option<PathBuf>,
}

/// Files to write, each with its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The service's name.
    pub name: String,
    /// The folder of the workspace that the service's crate is in. Absolute.
    pub workspace: PathBuf,
    /// New files.
    pub made: Vec<(PathBuf, String)>,
    /// Existing files, with their new text.
    pub changed: Vec<(PathBuf, String)>,
}

/// Decides what to write.
///
/// # Errors
///
/// What is wrong, and what to do.
pub fn plan(asked: &Asked) -> Result<Plan, NewError> {
    let Asked { name, manifest: file, .. } = asked;
    name::check(name).map_err(|why| NewError::Name { name: name.clone(), why })?;
    if file.extension().is_none_or(|extension| extension != "toml") {
        return Err(NewError::ManifestName { file: file.clone() });
    }
    let folder = folder_of(file);
    let absolute = folder.canonicalize().map_err(|error| NewError::File {
        what: "find the folder",
        file: folder.to_owned(),
        error,
    })?;
    let mut plan = Plan { name: name.clone(), ..Plan::default() };

    let text = read_if_there(file)?;
    if text.is_none()
        && file == Path::new(MANIFEST_DEFAULT)
        && let Some(folder) = application_above(folder)
    {
        return Err(NewError::ApplicationAbove { folder });
    }
    let manifest = text.as_deref().map(|text| read(file, text)).transpose()?;
    if let Some(entry) = manifest.as_ref().and_then(|manifest| manifest.services.get(name.as_str())) {
        let place = format!("{}:{}", file.display(), entry.line);
        return Err(NewError::ServiceExists { name: name.clone(), place });
    }
    let crate_dir = folder.join("components").join(name);
    if fs::symlink_metadata(&crate_dir).is_ok() {
        return Err(NewError::Exists { what: "the crate's folder", path: crate_dir });
    }
    let found = match &text {
        Some(_) => Workspace::above(&absolute)?,
        None => Workspace::of(&absolute)?,
    };
    let sources = Sources::find(asked.bulkhead.as_deref(), found.as_ref().and_then(Workspace::sources))?;
    let workspace = match found {
        Some(workspace) => workspace,
        None => {
            let lock = sources.lock()?;
            let workspace =
                Workspace::new(&absolute, template::workspace(&sources.from(&absolute, &absolute)));
            plan.made.push((folder.join("Cargo.toml"), workspace.text.clone()));
            for (name, text) in [
                ("Cargo.lock", lock.as_str()),
                ("rust-toolchain.toml", template::TOOLCHAIN),
                ("rustfmt.toml", template::FORMAT),
                (".gitignore", template::IGNORED),
            ] {
                let file = folder.join(name);
                if !file.exists() {
                    plan.made.push((file, text.to_owned()));
                }
            }
            workspace
        }
    };
    plan.workspace.clone_from(&workspace.root);
    if let Some(other) = workspace.crate_named(name, &sources)? {
        return Err(NewError::CrateExists { name: name.clone(), other });
    }

    let data = manifest.as_ref().and_then(|manifest| data_of(manifest, file));
    let application =
        manifest.map_or_else(|| template::application_name(&absolute), |manifest| manifest.name);
    let values = Values::new(name, &application, &workspace, &sources, &absolute);
    let is_new = text.is_none();
    let before = text.unwrap_or_else(|| values.fill(template::MANIFEST));
    let after = added(&before, &values.section(data.as_deref().unwrap_or("data")));
    // The host's own parser says whether the two fit together: each route and each event has one owner.
    let mistakes = Manifest::parse(file, &after).err().unwrap_or_default();
    if !mistakes.is_empty() {
        let mistakes = mistakes.iter().map(|mistake| mistake.message.clone()).collect();
        return Err(NewError::Clash { name: name.clone(), mistakes });
    }

    for (path, text) in template::CRATE {
        plan.made.push((crate_dir.join(path.replace("{{name}}", name)), values.fill(text)));
    }
    let member = absolute.join("components").join(name);
    if let Some(text) = workspace.with_member(&member)? {
        plan.changed.push((workspace.file(), text));
    }
    if is_new {
        plan.made.push((file.clone(), after))
    } else {
        plan.changed.push((file.clone(), after))
    }
    Ok(plan)
}

impl Plan {
    /// Writes the plan. If that fails, everything is as it was.
    ///
    /// # Errors
    ///
    /// The file that can't be written.
    pub fn carry_out(&self) -> Result<(), NewError> {
        Written::all(&self.made, &self.changed)
    }
}

/// An existing manifest must have no errors before something is added to it.
fn read(file: &Path, text: &str) -> Result<Manifest, NewError> {
    Manifest::parse(file, text).map_err(|mistakes| {
        NewError::Manifest(bulkhead_manifest::ManifestError { path: file.to_owned(), mistakes })
    })
}

/// The data folder as the manifest names it.
fn data_of(manifest: &Manifest, file: &Path) -> Option<String> {
    let folder = folder_of(file);
    let data = manifest.data.strip_prefix(folder).unwrap_or(&manifest.data);
    data.to_str().map(str::to_owned)
}

/// A text with another one appended, with the same line endings.
fn added(text: &str, section: &str) -> String {
    let mut added = text.to_owned();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !added.is_empty() && !added.ends_with('\n') {
        added.push_str(end);
    }
    added.push_str(&section.replace('\n', end));
    added
}

#[cfg(test)]
mod tests;
