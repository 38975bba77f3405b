//! Runs cargo for the guests of one workspace, and finds the core modules that it built.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::BuildError;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::{Package, Workspace};

/// cargo's variable for the flags of the target. Unlike `RUSTFLAGS`, it adds to the flags in `.cargo/config.toml`.
const FLAGS_VARIABLE: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";

/// The flags of every guest. `getrandom` gets its bytes from the guest SDK, which gets them from the host. A stack of 128 KiB instead of 1
/// MiB halves the cost of a fresh instance.
const GUEST_FLAGS: &str = r#"--cfg getrandom_backend="custom" -C link-arg=-zstack-size=131072"#;

/// A line of cargo's `--message-format=json`, with the members that are needed.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the packages in one run of cargo, whose own output goes to standard error. Returns each package's core module by its id.
pub(crate) fn compile(
    workspace: &Workspace,
    packages: &[&Package],
    toolchain: &Toolchain,
) -> Result<HashMap<String, PathBuf>, BuildError> {
    let names = || packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    // A separate folder: a build of the host that runs at the same time holds the lock of the other folder.
    let target_dir = workspace.target_dir.join("guest");
    let mut command = toolchain.cargo(&workspace.root);
    command
        .args(["build", "--lib", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .args(["--profile", workspace.profile()?])
        .arg("--target-dir")
        .arg(&target_dir)
        .env(FLAGS_VARIABLE, guest_flags(std::env::var(FLAGS_VARIABLE).ok().as_deref()))
        .stdout(Stdio::piped());
    for package in packages {
        command.args(["--package", &package.id]);
    }
    if toolchain.builds_std() {
        command.arg("-Zbuild-std=std,panic_abort");
    }

    let mut cargo = command.spawn().map_err(|error| BuildError::Cargo {
        packages: names(),
        reason: format!("cargo can't be started ({error})"),
    })?;
    // Read to the end before waiting: cargo blocks when the pipe is full.
    let modules = cargo.stdout.take().map(|stdout| modules(BufReader::new(stdout))).unwrap_or_default();
    let status = cargo.wait().map_err(|error| BuildError::Cargo {
        packages: names(),
        reason: format!("cargo was lost ({error})"),
    })?;
    if !status.success() {
        return Err(BuildError::Cargo {
            packages: names(),
            reason: format!("cargo ended with {status}; its messages are above"),
        });
    }
    Ok(modules)
}

/// The `.wasm` file of each package that cargo reports as built or fresh. Lines that are not messages are ignored: build scripts can't
/// print here, but a wrapper of cargo can.
fn modules(output: impl BufRead) -> HashMap<String, PathBuf> {
    let mut modules = HashMap::new();
    for line in output.lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        let Some(package) = message.package_id.filter(|_| message.reason == "compiler-artifact") else {
            continue;
        };
        if let Some(file) = message.filenames.into_iter().find(|file| is_wasm(file)) {
            modules.insert(package, file);
        }
    }
    modules
}

fn is_wasm(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "wasm")
}

fn guest_flags(existing: Option<&str>) -> String {
    match existing {
        Some(flags) if !flags.trim().is_empty() => format!("{flags} {GUEST_FLAGS}"),
        _ => GUEST_FLAGS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_cargo_messages() {
        let output = r#"not a message
{"reason":"compiler-artifact","package_id":"path+file:///p/sdk#0.1.0","filenames":["/t/libsdk.rlib"]}
{"reason":"build-script-executed","package_id":"path+file:///p/sdk#0.1.0"}
{"reason":"compiler-artifact","package_id":"path+file:///p/greeter#0.1.0","filenames":["/t/libgreeter.rlib","/t/greeter.wasm"]}
{"reason":"build-finished","success":true}
"#;
        let modules = modules(output.as_bytes());
        assert_eq!(modules.len(), 1);
        assert_eq!(modules["path+file:///p/greeter#0.1.0"], Path::new("/t/greeter.wasm"));
    }

    #[test]
    fn existing_flags_for_the_target_are_kept() {
        assert_eq!(guest_flags(None), GUEST_FLAGS);
        assert_eq!(guest_flags(Some("-C opt-level=z")), format!("-C opt-level=z {GUEST_FLAGS}"));
    }
}
