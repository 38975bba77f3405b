//! Finding a Rust toolchain that can build for `wasm32-unknown-unknown`.
//!
//! Three ways, tried in this order:
//!
//! 1. the active toolchain has the target (`rustup target add wasm32-unknown-unknown`, or a distribution's package);
//! 2. the active toolchain has the source of the standard library (`rustup component add rust-src`): cargo builds it;
//! 3. Debian's second toolchain (packages `rustc-web`, `cargo-web`, `rust-web-src`): cargo builds the standard library.
//!
//! Ways 2 and 3 use cargo's `-Zbuild-std`, which a stable cargo accepts with `RUSTC_BOOTSTRAP=1`. It downloads the few crates that the
//! standard library depends on.
//!
//! `Machine` holds what was read once about this machine. The choice depends only on it and on which files exist.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that components are built for. It has no WASI: a component can do only what its world imports.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The variable that forces one way: `rustup`, `rust-src` or `debian`.
pub const TOOLCHAIN_VARIABLE: &str = "BULKHEAD_GUEST_TOOLCHAIN";

/// The oldest rustc that builds guests: the `rust-version` of this workspace.
pub const RUSTC_MINIMUM: (u32, u32) = (1, 95);

/// How to get a toolchain if there is none.
const REMEDY: &str = "Any one of these gives one:\n  \
    rustup target add wasm32-unknown-unknown\n  \
    apt-get install rustc-web cargo-web rust-web-src lld-19   (Debian)\n  \
    make setup                                                (in the source tree of Bulkhead: tries both)";

/// Linkers to look for on PATH if the toolchain has none.
const LINKERS: [&str; 3] = ["rust-lld", "wasm-ld-19", "wasm-ld"];

/// cargo's and rustup's variable for the linker of the target.
const LINKER_VARIABLE: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER";

/// Variables that the calling process may have set for the host's own build. They must not reach the guests' build: flags for another
/// machine, wrappers for instrumentation, another compiler.
const LEAKING_VARIABLES: [&str; 9] = [
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
];

/// How guests are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With the active toolchain, which has the target.
    Rustup,
    /// With the active toolchain, and a standard library built from its `rust-src`.
    RustSrc,
    /// With Debian's `rustc-web`, and a standard library built from `rust-web-src`.
    Debian,
}

impl Way {
    /// All ways, in the order in which they are tried.
    const ALL: [Self; 3] = [Self::Rustup, Self::RustSrc, Self::Debian];

    /// The name in [`TOOLCHAIN_VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::RustSrc => "rust-src",
            Self::Debian => "debian",
        }
    }
}

/// A toolchain that can build guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    way: Way,
    cargo: PathBuf,
    /// The compiler, if it is not the one that `cargo` finds by itself.
    rustc: Option<PathBuf>,
    /// The linker, if the toolchain has none and the environment names none.
    linker: Option<PathBuf>,
    sysroot: PathBuf,
}

/// Why no toolchain was found. The message is a fragment that can follow "failed to ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToolchain {
    /// The variable has an unknown value.
    #[error(
        "read {TOOLCHAIN_VARIABLE}: `{value}` is none of `rustup`, `rust-src` and `debian`; unset it, or set one of them"
    )]
    UnknownWay {
        /// Its value.
        value: String,
    },

    /// Each way that was tried lacks something.
    #[error("find a Rust toolchain that builds for {TARGET}:\n{tried}\n{REMEDY}")]
    NothingWorks {
        /// One line for each way: what it lacks.
        tried: String,
    },
}

impl NoToolchain {
    /// What is missing: one line for each way that was tried.
    pub fn lack(&self) -> String {
        match self {
            Self::UnknownWay { value } => {
                format!("{TOOLCHAIN_VARIABLE} is `{value}`, and none of `rustup`, `rust-src` and `debian`")
            }
            Self::NothingWorks { tried } => format!("no toolchain builds for {TARGET}:\n{tried}"),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::UnknownWay { .. } => format!("unset {TOOLCHAIN_VARIABLE}, or set one of them"),
            Self::NothingWorks { .. } => REMEDY.to_owned(),
        }
    }
}

