//! Files that are there whole, or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bulkhead_build::folder_of;

/// What is behind the name of a file until it is whole: one that a process leaves which was killed can go.
pub(super) const UNFINISHED: &str = "new";

/// Writes a file durably, in the place of the one that is there: whoever reads it finds the one or the other, whole. It is its owner's alone.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".");
    new.push(UNFINISHED);
    let new = PathBuf::from(new);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder_of(path))?.sync_all()
}
