//! Encodes cargo's core module as a component in a file.

use std::fs;
use std::io;
use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::folder_of;

/// The prefix of the custom sections in which wit-bindgen stores the types of the interfaces.
const TYPES_SECTION: &str = "component-type";

/// Why a module can't be encoded as a component. Each message is a fragment that can follow "failed to encode FILE: ".
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The bytes can't be read as a module.
    #[error("it is not a WebAssembly module: {0}")]
    Malformed(String),

    /// The module has no interface types.
    #[error(
        "there is no wit-bindgen in it: depend on `bulkhead-sdk` (or on `wit-bindgen`, with the world \
         `bulkhead:service/service`) and export the service"
    )]
    NoInterfaces,

    /// The module and its interfaces do not match, or it imports something that is in no interface.
    #[error(
        "{0} (guests build for {target} with the wit-bindgen that Bulkhead's own guests use)",
        target = crate::toolchain::TARGET
    )]
    Encode(String),
}

/// Encodes a core module that was built with wit-bindgen as a component, and validates it.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    if !has_types(module)? {
        return Err(EncodeError::NoInterfaces);
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| EncodeError::Encode(format!("{error:#}")))
}

fn has_types(module: &[u8]) -> Result<bool, EncodeError> {
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| EncodeError::Malformed(error.to_string()))? {
            Payload::CustomSection(section) if section.name().starts_with(TYPES_SECTION) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Writes a file either whole or not at all. If it already has these bytes, it is not written, so that its modification time stays. Returns
/// whether it has changed.
pub(crate) fn write_if_changed(file: &Path, bytes: &[u8]) -> io::Result<bool> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    fs::create_dir_all(folder_of(file))?;
    let temporary = file.with_extension(format!("wasm.{}", std::process::id()));
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| true)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{CustomSection, Module};

    use super::*;

    #[test]
    fn module_without_wit_bindgen_is_reported_as_such() {
        let module = Module::new().finish();
        let error = encode(&module).unwrap_err();
        assert!(matches!(error, EncodeError::NoInterfaces), "{error}");
    }

    #[test]
    fn bytes_that_are_not_a_module_are_refused() {
        for bytes in [&b""[..], b"\0asm", b"not wasm at all"] {
            let error = encode(bytes).unwrap_err();
            assert!(matches!(error, EncodeError::Malformed(_)), "{error}");
        }
    }

    #[test]
    fn damaged_types_section_is_refused() {
        let mut module = Module::new();
        module.section(&CustomSection { name: "component-type:x".into(), data: (&[0, 1, 2]).into() });
        let error = encode(&module.finish()).unwrap_err();
        assert!(matches!(error, EncodeError::Encode(_)), "{error}");
    }

    #[test]
    fn unchanged_bytes_are_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("components/greeter.wasm");
        assert!(write_if_changed(&file, b"one").unwrap());
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        assert!(!write_if_changed(&file, b"one").unwrap());
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written);
        assert!(write_if_changed(&file, b"two").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("greeter.wasm");
        fs::create_dir(&file).unwrap();
        assert!(write_if_changed(&file, b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