/// The parts of this machine that the choice depends on.
#[derive(Debug, Clone)]
struct Machine {
    /// The folders of PATH.
    path: Vec<PathBuf>,
    /// Where Debian's packages are installed: `/usr`.
    usr: PathBuf,
    /// The sysroot of the `rustc` on PATH, which may be rustup's. None if there is no such command or it fails.
    active_sysroot: Option<PathBuf>,
    /// The version of `usr`'s `bin/rustc`.
    debian_rustc: Option<(u32, u32)>,
    /// Whether the environment names a linker for the target.
    linker_is_set: bool,
    /// The value of [`TOOLCHAIN_VARIABLE`].
    forced: Option<String>,
}

impl Toolchain {
    /// Finds the toolchain for the guests of the workspace in this folder (rustup may choose a toolchain by folder).
    pub fn find(workspace: &Path) -> Result<Self, NoToolchain> {
        choose(&Machine::read(workspace))
    }

    /// The way that was chosen.
    pub fn way(&self) -> Way {
        self.way
    }

    /// One line for people: the way that was chosen.
    pub fn describe(&self) -> String {
        let sysroot = self.sysroot.display();
        let how = match self.way {
            Way::Rustup => format!("the toolchain in {sysroot}, which has the target {TARGET}"),
            Way::RustSrc => {
                format!("the toolchain in {sysroot}, with a standard library built from its rust-src")
            }
            Way::Debian => {
                format!(
                    "Debian's toolchain in {sysroot} (rustc-web), with a standard library built from rust-web-src"
                )
            }
        };
        match &self.linker {
            Some(linker) => format!("{how}, linked by {}", linker.display()),
            None => how,
        }
    }

    /// The version of its rustc in this folder (rustup may choose a toolchain by folder). None if rustc does not report it.
    pub fn rustc_version(&self, folder: &Path) -> Option<(u32, u32)> {
        let rustc = self.rustc.as_deref().unwrap_or(Path::new("rustc"));
        parse_version(&first_line(clean_command(rustc, folder).arg("--version"))?)
    }

    /// Whether cargo must build the standard library too.
    pub(crate) fn builds_std(&self) -> bool {
        self.way != Way::Rustup
    }

    /// cargo in this folder, with an environment without the variables of the calling process's own build.
    pub(crate) fn cargo(&self, folder: &Path) -> Command {
        let mut command = clean_command(&self.cargo, folder);
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if self.builds_std() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(linker) = &self.linker {
            command.env(LINKER_VARIABLE, linker);
        }
        command
    }
}

impl Machine {
    /// Reads the real machine, with at most two short processes.
    fn read(workspace: &Path) -> Self {
        let usr = PathBuf::from("/usr");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let active_sysroot =
            first_line(clean_command(Path::new("rustc"), workspace).args(["--print", "sysroot"]));
        let debian_rustc = usr.join("bin/rustc");
        let debian_rustc = if debian_rustc.is_file() {
            first_line(clean_command(&debian_rustc, workspace).arg("--version"))
        } else {
            None
        };
        Self {
            path: std::env::split_paths(&path).collect(),
            usr,
            active_sysroot: active_sysroot.map(PathBuf::from),
            debian_rustc: debian_rustc.as_deref().and_then(parse_version),
            linker_is_set: std::env::var_os(LINKER_VARIABLE).is_some(),
            forced: std::env::var_os(TOOLCHAIN_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(|value| value.to_string_lossy().into_owned()),
        }
    }

    fn on_path(&self, command: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(command)).find(|file| file.is_file())
    }
}

/// Chooses the first way that has everything it needs.
fn choose(machine: &Machine) -> Result<Toolchain, NoToolchain> {
    let ways: Vec<Way> = match &machine.forced {
        None => Way::ALL.to_vec(),
        Some(value) => match Way::ALL.into_iter().find(|way| way.name() == value) {
            Some(way) => vec![way],
            None => return Err(NoToolchain::UnknownWay { value: value.clone() }),
        },
    };
    let mut tried = Vec::new();
    for way in ways {
        let attempt = match way {
            Way::Rustup | Way::RustSrc => active(machine, way),
            Way::Debian => debian(machine),
        };
        match attempt {
            Ok(toolchain) => return Ok(toolchain),
            Err(lack) => tried.push(format!("  {}: {lack}", way.name())),
        }
    }
    Err(NoToolchain::NothingWorks { tried: tried.join("\n") })
}

