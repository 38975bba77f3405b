//! Which interfaces a component imports and exports, and whether a service may import them.
//!
//! The host checks at every load, also for files that it did not build. So this check is quick (it does not look into nested parts) and
//! never panics, whatever the bytes are. It is not a validation: wasmtime validates the component when it compiles it. The host decides
//! whether the manifest grants the imports: this module does not know manifests.

use std::fmt::Write as _;

use wasmparser::{BinaryReaderError, Chunk, Encoding, Parser, Payload};

/// The interfaces that the host offers to services: everything that `world imports` of `wit/world.wit` imports.
pub const INTERFACES: [&str; 11] = [
    "bulkhead:service/answers",
    "bulkhead:service/config",
    "bulkhead:service/log",
    "bulkhead:service/outbox",
    "bulkhead:service/services",
    "bulkhead:service/snapshot",
    "bulkhead:service/sql",
    "bulkhead:service/transaction",
    "bulkhead:service/types",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
];

/// Their packages, with the version that the host offers. Any patch release of that version works.
const PACKAGES: [(&str, &str); 3] =
    [("bulkhead:service/", "0.1"), ("wasi:clocks/", "0.2"), ("wasi:random/", "0.2")];

/// How many refused imports an error lists by name. The rest is only counted: a malicious file may have a million.
const REFUSED_LISTED_MAX: usize = 10;

/// How many characters of such a name an error shows.
const REFUSED_NAME_CHARS_MAX: usize = 120;

/// What a component imports and exports, in the order of the file, each with its version: `bulkhead:service/log@0.1.0`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// The interfaces that it imports. Each is one that a service may import.
    pub interfaces: Vec<String>,
    /// Its exports, interfaces and others.
    pub exports: Vec<String>,
}

impl Imports {
    /// Whether it imports this interface, named without a version: `bulkhead:service/services`.
    pub fn imports(&self, interface: &str) -> bool {
        self.interfaces.iter().any(|name| without_version(name) == interface)
    }

    /// Whether it exports this interface, named without a version: `bulkhead:service/http-handler`.
    pub fn exports(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| without_version(name) == interface)
    }
}

/// Why a file can't be loaded as a service. Each message is a fragment that can follow "failed to load FILE: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportsError {
    /// The bytes are something else, or there are none.
    #[error("it is not WebAssembly (such a file begins with the bytes 00 61 73 6d): is it the right file?")]
    NotWasm,

    /// It is a core module without typed interfaces.
    #[error(
        "it is a core WebAssembly module and not a component: build it with `bulkhead build`, or encode it with \
         `wasm-tools component new`"
    )]
    CoreModule,

    /// It begins like a component, and then can't be parsed.
    #[error("it is cut short or damaged: {reason}, at byte {offset}; build it or copy it again")]
    Damaged {
        /// The parser's message.
        reason: String,
        /// The position from the file's start.
        offset: u64,
    },

    /// It imports something that no service may import.
    #[error(
        "it imports what no service may have: {names}; a service may import the interfaces of \
         `bulkhead:service@0.1`, `wasi:clocks/wall-clock@0.2` and `wasi:random/random@0.2` and nothing else \
         (there are no files, sockets, environment or arguments): remove what uses it, and build for \
         `wasm32-unknown-unknown`"
    )]
    NotOffered {
        /// The names, each in backquotes, at most ten.
        names: String,
    },
}

impl From<BinaryReaderError> for ImportsError {
    fn from(error: BinaryReaderError) -> Self {
        let offset = u64::try_from(error.offset()).unwrap_or(u64::MAX);
        Self::Damaged { reason: error.message().to_owned(), offset }
    }
}

