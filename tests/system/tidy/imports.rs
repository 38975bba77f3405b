//! What the files of a crate import of one another.
//!
//! A name that is imported by way of another module is followed to the module that has it: so `crate::Error` leads to `error.rs`, and not to
//! `lib.rs`. What is for tests alone is left out. A module may import those below it, which may use what it has: the two are no circle.
//!
//! Not seen are calls of methods, names that a `use` with a star brings, and paths in macros that do not begin with `crate` or `super`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

use super::shown;

/// A module by the names that lead to it; none for the crate's root.
type Module = Vec<String>;

/// The sources of a crate.
pub(super) struct Crate {
    root: String,
    /// The files of its modules with their texts.
    modules: BTreeMap<Module, (String, String)>,
}

impl Crate {
    /// Reads the crate whose root is this file.
    pub(super) fn read(root: &Path) -> Self {
        let folder = root.parent().unwrap();
        let mut modules = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(below) = folders.pop() {
            for entry in fs::read_dir(folder.join(&below)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let path = below.join(&name);
                if entry.file_type().unwrap().is_dir() {
                    // A program's sources, or a template's.
                    if name != "bin" && !entry.path().join("Cargo.toml").exists() && name != "template" {
                        folders.push(path);
                    }
                } else if let Some(stem) = name.strip_suffix(".rs") {
                    let is_root = below.as_os_str().is_empty() && matches!(stem, "lib" | "main");
                    if is_root && entry.path() != root {
                        continue;
                    }
                    let above = below.iter().map(|part| part.to_str().unwrap().to_owned());
                    let own = (!is_root && stem != "mod").then(|| stem.to_owned());
                    let text = fs::read_to_string(entry.path()).unwrap();
                    modules.insert(above.chain(own).collect(), (shown(&entry.path()), text));
                }
            }
        }
        Self { root: shown(root), modules }
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    pub(super) fn modules(&self) -> Vec<&Module> {
        self.modules.keys().collect()
    }
}

/// Where a name comes from: a module, and what is imported of it; nothing where it is the module itself.
type Place = (Module, Option<String>);

/// What each module imports, with the name that it is known by.
pub(super) struct Imports {
    files: BTreeMap<Module, String>,
    of: BTreeMap<Module, BTreeMap<Module, String>>,
}

impl Imports {
    pub(super) fn of(one: &Crate) -> Self {
        let files: BTreeMap<Module, String> =
            one.modules.iter().map(|(module, (file, _))| (module.clone(), file.clone())).collect();
        let (mut paths, mut names, mut tests) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (module, (file, text)) in &one.modules {
            let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut reader =
                Reader { module: module.clone(), inner: Vec::new(), paths: Vec::new(), tests: Vec::new() };
            reader.visit_file(&parsed);
            tests.extend(reader.tests);
            for found in reader.paths {
                let Some(place) = resolve(&files, module, &found) else { continue };
                if found.is_use {
                    names.insert((module.clone(), found.name.clone()), place.clone());
                }
                paths.push((module.clone(), place));
            }
        }
        let is_test = |module: &Module| tests.iter().any(|test: &Module| module.starts_with(test));
        let mut of: BTreeMap<Module, BTreeMap<Module, String>> = BTreeMap::new();
        for (module, place) in paths.into_iter().filter(|(module, _)| !is_test(module)) {
            let (target, name) = follow(&names, place);
            if !target.starts_with(&module) && files.contains_key(&target) {
                of.entry(module).or_default().entry(target).or_insert_with(|| name.unwrap_or_default());
            }
        }
        Self { files, of }
    }

