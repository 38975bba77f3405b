//! The cargo workspace of a service's crate.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::NewError;
use super::sources::{Locked, Sources};

/// A workspace, with its `Cargo.toml`.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    /// Absolute.
    pub(super) root: PathBuf,
    /// The file's text.
    pub(super) text: String,
    /// The content of `[workspace]`.
    table: toml::Table,
    /// Whether it is created together with the service.
    is_new: bool,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

impl Workspace {
    /// The nearest workspace in this folder or its parents. None if no folder has a `Cargo.toml`.
    pub(super) fn above(folder: &Path) -> Result<Option<Self>, NewError> {
        let mut without = None;
        for above in folder.ancestors() {
            match Self::read(above)? {
                Some(Ok(workspace)) => return Ok(Some(workspace)),
                Some(Err(file)) => without = without.or(Some(file)),
                None => {}
            }
        }
        without.map_or(Ok(None), |file| Err(NewError::NoWorkspace { file }))
    }

    /// The workspace whose root is this folder. None if it has no `Cargo.toml`.
    pub(super) fn of(folder: &Path) -> Result<Option<Self>, NewError> {
        Self::read(folder)?.transpose().map_err(|file| NewError::NoWorkspace { file })
    }

    /// Reads a folder's `Cargo.toml`: either a workspace, or the file that is not one.
    fn read(folder: &Path) -> Result<Option<Result<Self, PathBuf>>, NewError> {
        let file = folder.join("Cargo.toml");
        let Some(text) = read_if_there(&file)? else { return Ok(None) };
        let whole: toml::Table = toml::from_str(&text).map_err(|error| NewError::Cargo {
            file: file.clone(),
            why: format!("this is not TOML: {}", error.message()),
        })?;
        let workspace = match whole.get("workspace").and_then(toml::Value::as_table) {
            Some(table) => Ok(Self { root: folder.to_owned(), text, table: table.clone(), is_new: false }),
            None => Err(file),
        };
        Ok(Some(workspace))
    }

    /// A workspace for a new application in this folder, with the text of its `Cargo.toml`.
    pub(super) fn new(folder: &Path, text: String) -> Self {
        let whole: toml::Table = toml::from_str(&text).unwrap_or_default();
        let table = whole.get("workspace").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        Self { root: folder.to_owned(), text, table, is_new: true }
    }

    /// Its `Cargo.toml`.
    pub(super) fn file(&self) -> PathBuf {
        self.root.join("Cargo.toml")
    }

    /// Whether its `[workspace.SECTION]` has this entry, so that members can use `workspace = true`.
    pub(super) fn offers(&self, section: &str, entry: &str) -> bool {
        self.table.get(section).and_then(|section| section.get(entry)).is_some()
    }

    /// Whether it has lints for its members.
    pub(super) fn has_lints(&self) -> bool {
        self.table.contains_key("lints")
    }

    /// Bulkhead's sources, found by the path of the SDK that its members use, and whether that path is relative.
    pub(super) fn sources(&self) -> Option<(PathBuf, bool)> {
        let sdk = Path::new(self.table.get("dependencies")?.get("bulkhead-sdk")?.get("path")?.as_str()?);
        Some((self.root.join(sdk).ancestors().nth(2)?.to_owned(), sdk.is_relative()))
    }

    /// The crate that already has this name, if there is one.
    pub(super) fn crate_named(&self, name: &str, sources: &Sources) -> Result<Option<String>, NewError> {
        let text =
            if self.is_new { Some(sources.lock()?) } else { read_if_there(&self.root.join("Cargo.lock"))? };
        let lock: Lock = match text.map(|text| toml::from_str(&text)) {
            None => return Ok(None),
            Some(lock) => lock.map_err(|error| NewError::Cargo {
                file: self.root.join("Cargo.lock"),
                why: format!("cargo did not write this: {}", error.message()),
            })?,
        };
        let found = lock.package.iter().find(|package| package.name == name);
        Ok(found.map(|package| {
            let from = if package.source.is_some() { "a dependency" } else { "in this workspace" };
            format!("{} {} ({from})", package.name, package.version)
        }))
    }

    /// The file's text with the crate in this folder added to the members. None if a pattern already makes it a member.
    pub(super) fn with_member(&self, crate_dir: &Path) -> Result<Option<String>, NewError> {
        let cant = |why: &str| NewError::Cargo { file: self.file(), why: why.to_owned() };
        let member = crate_dir.strip_prefix(&self.root).ok().and_then(Path::to_str);
        let member = member.ok_or_else(|| cant("the new crate is not below it; name a manifest that is"))?;
        let (document, _) = DeTable::parse_recoverable(&self.text);
        let members = document
            .get_ref()
            .get("workspace")
            .and_then(|workspace| workspace.get_ref().as_table()?.get("members"));
        let Some(members) = members else {
            return Err(cant("[workspace] has no `members`; add members = [\"components/*\"]"));
        };
        let DeValue::Array(items) = members.get_ref() else { return Err(cant("`members` is no list")) };
        let items: Vec<(&str, Range<usize>)> =
            items.iter().filter_map(|item| Some((item.get_ref().as_str()?, item.span()))).collect();
        if items.iter().any(|(pattern, _)| covers(pattern, member)) {
            return Ok(None);
        }
        Ok(Some(inserted(&self.text, members.span(), &items, member)))
    }
}