/// Lists a component's imports and exports. If it imports something that no service may have, refuses it and names the import.
pub fn check_imports(component: &[u8]) -> Result<Imports, ImportsError> {
    if !component.starts_with(b"\0asm") {
        return Err(ImportsError::NotWasm);
    }
    let imports = list(component)?;
    let refused: Vec<&str> =
        imports.interfaces.iter().map(String::as_str).filter(|name| !is_offered(name)).collect();
    if refused.is_empty() {
        return Ok(imports);
    }
    Err(ImportsError::NotOffered { names: quoted(&refused) })
}

/// Reads the top level of a component, and skips the modules and components inside it.
fn list(component: &[u8]) -> Result<Imports, ImportsError> {
    let mut imports = Imports::default();
    let mut parser = Parser::new(0);
    let mut rest = component;
    loop {
        let offset = component.len() - rest.len();
        let (consumed, payload) = match parser.parse(rest, true)? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            // With `eof` set the parser returns an error instead.
            Chunk::NeedMoreData(_) => return Err(cut_short(offset)),
        };
        let nested = match payload {
            Payload::Version { encoding: Encoding::Module, .. } => return Err(ImportsError::CoreModule),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    imports.interfaces.push(import?.name.name.to_owned());
                }
                0
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    imports.exports.push(export?.name.name.to_owned());
                }
                0
            }
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => unchecked_range.len(),
            Payload::End(_) => return Ok(imports),
            _ => 0,
        };
        rest = consumed
            .checked_add(nested)
            .and_then(|skipped| rest.get(skipped..))
            .ok_or_else(|| cut_short(component.len()))?;
    }
}

/// The error for a section that ends beyond the end of the file.
fn cut_short(offset: usize) -> ImportsError {
    ImportsError::Damaged {
        reason: "unexpected end of the file".to_owned(),
        offset: u64::try_from(offset).unwrap_or(u64::MAX),
    }
}

/// Whether the host offers this interface, in this version.
fn is_offered(name: &str) -> bool {
    let Some((interface, version)) = name.split_once('@') else { return false };
    INTERFACES.contains(&interface)
        && PACKAGES
            .iter()
            .any(|(package, line)| interface.starts_with(package) && is_patch_release(version, line))
}

/// Whether `version` is `line` plus a patch number: `0.1.7` for `0.1`.
fn is_patch_release(version: &str, line: &str) -> bool {
    version
        .strip_prefix(line)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(interface, _)| interface)
}