    /// A shortest circle through each group of modules that import one another, with a line for each circle. `group` gives the group that a
    /// module is in.
    pub(super) fn circles(&self, group: impl Fn(&Module) -> Module) -> Vec<String> {
        let mut edges: BTreeMap<Module, BTreeMap<Module, (&Module, &Module, &str)>> = BTreeMap::new();
        for (from, imports) in &self.of {
            for (to, name) in imports {
                let (begin, end) = (group(from), group(to));
                if begin != end {
                    edges.entry(begin).or_default().entry(end).or_insert((from, to, name));
                }
            }
        }
        let (mut lines, mut reported) = (Vec::new(), BTreeSet::new());
        for begin in edges.keys() {
            let Some(circle) = circle(&edges, begin) else { continue };
            if circle.iter().any(|group| reported.contains(group)) {
                continue;
            }
            let steps = circle.iter().zip(circle.iter().cycle().skip(1)).filter_map(|(from, to)| {
                let (from, to, name) = edges.get(from)?.get(to)?;
                Some(format!("{} imports {name} of {}", self.files.get(*from)?, self.files.get(*to)?))
            });
            lines.push(steps.collect::<Vec<_>>().join(", "));
            reported.extend(circle);
        }
        lines
    }
}

/// A shortest way from a group back to itself.
fn circle<E>(edges: &BTreeMap<Module, BTreeMap<Module, E>>, begin: &Module) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = VecDeque::from([begin]);
    while let Some(group) = next.pop_front() {
        for to in edges.get(group).into_iter().flat_map(BTreeMap::keys) {
            if to == begin {
                let mut way = vec![group.clone()];
                while let Some(group) = before.get(way.last()?) {
                    way.push((*group).clone());
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(to) {
                before.insert(to, group);
                next.push_back(to);
            }
        }
    }
    None
}

/// A path as it is written.
struct Found {
    segments: Vec<String>,
    /// The name that it has in the module.
    name: String,
    is_use: bool,
    /// The modules within the file that it stands in.
    inner: Vec<String>,
}

/// Where a path leads; none where it leads out of the crate.
fn resolve(files: &BTreeMap<Module, String>, module: &Module, found: &Found) -> Option<Place> {
    let here: Module = module.iter().chain(&found.inner).cloned().collect();
    let (first, mut rest) = found.segments.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => here,
        "super" => here[..here.len().checked_sub(1)?].to_vec(),
        name => {
            let child: Module = here.iter().cloned().chain([name.to_owned()]).collect();
            files.contains_key(&child).then_some(child)?
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        at.pop()?;
        rest = &rest[1..];
    }
    while let Some((name, behind)) = rest.split_first() {
        let child: Module = at.iter().cloned().chain([name.clone()]).collect();
        if !files.contains_key(&child) {
            break;
        }
        (at, rest) = (child, behind);
    }
    // A module within a file is the file's.
    while !files.contains_key(&at) {
        at.pop()?;
    }
    Some((at, rest.first().cloned()))
}

/// Follows a name to the module that has it.
fn follow(names: &BTreeMap<(Module, String), Place>, mut place: Place) -> Place {
    let mut seen = BTreeSet::new();
    while let (module, Some(name)) = &place
        && seen.insert(place.clone())
        && let Some(next) = names.get(&(module.clone(), name.clone()))
    {
        place = next.clone();
    }
    place
}

/// Reads the paths of a file.
struct Reader {
    module: Module,
    inner: Vec<String>,
    paths: Vec<Found>,
    /// Modules that are for tests alone.
    tests: Vec<Module>,
}

impl Reader {
    fn add(&mut self, segments: Vec<String>, name: String, is_use: bool) {
        let inner = self.inner.clone();
        self.paths.push(Found { segments, name, is_use, inner });
    }

    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.add_use(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(before, tree)),
            UseTree::Name(name) if name.ident == "self" => {
                self.add(before.to_vec(), before.last().cloned().unwrap_or_default(), true);
            }
            UseTree::Name(name) => self.add(with(&name.ident), name.ident.to_string(), true),
            UseTree::Rename(rename) => self.add(with(&rename.ident), rename.rename.to_string(), true),
            UseTree::Glob(_) => self.add(before.to_vec(), String::new(), true),
        }
    }
}

