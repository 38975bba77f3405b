//! A copy of the project's sources, for what changes them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Larger files are data, of which nothing is built.
const BYTES_MAX: u64 = 1 << 20;

/// Copies what is built. A new file keeps its time, so that what was built of the original is fresh; one that is there as it is to be is left
/// alone, so that what was built of the copy is; and one that was something else has changed now.
///
/// # Errors
///
/// When a file can't be read or written.
pub fn sources(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let (kind, target) = (entry.file_type()?, to.join(&name));
        if kind.is_dir() {
            let hidden = name.to_string_lossy().starts_with('.');
            if !hidden && name != "target" {
                sources(&path, &target)?;
            }
        } else if kind.is_file() && entry.metadata()?.len() <= BYTES_MAX {
            let (bytes, before) = (fs::read(&path)?, fs::read(&target));
            if before.as_ref().is_ok_and(|before| *before == bytes) {
                continue;
            }
            fs::write(&target, bytes)?;
            if before.is_err() {
                let changed = entry.metadata()?.modified()?;
                File::options().append(true).open(&target)?.set_modified(changed)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn file_changed_and_restored_in_a_copy_has_a_newer_modification_time() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        let time = |file: &Path| fs::metadata(file).unwrap().modified().unwrap();
        let (source, copy) = (from.join("a.rs"), to.join("a.rs"));
        fs::write(&source, "good").unwrap();
        let old = SystemTime::now() - Duration::from_secs(600);
        File::options().append(true).open(&source).unwrap().set_modified(old).unwrap();
        sources(&from, &to).unwrap();
        assert_eq!(time(&copy), time(&source), "what was built of the original is fresh");

        // A bug was put in and taken out, and what was built in between has the bug.
        fs::write(&copy, "good").unwrap();
        let put_back = time(&copy);
        sources(&from, &to).unwrap();
        assert_eq!(time(&copy), put_back);
        // The run ended before it was taken out.
        fs::write(&copy, "bad").unwrap();
        File::options().append(true).open(&copy).unwrap().set_modified(old).unwrap();
        sources(&from, &to).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"good");
        assert!(time(&copy) > old, "what was built of it is stale");
    }
}
