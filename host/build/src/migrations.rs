//! Migration files that a component lacks.
//!
//! A migration is a file of the crate that its code includes. If the code does not name a file, the compiler silently leaves it out, and
//! the error appears only when the service meets the old schema. So this module looks for the bytes of each file below `migrations` in the
//! built module.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a crate's migrations.
const FOLDER: &str = "migrations";
/// The folder in it for the reverse SQL.
const REVERSE: &str = "reverse";

/// The existing folders whose files decide the result of [`unnamed`].
pub(crate) fn folders(crate_dir: &Path) -> Vec<PathBuf> {
    let folder = crate_dir.join(FOLDER);
    let folders = [folder.join(REVERSE), folder];
    folders.into_iter().filter(|folder| folder.is_dir()).collect()
}

/// The SQL files of the crate's migrations that the module does not contain, in order of their paths.
pub(crate) fn unnamed(crate_dir: &Path, module: &[u8]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![crate_dir.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql")
                && !has(module, &fs::read(&path)?)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has(module: &[u8], text: &[u8]) -> bool {
    text.is_empty() || module.windows(text.len()).any(|window| window == text)
}

/// What to do about these files, one line for each.
pub(crate) fn remedies(files: &[PathBuf]) -> String {
    let remedy = |file: &PathBuf| {
        let below = file.iter().skip_while(|part| *part != FOLDER).collect::<PathBuf>();
        let is_reverse = below.parent().is_some_and(|folder| folder.ends_with(REVERSE));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let code = if is_reverse {
            format!(
                "give it to its migration as what undoes it: migration!(\"../{FOLDER}/{name}\", \"../{}\")",
                below.display()
            )
        } else {
            format!("add .migration(migration!(\"../{}\")) to the service", below.display())
        };
        format!("{}: {code}, or remove the file", file.display())
    };
    files.iter().map(remedy).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_missing_from_the_module_is_named_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let migrations = folder.path().join("migrations");
        fs::create_dir_all(migrations.join("reverse")).unwrap();
        for (file, text) in [
            ("V0001__create_note.sql", "CREATE TABLE note (a);\n"),
            ("V0002__add_b.sql", "ALTER TABLE note ADD COLUMN b;\n"),
            ("reverse/V0002__add_b.sql", "ALTER TABLE note DROP COLUMN b;\n"),
            ("README.md", "no migration"),
        ] {
            fs::write(migrations.join(file), text).unwrap();
        }
        let module = |sql: &str| unnamed(folder.path(), format!("\0asm..{sql}..").as_bytes()).unwrap();
        let all = "CREATE TABLE note (a);\nALTER TABLE note ADD COLUMN b;\nALTER TABLE note DROP COLUMN b;\n";
        assert!(module(all).is_empty());
        let left = module("CREATE TABLE note (a);\n");
        assert_eq!(left, ["V0002__add_b.sql", "reverse/V0002__add_b.sql"].map(|file| migrations.join(file)));
        let remedies = remedies(&left);
        for part in [
            "V0002__add_b.sql: add .migration(migration!(\"../migrations/V0002__add_b.sql\")) to the service",
            "migration!(\"../migrations/V0002__add_b.sql\", \"../migrations/reverse/V0002__add_b.sql\")",
        ] {
            assert!(remedies.contains(part), "{part:?} is not in {remedies}");
        }
        assert!(unnamed(&folder.path().join("none"), b"").unwrap().is_empty());
    }
}
