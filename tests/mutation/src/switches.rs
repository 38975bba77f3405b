//! Puts all mutants into the copy at once, each behind a switch, without those that don't compile.

mod source;

use crate::mutant::{Id, Mutant};
use crate::tree::{PROFILE, Tree, write_whole};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use source::{MODULE, Region, Switched};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

/// Why a mutant is not tried.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum WhyNot {
    /// It does not compile.
    Unviable,
    /// It may compile, and its switch does not: in a `const fn`, say.
    Unswitchable,
}

/// The mutants that are not in the build, and why. All others are.
pub(crate) type NotIn = BTreeMap<Id, WhyNot>;

/// Puts `mutants` into the code of `tree`, and gives those that are not in it.
pub(crate) fn insert(tree: &Tree, mutants: &[Mutant]) -> Result<NotIn> {
    let noted = tree.notes.join("not-in.json");
    let is_known = noted.exists();
    let mut not_in = if is_known { tree.read_note(&noted)? } else { NotIn::new() };
    for (id, mutant) in (1..).zip(mutants) {
        if mutant.is_of_another_type() {
            not_in.insert(id, WhyNot::Unswitchable);
        }
    }
    let originals = Originals::read(tree, mutants)?;
    loop {
        let regions = originals.write(tree, mutants, &mut not_in)?;
        if is_known {
            return Ok(not_in);
        }
        eprintln!("mutation: {} of {} mutants have a switch", mutants.len() - not_in.len(), mutants.len());
        let refused = check(tree, &originals.packages, &regions)?;
        if refused.is_empty() {
            write_whole(&noted, &not_in)?;
            return Ok(not_in);
        }
        not_in.extend(refused);
    }
}

/// The code as it was, by the file.
struct Originals {
    files: BTreeMap<String, (String, Vec<Id>)>,
    /// The roots of the crates.
    roots: BTreeMap<PathBuf, String>,
    packages: BTreeSet<String>,
}

impl Originals {
    fn read(tree: &Tree, mutants: &[Mutant]) -> Result<Self> {
        let mut all = Self { files: BTreeMap::new(), roots: BTreeMap::new(), packages: BTreeSet::new() };
        for (id, mutant) in (1..).zip(mutants) {
            if !all.files.contains_key(&mutant.file) {
                let text = tree.original(Path::new(&mutant.file))?;
                all.files.insert(mutant.file.clone(), (text, Vec::new()));
            }
            if let Some((_, ids)) = all.files.get_mut(&mutant.file) {
                ids.push(id);
            }
            all.packages.insert(mutant.package.clone());
            let root = mutant.crate_folder().join("lib.rs");
            if let Entry::Vacant(place) = all.roots.entry(root) {
                let text = tree.original(place.key())?;
                place.insert(text);
            }
        }
        Ok(all)
    }

    /// Writes each file with its switches, and gives the places of these in it.
    fn write(
        &self,
        tree: &Tree,
        mutants: &[Mutant],
        not_in: &mut NotIn,
    ) -> Result<HashMap<String, Vec<Region>>> {
        let (mut regions, mut written) = (HashMap::new(), BTreeMap::new());
        for (file, (text, ids)) in &self.files {
            let wanted = ids.iter().filter(|id| !not_in.contains_key(id));
            let wanted = wanted.filter_map(|id| Some((*id, mutants.get(id - 1)?))).collect();
            let Switched { text, regions: of_file, beside_let, without_place } =
                source::switched(text, wanted).with_context(|| format!("{file} can't be read"))?;
            not_in.extend(beside_let.into_iter().map(|id| (id, WhyNot::Unviable)));
            not_in.extend(without_place.into_iter().map(|id| (id, WhyNot::Unswitchable)));
            written.insert(PathBuf::from(file), text);
            regions.insert(file.clone(), of_file);
        }
        for (root, text) in &self.roots {
            let path = tree.root.join(root);
            // It may have mutants itself.
            let text = written.remove(root).unwrap_or_else(|| text.clone());
            write_changed(&path, &source::with_module(&text)?)?;
            write_changed(&path.with_file_name(format!("{MODULE}.rs")), include_str!("switches/module.txt"))?;
        }
        for (file, text) in written {
            write_changed(&tree.root.join(file), &text)?;
        }
        Ok(regions)
    }
}

/// A file that stays as it is keeps its time, so that it is not compiled again.
fn write_changed(path: &Path, text: &str) -> io::Result<()> {
    match fs::read(path) {
        Ok(there) if there == text.as_bytes() => Ok(()),
        _ => fs::write(path, text),
    }
}

/// The mutants that the compiler's errors point to: none if the code compiles.
fn check(tree: &Tree, packages: &BTreeSet<String>, regions: &HashMap<String, Vec<Region>>) -> Result<NotIn> {
    let mut command = tree.cargo(&["check", "--quiet", "--profile", PROFILE, "--keep-going"]);
    command.args(["--message-format", "json"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let output = command.stderr(Stdio::inherit()).output()?;
    let mut refused = NotIn::new();
    let mut messages = String::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let Message { message: Some(error) } = serde_json::from_str(line)? else { continue };
        if error.level != "error" {
            continue;
        }
        messages.extend(error.rendered);
        for region in
            error.spans.iter().filter(|span| span.is_primary).filter_map(|span| span.innermost(regions))
        {
            let why_not = if region.is_mutant { WhyNot::Unviable } else { WhyNot::Unswitchable };
            refused.extend(region.ids.iter().map(|id| (*id, why_not)));
        }
    }
    ensure!(output.status.success() || !refused.is_empty(), "the copy does not compile:\n{messages}");
    Ok(refused)
}

/// What cargo writes, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
    spans: Vec<ErrorSpan>,
}

#[derive(Deserialize)]
struct ErrorSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
    /// Where the macro is called that it is in.
    expansion: Option<Expansion>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Box<ErrorSpan>,
}

impl ErrorSpan {
    /// The smallest place of a mutant that it lies in.
    fn innermost<'r>(&self, regions: &'r HashMap<String, Vec<Region>>) -> Option<&'r Region> {
        let Some(of_file) = regions.get(&self.file_name) else {
            return self.expansion.as_ref()?.span.innermost(regions);
        };
        let is_around =
            |region: &&Region| region.range.start <= self.byte_start && self.byte_end <= region.range.end;
        of_file.iter().filter(is_around).min_by_key(|region| region.range.len())
    }
}
