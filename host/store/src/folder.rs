//! The data folder: one host holds it, and no two services share a file in it.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The lock is on this file.
const LOCK_FILE: &str = "bulkhead.lock";

/// The locked folder. The lock ends when this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if it does not exist, and locks it.
    ///
    /// # Errors
    ///
    /// When the folder can't be created or written to, or when another host holds it.
    pub fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |action, path: &Path, source| StoreError::File {
            action,
            path: path.to_owned(),
            source,
            remedy: "give a folder that this user may write to with --data",
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("make the data folder", path, error))?;
        let file = path.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&file)
            .map_err(|error| failed("write to the data folder by", &file, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::FolderHeld { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed("lock", &file, error)),
        }
    }

    /// Whether a host holds the folder now. Creates nothing. If the folder does not exist, or no host ever held it, the answer is false.
    ///
    /// The check takes the lock and releases it with the next system call. A host that starts at that moment ([`DataFolder::lock`]) finds
    /// the folder held.
    ///
    /// # Errors
    ///
    /// When the lock can't be checked.
    pub fn is_held(path: &Path) -> std::io::Result<bool> {
        let lock = match File::open(path.join(LOCK_FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        // A shared lock: several checks at the same time all find the folder free.
        match lock.try_lock_shared() {
            Ok(()) => lock.unlock().map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file that a path leads to, however the path is written: two paths to one file have the same identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The identity of the file at `path`. Creates an empty file if it is missing.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or created.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            // A database gives the files beside it the same mode.
            let file = File::options().create(true).write(true).truncate(false).mode(0o600).open(path)?;
            file.metadata()
        };
        let metadata = open().map_err(|source| StoreError::File {
            action: "open the database",
            path: path.to_owned(),
            source,
            remedy: "give a file that this user may write to, in `database` or with --data",
        })?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_held_while_its_lock_exists_and_a_check_creates_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        assert!(!DataFolder::is_held(&path).unwrap());
        assert!(!path.exists());
        let held = DataFolder::lock(&path).unwrap();
        assert!(DataFolder::is_held(&path).unwrap());
        assert!(matches!(DataFolder::lock(&path), Err(StoreError::FolderHeld { .. })));
        drop(held);
        assert!(!DataFolder::is_held(&path).unwrap());
        DataFolder::lock(&path).unwrap();
        // If the path is not a folder, the check fails.
        DataFolder::is_held(&path.join(LOCK_FILE)).unwrap_err();
    }
}
