//! The data folder: held by one host, and in it no file that two services share.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The file that the lock is on.
const LOCK_FILE: &str = "bulkhead.lock";

/// The folder, locked until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if there is none, and locks it.
    ///
    /// # Errors
    ///
    /// When it can't be made or written to, or another host holds it.
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

    /// Whether a host holds the folder now. Nothing is made; where there is no folder, or none was ever held, nobody does.
    ///
    /// To know it the lock is taken, and let go of with the next system call: a host that starts just then ([`DataFolder::lock`]) finds the
    /// folder held.
    ///
    /// # Errors
    ///
    /// When its lock can't be looked at.
    pub fn is_held(path: &Path) -> std::io::Result<bool> {
        let lock = match File::open(path.join(LOCK_FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        // Shared: of several who look at the same time each finds it free.
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

/// Which file a path leads to, whatever the path says: two paths to one file have the same identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The identity of the file at `path`, which is made, empty, when it is missing.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or made.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            // The log and its index get the same mode from SQLite.
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
    fn folder_is_held_while_its_lock_exists_and_a_look_makes_nothing() {
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
        // Nobody can know it of what is no folder.
        DataFolder::is_held(&path.join(LOCK_FILE)).unwrap_err();
    }
}