/// The names for a message. They come from the file, so control characters are escaped and long names are cut.
fn quoted(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(REFUSED_LISTED_MAX).enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let shown: String = name.chars().take(REFUSED_NAME_CHARS_MAX).flat_map(char::escape_debug).collect();
        // Writing to a String can't fail.
        let _ = write!(text, "{separator}`{shown}`");
    }
    let left_out = names.len().saturating_sub(REFUSED_LISTED_MAX);
    if left_out > 0 {
        let _ = write!(text, " and {left_out} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef,
        ComponentTypeSection, CustomSection, InstanceType, Module, ModuleSection, NestedComponentSection,
    };

    use super::*;

    /// A component that imports empty instances with these names, and contains a module, a component and an export.
    fn component(imports: &[&str]) -> Component {
        let mut component = Component::new();
        let mut types = ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut section = ComponentImportSection::new();
        for name in imports {
            section.import(*name, ComponentTypeRef::Instance(0));
        }
        component.section(&section);
        let mut module = Module::new();
        module.section(&CustomSection { name: "filler".into(), data: (&[7; 100]).into() });
        component.section(&ModuleSection(&module));
        let mut exports = ComponentExportSection::new();
        exports.export("bulkhead:service/http-handler@0.1.0", ComponentExportKind::Instance, 0, None);
        component.section(&exports);
        component
    }

    fn importing(name: &str) -> Result<Imports, ImportsError> {
        check_imports(&component(&[name]).finish())
    }

    #[test]
    fn imports_and_exports_are_listed_in_order() {
        let bytes = component(&["bulkhead:service/log@0.1.0", "wasi:random/random@0.2.12"]).finish();
        let imports = check_imports(&bytes).unwrap();
        assert_eq!(imports.interfaces, ["bulkhead:service/log@0.1.0", "wasi:random/random@0.2.12"]);
        assert_eq!(imports.exports, ["bulkhead:service/http-handler@0.1.0"]);
        assert!(imports.imports("bulkhead:service/log"));
        assert!(!imports.imports("bulkhead:service/lo"));
        assert!(imports.exports("bulkhead:service/http-handler"));
    }

    #[test]
    fn every_patch_release_of_an_interface_is_offered() {
        for interface in INTERFACES {
            let line = if interface.starts_with("wasi:") { "0.2" } else { "0.1" };
            for patch in ["0", "7", "12"] {
                importing(&format!("{interface}@{line}.{patch}")).unwrap();
            }
        }
    }

    #[test]
    fn forbidden_imports_are_refused_by_name() {
        for name in [
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.2.3",
            "wasi:clocks/monotonic-clock@0.2.0",
            "wasi:random/insecure@0.2.0",
            "wasi:random/random@0.3.0",
            "bulkhead:service/log@0.2.0",
            "bulkhead:service/log@0.1.0-rc.1",
            "bulkhead:service/log",
            "bulkhead:service/telepathy@0.1.0",
            "another-function",
        ] {
            let error = importing(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn long_list_of_refused_imports_is_truncated() {
        let names: Vec<String> = (0..25).map(|n| format!("a{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = check_imports(&component(&names).finish()).unwrap_err().to_string();
        assert!(error.contains("`a9` and 15 more"), "{error}");
    }

    #[test]
    fn imports_of_a_nested_component_are_ignored() {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&component(&["wasi:sockets/tcp@0.2.0"])));
        assert_eq!(check_imports(&outer.finish()), Ok(Imports::default()));
    }

    #[test]
    fn file_that_is_not_wasm_is_reported_as_such() {
        for bytes in [&b""[..], b"\0as", b"\x7fELF and so on", b"(component)"] {
            assert_eq!(check_imports(bytes), Err(ImportsError::NotWasm));
        }
    }

    #[test]
    fn core_module_is_reported_as_such() {
        assert_eq!(check_imports(&Module::new().finish()), Err(ImportsError::CoreModule));
    }

    #[test]
    fn file_truncated_inside_a_section_is_damaged_and_no_truncation_panics() {
        let bytes = component(&["bulkhead:service/log@0.1.0"]).finish();
        let whole = check_imports(&bytes).unwrap();
        let mut damaged = 0;
        for length in 4..bytes.len() {
            match check_imports(&bytes[..length]) {
                // If the file is cut between two sections, the rest is a shorter component.
                Ok(part) => assert!(part.interfaces.len() <= whole.interfaces.len()),
                Err(ImportsError::Damaged { .. }) => damaged += 1,
                Err(other) => panic!("cut at {length}: {other}"),
            }
        }
        assert!(damaged > bytes.len() / 2, "{damaged} of {} cuts were noticed", bytes.len());
    }

    #[test]
    fn changing_any_byte_never_panics() {
        let bytes = component(&["bulkhead:service/log@0.1.0"]).finish();
        for position in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[position] = value;
                let _ = check_imports(&changed);
            }
        }
    }

    #[test]
    fn control_characters_in_a_name_are_escaped() {
        assert_eq!(quoted(&["a\n\u{1b}[31m"]), r"`a\n\u{1b}[31m`");
    }

    #[test]
    fn list_of_interfaces_matches_the_wit_world() {
        let world = include_str!("../../../wit/world.wit");
        let mut imported: Vec<String> = world
            .lines()
            .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
            .map(|name| match name.split_once('@') {
                Some((interface, _)) => interface.to_owned(),
                None => format!("bulkhead:service/{name}"),
            })
            .collect();
        imported.sort();
        assert_eq!(imported, INTERFACES);
    }
}
