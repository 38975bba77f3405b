//! Files that exist either whole or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bulkhead_build::folder_of;

/// The suffix of a file's name until the file is whole. A leftover of a killed process has this suffix and can be removed.
pub(super) const UNFINISHED: &str = "new";

/// Replaces a file durably. A reader finds either the old or the new content, whole. Only the owner can access the file.
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
