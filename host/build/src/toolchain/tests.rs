//! The choice of a toolchain, tested on machines that consist of empty files.

use super::*;

/// A machine that consists of empty files in a temporary folder: `rustup/` is the active sysroot, `usr/` Debian's, `bin/` PATH.
struct Fake {
    root: tempfile::TempDir,
    machine: Machine,
}

impl Fake {
    fn new(files: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let machine = Machine {
            path: vec![root.path().join("bin")],
            usr: root.path().join("usr"),
            active_sysroot: Some(root.path().join("rustup")),
            debian_rustc: Some((1, 96)),
            linker_is_set: false,
            forced: None,
        };
        Self { root, machine }
    }

    /// The way that is chosen, and the linker that is named, relative to the root.
    fn choice(&self) -> (Way, Option<String>) {
        let toolchain = choose(&self.machine).unwrap();
        let linker = toolchain
            .linker
            .map(|path| path.strip_prefix(self.root.path()).unwrap().to_string_lossy().into_owned());
        (toolchain.way, linker)
    }

    fn error(&self) -> String {
        choose(&self.machine).unwrap_err().to_string()
    }
}

const CARGO: &str = "bin/cargo";
const OWN_LLD: &str = "rustup/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
const WASM_STD: &str = "rustup/lib/rustlib/wasm32-unknown-unknown/lib/libstd.rlib";
const RUST_SRC: &str = "rustup/lib/rustlib/src/rust/library/Cargo.toml";
const DEBIAN: [&str; 2] = ["usr/bin/cargo", "usr/lib/rustlib/src/rust/library/Cargo.toml"];

#[test]
fn installed_target_is_preferred() {
    let fake = Fake::new(&[CARGO, OWN_LLD, WASM_STD, RUST_SRC, DEBIAN[0], DEBIAN[1]]);
    assert_eq!(fake.choice(), (Way::Rustup, None));
}

#[test]
fn without_the_target_the_standard_library_is_built_from_rust_src() {
    let fake = Fake::new(&[CARGO, OWN_LLD, RUST_SRC, DEBIAN[0], DEBIAN[1]]);
    assert_eq!(fake.choice(), (Way::RustSrc, None));
}

#[test]
fn without_target_and_rust_src_debian_toolchain_links_with_rustup_linker() {
    let fake = Fake::new(&[CARGO, OWN_LLD, DEBIAN[0], DEBIAN[1]]);
    assert_eq!(fake.choice(), (Way::Debian, Some(OWN_LLD.to_owned())));
}

#[test]
fn debians_toolchain_needs_no_rustup() {
    let mut fake = Fake::new(&[DEBIAN[0], DEBIAN[1], "bin/wasm-ld-19"]);
    fake.machine.active_sysroot = None;
    assert_eq!(fake.choice(), (Way::Debian, Some("bin/wasm-ld-19".to_owned())));
}

#[test]
fn linker_on_path_replaces_the_toolchain_linker() {
    let fake = Fake::new(&[CARGO, WASM_STD, "bin/wasm-ld"]);
    assert_eq!(fake.choice(), (Way::Rustup, Some("bin/wasm-ld".to_owned())));
}

#[test]
fn linker_set_in_the_environment_is_kept() {
    let mut fake = Fake::new(&[CARGO, WASM_STD]);
    fake.machine.linker_is_set = true;
    assert_eq!(fake.choice(), (Way::Rustup, None));
}

#[test]
fn each_way_can_be_forced() {
    let mut fake = Fake::new(&[CARGO, OWN_LLD, WASM_STD, RUST_SRC, DEBIAN[0], DEBIAN[1]]);
    for way in Way::ALL {
        fake.machine.forced = Some(way.name().to_owned());
        assert_eq!(fake.choice().0, way);
    }
}

#[test]
fn forced_way_has_no_fallback() {
    let mut fake = Fake::new(&[CARGO, OWN_LLD, WASM_STD]);
    fake.machine.forced = Some("rust-src".to_owned());
    let error = fake.error();
    assert!(error.contains("rust-src: the toolchain in"), "{error}");
    assert!(!error.contains("  debian:"), "{error}");
}

#[test]
fn an_unknown_way_is_refused_by_name() {
    let mut fake = Fake::new(&[]);
    fake.machine.forced = Some("brew".to_owned());
    assert!(fake.error().contains("`brew` is none of"));
}

#[test]
fn if_no_way_works_the_error_says_what_each_lacks_and_what_to_run() {
    let mut fake = Fake::new(&[CARGO, OWN_LLD]);
    fake.machine.debian_rustc = Some((1, 85));
    let error = fake.error();
    for part in [
        "rustup: the toolchain in",
        "has no target wasm32-unknown-unknown",
        "has no component rust-src",
        "is 1.85, and guests need 1.95 or newer",
        "\n  rustup target add wasm32-unknown-unknown\n",
        "\n  apt-get install rustc-web cargo-web rust-web-src lld-19 ",
        "\n  make setup",
    ] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn missing_debian_packages_are_named() {
    for (files, debian_rustc, package) in [
        (&[][..], None, "rustc-web"),
        (&[][..], Some((1, 96)), "cargo-web"),
        (&DEBIAN[..1], Some((1, 96)), "rust-web-src"),
        (&DEBIAN[..], Some((1, 96)), "lld-19"),
    ] {
        let mut fake = Fake::new(files);
        fake.machine.debian_rustc = debian_rustc;
        fake.machine.forced = Some("debian".to_owned());
        assert!(fake.error().contains(&format!("(package {package})")), "{}", fake.error());
    }
}

#[test]
fn the_version_of_rustc_is_read() {
    assert_eq!(
        parse_version("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
        Some((1, 96))
    );
    assert_eq!(parse_version("cargo 1.96.0"), None);
}

#[test]
fn environment_of_the_host_build_does_not_leak_into_cargo() {
    let command = clean_command(Path::new("cargo"), Path::new("."));
    let removed: Vec<_> =
        command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name.to_owned()).collect();
    for variable in LEAKING_VARIABLES {
        assert!(removed.iter().any(|name| name == variable), "{variable}");
    }
}
