//! `bulkhead new`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bulkhead_tools::scaffold::{Asked, MANIFEST_DEFAULT, Plan, plan};

use super::output::print;

/// Creates a service, and the application if there is none yet. It creates everything or nothing.
pub(super) fn run(name: String, manifest: PathBuf, bulkhead: Option<PathBuf>) -> anyhow::Result<()> {
    let plan = plan(&Asked { name, manifest: manifest.clone(), bulkhead })?;
    plan.carry_out()?;
    print(&text(&plan, &manifest))
}

/// A path as a user types it in the current folder.
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
    text + &commands(plan, manifest, &std::env::current_dir().unwrap_or_default())
}

/// The commands to run next, typed in the folder `here`.
fn commands(plan: &Plan, manifest: &Path, here: &Path) -> String {
    let Plan { name, workspace, .. } = plan;
    let named = if manifest == Path::new(MANIFEST_DEFAULT) {
        String::new()
    } else {
        format!(" --manifest {}", quoted(manifest))
    };
    // Tests run in their crates' folders. They find a manifest in a parent folder only if it has the default name.
    let variable = if manifest.file_name().is_some_and(|file| file == MANIFEST_DEFAULT) {
        String::new()
    } else {
        format!("BULKHEAD_MANIFEST={} ", quoted(&here.join(manifest)))
    };
    // The `Cargo.toml` that cargo uses.
    let nearest = here.ancestors().find(|above| above.join("Cargo.toml").is_file());
    let path = if nearest == Some(workspace.as_path()) {
        String::new()
    } else {
        let file = workspace.join("Cargo.toml");
        format!(" --manifest-path {}", quoted(file.strip_prefix(here).unwrap_or(&file)))
    };
    format!(
        "\nNow:\n  {variable}cargo test --release --workspace{path} --test {name}\n  bulkhead build{named} {name}\n  bulkhead up{named}\n"
    )
}

/// A path, quoted for a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn suggested_next_commands_work_in_the_current_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let root_shown = root.display().to_string();
        for file in ["a/Cargo.toml", "a/components/x/Cargo.toml"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        for (here, manifest, test, build) in [
            ("a", "bulkhead.toml", "cargo test --release --workspace --test x", "bulkhead build x"),
            (
                "a",
                "shop.toml",
                "BULKHEAD_MANIFEST={}/a/shop.toml cargo test --release --workspace --test x",
                "bulkhead build --manifest shop.toml x",
            ),
            (
                "",
                "a/bulkhead.toml",
                "cargo test --release --workspace --manifest-path a/Cargo.toml --test x",
                "bulkhead build --manifest a/bulkhead.toml x",
            ),
            (
                "a/components/x",
                "../../it's.toml",
                "BULKHEAD_MANIFEST='{}/a/components/x/../../it'\\''s.toml' cargo test --release --workspace --manifest-path {}/a/Cargo.toml --test x",
                "bulkhead build --manifest '../../it'\\''s.toml' x",
            ),
        ] {
            let plan = Plan { name: "x".to_owned(), workspace: root.join("a"), ..Plan::default() };
            let text = commands(&plan, Path::new(manifest), &root.join(here).canonicalize().unwrap());
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let test = test.replace("{}", &root_shown);
            assert_eq!(lines.get(2..4), Some(&[test.as_str(), build][..]), "{text}");
        }
    }
}
