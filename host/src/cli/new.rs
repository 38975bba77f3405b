//! `bulkhead new`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::output::print;
use crate::scaffold::{Asked, Plan, plan};

/// Makes a service; and the application that it is the first of, where there is none. All of it, or nothing.
pub(super) fn run(name: String, manifest: PathBuf, bulkhead: Option<PathBuf>) -> anyhow::Result<()> {
    let plan = plan(&Asked { name, manifest: manifest.clone(), bulkhead })?;
    plan.carry_out()?;
    print(&text(&plan, &manifest))
}

/// A path as it is typed in the current folder.
fn from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or_else(|| path.strip_prefix(".").unwrap_or(path))
}

fn text(plan: &Plan, manifest: &Path) -> String {
    let mut text = String::new();
    let lists = [("made", &plan.made), ("changed", &plan.changed)];
    for (what, files) in lists {
        for (file, _) in files {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{what:8} {}", from_here(file).display());
        }
    }
    let named = if manifest == Path::new("bulkhead.toml") {
        String::new()
    } else {
        format!(" --manifest {}", manifest.display())
    };
    let Plan { name, .. } = plan;
    let _ = write!(
        text,
        "\nNow:\n  cargo test --release --workspace --test {name}\n  bulkhead build{named} {name}\n  bulkhead up{named}\n"
    );
    text
}