impl Reader {
    /// The paths among tokens that begin with `crate` or `super`.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(sign) if sign.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(word) if colons == 2 => {
                    (colons, path) = (0, [path, vec![word.to_string()]].concat())
                }
                other => {
                    self.end_path(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Ident(word) if word == "crate" || word == "super" => {
                            path.push(word.to_string())
                        }
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            let name = path.last().cloned().unwrap_or_default();
            self.add(path.clone(), name, false);
        }
        path.clear();
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'f> Visit<'f> for Reader {
    fn visit_item(&mut self, item: &'f Item) {
        if is_for_tests(attributes(item)) {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                self.tests.push(self.module.iter().cloned().chain([ident.to_string()]).collect());
            }
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'f syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'f ItemMod) {
        self.inner.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.inner.pop();
    }

    fn visit_item_use(&mut self, item: &'f syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'f syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            let name = segments.last().cloned().unwrap_or_default();
            self.add(segments, name, false);
        }
        visit::visit_path(self, path);
    }

    /// `pub(in crate::a)` imports nothing.
    fn visit_visibility(&mut self, _: &'f syn::Visibility) {}

    fn visit_macro(&mut self, call: &'f syn::Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// The circles of a crate with these modules.
fn circles_of(modules: &[(&str, &str)]) -> Vec<String> {
    let module = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let modules = modules.iter().map(|(name, text)| {
        let file = if name.is_empty() { "lib.rs".to_owned() } else { format!("{name}.rs") };
        (module(name), (file, (*text).to_owned()))
    });
    let imports = Imports::of(&Crate { root: "lib.rs".to_owned(), modules: modules.collect() });
    imports.circles(|module| module.to_vec())
}

#[test]
fn import_cycle_is_reported_with_what_each_file_imports() {
    let circle = "a.rs imports B of b.rs, b.rs imports a of a.rs";
    let root = ("", "mod a; mod b; pub use b::B;");
    for (a, b) in [
        ("use crate::b::B;", "fn f() { crate::a::a() }"),
        ("use crate::B;", "use super::a::{self, c}; fn f() { a::a() }"),
        ("fn f(b: crate::B) {}", "fn f() { log!(x, crate::a::a()) }"),
        ("pub use crate::B;", "fn f() { log!(x, {f(crate::a::a())}) }"),
        ("use super::B;", "pub(crate) use crate::a::c;"),
        ("mod inner { use super::super::b::B; }", "use crate::a::a as other;"),
    ] {
        let found = circles_of(&[root, ("a", a), ("b", b)]);
        assert_eq!(found.len(), 1, "{a} {b}");
        assert!(found[0].starts_with("a.rs imports B of b.rs, b.rs imports "), "{found:?}");
        assert_eq!(circles_of(&[root, ("a", a), ("b", "use crate::c::C;"), ("c", "struct C;")]), [""; 0]);
    }
    assert_eq!(circles_of(&[root, ("a", "use crate::B;"), ("b", "use crate::a::a;")]), [circle]);
}

#[test]
fn imports_without_a_cycle_are_accepted() {
    for (a, b) in [
        // The names lead elsewhere.
        ("use crate::B;", "use crate::C;"),
        ("use crate::b::B;", "#[cfg(test)]\nmod tests { use crate::a::a; }"),
        ("use crate::b::B;", "#[cfg(test)]\nuse crate::a::a;"),
        ("use crate::b::B;", "use other::a::a; use std::fmt;"),
        ("use crate::b::B;", "pub(super) struct B; pub(in crate::a) fn f() {}"),
    ] {
        let root = ("", "mod a; mod b; mod c; pub use b::B; pub use c::C;");
        assert_eq!(circles_of(&[root, ("a", a), ("b", b), ("c", "pub struct C;")]), [""; 0], "{a} {b}");
    }
    // A module uses what is below it, and what is below it uses what the module has.
    let parent = ("a", "mod b; pub use b::B; fn c() { b::d() }");
    assert_eq!(
        circles_of(&[("", "mod a; use a::B;"), parent, ("a/b", "use super::c; use crate::e;")]),
        [""; 0]
    );
    let tests = ("a", "#[cfg(test)]\nmod tests; fn f() {}");
    assert_eq!(circles_of(&[("", "mod a;"), tests, ("a/tests", "use super::f;")]), [""; 0]);
}