/// Whether a pattern of cargo's `members` matches this folder. In each part `*` matches any characters.
fn covers(pattern: &str, member: &str) -> bool {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
    let (pattern, member): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), member.split('/').collect());
    pattern.len() == member.len() && pattern.iter().zip(member).all(|(pattern, part)| fits(pattern, part))
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| fits(after, rest))
        }),
    }
}

/// The text with a new item in a list: at its sorted position if the list is sorted, otherwise at the end. If the list has one item per
/// line, the new item gets a line of its own.
fn inserted(text: &str, list: Range<usize>, items: &[(&str, Range<usize>)], new: &str) -> String {
    let new_item = format!("\"{new}\"");
    let before = |place: usize| text.get(..place).unwrap_or_default();
    let behind = |place: usize| text.get(place..).unwrap_or_default();
    // The text between two items, without comments.
    let between = |place: usize| {
        let line = before(place).rsplit_once('\n').map(|(_, line)| line);
        match line {
            Some(indent) if indent.trim().is_empty() => format!(",\n{indent}"),
            _ => ", ".to_owned(),
        }
    };
    let is_sorted = items.is_sorted_by(|(a, _), (b, _)| a <= b);
    let next = items.iter().find(|(item, _)| is_sorted && *item > new);
    match (next, items.last()) {
        (Some((_, span)), _) => {
            format!("{}{new_item}{}{}", before(span.start), between(span.start), behind(span.start))
        }
        (None, Some((_, span))) => {
            format!("{}{}{new_item}{}", before(span.end), between(span.start), behind(span.end))
        }
        (None, None) => format!("{}[{new_item}]{}", before(list.start), behind(list.end)),
    }
}

/// The text of a file. None if it does not exist.
pub(super) fn read_if_there(file: &Path) -> Result<Option<String>, NewError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NewError::File { what: "read", file: file.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(text: &str, member: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), text).unwrap();
        let workspace = Workspace::of(folder.path()).unwrap().unwrap();
        workspace.with_member(&folder.path().join(member)).unwrap()
    }

    #[test]
    fn member_is_inserted_in_place_and_the_rest_stays_unchanged() {
        for (before, after) in [
            (
                "# ours\n[workspace]\nmembers = [\n    \"components/a\", # the first\n    \"components/z\",\n]\n\n[profile.x]\n",
                "# ours\n[workspace]\nmembers = [\n    \"components/a\", # the first\n    \"components/m\",\n    \"components/z\",\n]\n\n[profile.x]\n",
            ),
            (
                "[workspace]\nmembers = [\n  \"components/a\"\n]\n",
                "[workspace]\nmembers = [\n  \"components/a\",\n  \"components/m\"\n]\n",
            ),
            (
                "[workspace]\nmembers = [\n  \"z\",\n  \"a\",\n]\n",
                "[workspace]\nmembers = [\n  \"z\",\n  \"a\",\n  \"components/m\",\n]\n",
            ),
            (
                "[workspace]\nmembers = ['a', 'z']\nresolver = '3'",
                "[workspace]\nmembers = ['a', \"components/m\", 'z']\nresolver = '3'",
            ),
            ("[workspace]\nmembers = []\n", "[workspace]\nmembers = [\"components/m\"]\n"),
        ] {
            let changed = with(before, "components/m").unwrap();
            assert_eq!(changed, after);
            assert_eq!(with(&changed, "components/m"), None, "it is one now");
        }
    }

    #[test]
    fn pattern_that_covers_the_crate_is_enough() {
        for (pattern, expected) in [
            ("components/*", true),
            ("./components/m*/", true),
            ("components/my-m", true),
            ("c*/*-m", true),
            ("*", false),
            ("components", false),
            ("components/*/x", false),
            ("components/m", false),
        ] {
            assert_eq!(covers(pattern, "components/my-m"), expected, "{pattern}");
        }
    }

    #[test]
    fn cargo_toml_without_a_workspace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Workspace::of(folder.path()).unwrap().is_none());
        fs::write(folder.path().join("Cargo.toml"), "[package]\nname = 'x'\n").unwrap();
        let error = Workspace::of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no [workspace]"), "{error}");
        fs::write(folder.path().join("Cargo.toml"), "[package").unwrap();
        let error = Workspace::of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not TOML"), "{error}");
        fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        let workspace = Workspace::above(&folder.path().join("below")).unwrap().unwrap();
        let error = workspace.with_member(&folder.path().join("below/components/m")).unwrap_err().to_string();
        assert!(error.contains("members = [\"components/*\"]"), "{error}");
    }
}
