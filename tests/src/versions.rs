//! What tests deploy: many versions of the guests `changing` and `watching`, later versions of the shop's product service, and files that
//! are none of a service.
//!
//! A version of a guest is the one component that was built of it with another text in its data, of the same length: so no test waits for a
//! compiler. What the words do is told in `tests/guests/changing/src`.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use wasm_encoder::{
    Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType, Module,
};

use crate::paths;
use crate::site::Site;

/// How the text begins that says which version a component is.
const MARKER: &[u8] = b"bulkhead-test-version:";

/// How long it is, with the spaces behind it: as `tests/guests/changing/src/version.rs` has it.
const MARKER_LENGTH: usize = 128;

/// More than any component has.
pub const HUGE_BYTES: u64 = 500 << 20;

/// A version of the guest `changing`, in a file of the site: its number, and words such as `"column traps"`. As it is built it is
/// version 1, `"plain"`.
#[track_caller]
pub fn changing(site: &Site, number: u32, words: &str) -> PathBuf {
    version_of("changing", site, number, words)
}

/// The same of the guest `watching`.
#[track_caller]
pub fn watching(site: &Site, number: u32, words: &str) -> PathBuf {
    version_of("watching", site, number, words)
}

/// The product service with a column more, which V0004 adds and can take away again.
pub fn product_column() -> PathBuf {
    paths::component("product-column")
}

/// The version after that: V0005 rebuilds the table of the products, which has children, and can do it back.
pub fn product_rebuilt() -> PathBuf {
    paths::component("product-rebuilt")
}

/// A file of text.
#[track_caller]
pub fn not_a_component(site: &Site) -> PathBuf {
    file(site, "text.wasm", b"Dear aunt, this is a letter and no WebAssembly.\n")
}

/// A module, which is WebAssembly and no component.
#[track_caller]
pub fn core_module(site: &Site) -> PathBuf {
    file(site, "module.wasm", &Module::new().finish())
}

/// A component that imports what no service may have: `test:other/thing`.
#[track_caller]
pub fn wrong_world(site: &Site) -> PathBuf {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import("test:other/thing", ComponentTypeRef::Instance(0));
    let mut component = Component::new();
    component.section(&types).section(&imports);
    file(site, "other-world.wasm", &component.finish())
}

/// A file that begins as a component does, and then has [`HUGE_BYTES`] of nothing, which take no room on the disk.
#[track_caller]
pub fn huge(site: &Site) -> PathBuf {
    let path = file(site, "huge.wasm", &Component::new().finish());
    let huge = File::options().write(true).open(&path).expect("the file can be opened");
    huge.set_len(HUGE_BYTES).expect("the file can be made longer");
    path
}

#[track_caller]
fn version_of(guest: &str, site: &Site, number: u32, words: &str) -> PathBuf {
    let built = std::fs::read(paths::component(guest)).expect("the component can be read");
    let name = format!("{guest}-{number}-{}.wasm", words.replace(' ', "-"));
    file(site, &name, &with_version(built, number, words))
}

#[track_caller]
fn file(site: &Site, name: &str, content: &[u8]) -> PathBuf {
    let path = site.path(name);
    let mut file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// The component, as this version of it.
#[track_caller]
fn with_version(mut component: Vec<u8>, number: u32, words: &str) -> Vec<u8> {
    let text = [MARKER, format!("{number}:{words}").as_bytes()].concat();
    assert!(text.len() <= MARKER_LENGTH, "{words:?} are more words than there is room for");
    let places: Vec<usize> = component
        .windows(MARKER.len())
        .enumerate()
        .filter_map(|(place, bytes)| (bytes == MARKER).then_some(place))
        .collect();
    let [place] = places[..] else { panic!("the component has its version {} times", places.len()) };
    let marker = &mut component[place..place + MARKER_LENGTH];
    marker.fill(b' ');
    marker[..text.len()].copy_from_slice(&text);
    component
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn versions_differ_only_in_their_text() {
        for guest in ["changing", "watching"] {
            let built = std::fs::read(paths::component(guest)).unwrap();
            let other = with_version(built.clone(), 1_000_000, "traps hungry-at-start");
            assert_eq!(built.len(), other.len());
            let place = built.windows(MARKER.len()).position(|bytes| bytes == MARKER).unwrap();
            let end = place + MARKER_LENGTH;
            assert_eq!((&built[..place], &built[end..]), (&other[..place], &other[end..]));
            let text = String::from_utf8(other[place..end].to_vec()).unwrap();
            assert_eq!(text.trim_end(), "bulkhead-test-version:1000000:traps hungry-at-start");
            // It is read back from where it was written, and the first version is the built one.
            assert_eq!(with_version(other, 1, "plain"), built);
        }
    }

    #[test]
    fn a_file_without_a_version_or_with_too_many_words_is_refused() {
        let refused = |component: &[u8], words: &str| {
            std::panic::catch_unwind(|| with_version(component.to_vec(), 1, words)).is_err()
        };
        let component = [MARKER, &[b' '; MARKER_LENGTH]].concat();
        assert!(!refused(&component, "plain"));
        assert!(refused(&component, &"column ".repeat(20)));
        assert!(refused(b"no component", "plain"));
        assert!(refused(&component.repeat(2), "plain"));
    }

    #[test]
    fn huge_file_takes_no_disk_space() {
        let site = Site::new(&Manifest::changing());
        let about = std::fs::metadata(huge(&site)).unwrap();
        assert_eq!(about.len(), HUGE_BYTES);
        assert!(about.blocks() * 512 < 1 << 20, "{} blocks", about.blocks());
    }
}
