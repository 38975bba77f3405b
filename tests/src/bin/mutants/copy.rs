//! A copy of the project's sources.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Larger files are data, of which nothing is built.
const BYTES_MAX: u64 = 1 << 20;

/// Copies what components are built from. Files keep their times, so that what was built of an earlier copy is still fresh.
pub(crate) fn sources(from: &Path, to: &Path) -> io::Result<()> {
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
            let changed = entry.metadata()?.modified()?;
            fs::copy(&path, &target)?;
            File::options().append(true).open(&target)?.set_modified(changed)?;
        }
    }
    Ok(())
}