/// The active toolchain, with the target or with the source of the standard library. The error is what is missing.
fn active(machine: &Machine, way: Way) -> Result<Toolchain, String> {
    let sysroot = machine.active_sysroot.as_deref().ok_or("there is no `rustc` on PATH that works")?;
    machine.on_path("cargo").ok_or("there is no `cargo` on PATH")?;
    let shown = sysroot.display();
    let (needed, what) = match way {
        Way::Rustup => (target_libraries(sysroot), format!("has no target {TARGET}")),
        Way::RustSrc | Way::Debian => (std_source(sysroot), "has no component rust-src".to_owned()),
    };
    if !needed.exists() {
        return Err(format!("the toolchain in {shown} {what}"));
    }
    let linker = linker(machine, sysroot)?;
    // Not the file that was found: PATH must find rustup's `cargo` again in the workspace's folder.
    Ok(Toolchain { way, cargo: PathBuf::from("cargo"), rustc: None, linker, sysroot: sysroot.to_owned() })
}

/// Debian's second toolchain. The error is what is missing.
fn debian(machine: &Machine) -> Result<Toolchain, String> {
    let usr = machine.usr.as_path();
    let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
    let (major, minor) =
        machine.debian_rustc.ok_or_else(|| format!("there is no {} (package rustc-web)", rustc.display()))?;
    if (major, minor) < RUSTC_MINIMUM {
        let (need_major, need_minor) = RUSTC_MINIMUM;
        return Err(format!(
            "{} is {major}.{minor}, and guests need {need_major}.{need_minor} or newer (package rustc-web)",
            rustc.display()
        ));
    }
    if !cargo.is_file() {
        return Err(format!("there is no {} (package cargo-web)", cargo.display()));
    }
    let source = std_source(usr);
    if !source.exists() {
        return Err(format!("there is no {} (package rust-web-src)", source.display()));
    }
    let linker = linker(machine, usr)?;
    Ok(Toolchain { way: Way::Debian, cargo, rustc: Some(rustc), linker, sysroot: usr.to_owned() })
}

/// The linker to name to cargo. None if the environment names one or the compiler finds one in its own sysroot.
fn linker(machine: &Machine, sysroot: &Path) -> Result<Option<PathBuf>, String> {
    if machine.linker_is_set || own_linker(sysroot).is_some() {
        return Ok(None);
    }
    machine
        .active_sysroot
        .as_deref()
        .and_then(own_linker)
        .or_else(|| LINKERS.iter().find_map(|name| machine.on_path(name)))
        .map(Some)
        .ok_or_else(|| "there is no linker `rust-lld` or `wasm-ld` (package lld-19)".to_owned())
}

/// The toolchain's own `rust-lld`, in the folder of its host machine type.
fn own_linker(sysroot: &Path) -> Option<PathBuf> {
    std::fs::read_dir(sysroot.join("lib/rustlib"))
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin/rust-lld"))
        .find(|file| file.is_file())
}

fn target_libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn std_source(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library/Cargo.toml")
}

/// A command in a folder, without the variables of the calling process's own build.
fn clean_command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    // Below cargo, RUSTUP_TOOLCHAIN is the toolchain of the host's build. Otherwise the user has set it on purpose.
    if std::env::var_os("CARGO").is_some() {
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    for variable in LEAKING_VARIABLES {
        command.env_remove(variable);
    }
    // cargo resolves a relative path in its own folder, which is not the caller's.
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        command.env("CARGO_TARGET_DIR", absolute(target));
    }
    command
}

fn absolute(path: OsString) -> PathBuf {
    std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(path))
}

/// The first line that a command prints. None if it can't be run, fails or prints nothing.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// `rustc 1.96.0 (…)` becomes 1.96.
fn parse_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests;
