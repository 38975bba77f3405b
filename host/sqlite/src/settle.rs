//! Finds out what became of a failed COMMIT, and makes it final before anybody gets an answer.
//!
//! In WAL mode COMMIT appends frames to the WAL and syncs the file. The last frame has a commit mark. If the sync fails, SQLite reports a
//! failure and leaves the frames out of the index that all connections share, so nobody sees them. But they are in the file. After a crash
//! the index is rebuilt from the file, and the frames are valid: their salts and checksums fit
//! (<https://sqlite.org/fileformat2.html#walformat>). So a commit that "failed" is back after the crash.
//!
//! Only a later commit that succeeds rules that out. It begins where the frames of the failed one begin, or in a WAL with new salts:
//!
//! - Its last frame has the commit mark. At that place the failed commit has a frame without a mark, or its own last frame, or none.
//! - The checksum of a frame continues from that of the frame before. So the frames of the failed commit after the new mark no longer fit
//!   the chain, and recovery ends at the new mark.
//! - COMMIT returned after the sync: the new frames are on the disk.
//!
//! If the frames *are* visible (the index was rebuilt meanwhile), the WAL is first written over itself. The reason: after a failed sync
//! Linux counts the pages as clean, and a later sync, which succeeds, does not write them. Then later commits would build on frames that
//! are not on the disk.
//!
//! So after a failed COMMIT the only writer opens the database again, looks for what was written, and calls [`make_final`]. Until that
//! succeeds, the outcome is unknown.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use bulkhead_store::Seen;
use rusqlite::{Connection, ErrorCode};

use crate::Database;
use crate::error::sqlite_message;

/// How often to try to read a database after a failed COMMIT.
const LOOKS: u32 = 20;
/// The time between two tries.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Bytes that are read and written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Whether a COMMIT that failed with `error` has written no commit mark. This is so if the disk was full before the last frame, which has
/// the mark, was complete. Every other error may have come after it.
pub(crate) fn wrote_no_mark(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// In the open transaction, writes a mark that no other transaction has, and returns it.
pub(crate) fn mark(connection: &Connection) -> rusqlite::Result<i64> {
    connection.execute("/*bulkhead*/UPDATE _bulkhead_meta SET settled = random()", [])?;
    last_mark(connection)
}

/// The last mark that is in the database.
pub(crate) fn last_mark(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("/*bulkhead*/SELECT settled FROM _bulkhead_meta", [], |row| row.get(0))
}

/// Makes it final that the database contains what a failed COMMIT wrote (`is_there`), or does not contain it. `connection` was opened after
/// the COMMIT failed. Nobody else writes to the database, which is the file `path`.
///
/// # Errors
///
/// Why the outcome is not final. After a crash the database may contain the commit or not.
pub(crate) fn make_final(connection: &Connection, path: &Path, is_there: bool) -> Result<(), String> {
    if is_there {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        write_over(Path::new(&log)).map_err(|error| format!("write the write-ahead log again: {error}"))?;
    }
    // An explicit transaction: if a statement commits by itself, a failure of that commit may come when the statement is reset, and is then
    // not reported.
    let commit = || {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        mark(connection)?;
        connection.execute_batch("COMMIT")
    };
    commit().map_err(|error| format!("the commit after it: {}", sqlite_message(&error)))
}

/// What became of a transaction whose COMMIT failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is in the database, and this is final.
    There,
    /// It is not in the database, and this is final.
    Undone,
    /// Its outcome is not final: this is what the database has now.
    Unknown(Seen),
}

/// What became of the transaction with this mark, whose COMMIT on `connection` failed. The caller must be the only one who uses the
/// database.
pub(crate) fn of_marked(
    database: &Database,
    connection: &Connection,
    mark: i64,
    failed: &rusqlite::Error,
) -> Settled {
    let reason = sqlite_message(failed);
    // An open transaction is not in the database, and must not block what follows.
    let is_over = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
    if is_over && wrote_no_mark(failed) {
        return Settled::Undone;
    }
    let look = || {
        let opened = database.open_writer().ok()?;
        let last = last_mark(&opened.connection).ok()?;
        Some((opened, last == mark))
    };
    let mut looks = (0..LOOKS).map(|place| {
        std::thread::sleep(if place == 0 { Duration::ZERO } else { BETWEEN_LOOKS });
        look()
    });
    let Some((opened, is_there)) = looks.find_map(|found| found) else {
        tracing::error!(reason, "a commit failed, and the database can't be read");
        return Settled::Unknown(Seen::Unreadable);
    };
    match make_final(&opened.connection, database.path(), is_there) {
        Err(error) => {
            tracing::error!(reason, error, is_there, "a commit failed, and what became of it is unknown");
            Settled::Unknown(if is_there { Seen::New } else { Seen::Before })
        }
        Ok(()) => {
            tracing::warn!(reason, durable = is_there, "a commit failed");
            if is_there { Settled::There } else { Settled::Undone }
        }
    }
}

/// Writes a file over itself, and syncs it.
fn write_over(path: &Path) -> io::Result<()> {
    let file = match File::options().read(true).write(true).open(path) {
        // The last connection that was closed has moved the whole WAL into the database.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut chunk, offset)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all_at(chunk.get(..read).unwrap_or_default(), offset)?;
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::SystemTime;

    use bulkhead_store::Settings;
    use rusqlite::ffi;
    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

    use super::*;

    fn database(folder: &Path) -> Arc<Database> {
        Database::open(Settings { path: folder.join("a.db"), storage: 1 << 30 }).unwrap()
    }

    /// A visible commit's WAL may rest on pages that are not on the disk, so it is written again. The WAL of a commit that is not visible
    /// stays as it is.
    #[test]
    fn wal_is_written_again_only_if_the_commit_is_visible() {
        let folder = tempfile::tempdir().unwrap();
        let connection = database(folder.path()).open_writer().unwrap().connection;
        // A separate database: the later commit writes to the real WAL in any case.
        let (path, log) = (folder.path().join("b.db"), folder.path().join("b.db-wal"));
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 5000).map(|place| (place % 251) as u8).collect();
        fs::write(&log, &bytes).unwrap();
        for is_there in [false, true] {
            let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            File::options().write(true).open(&log).unwrap().set_modified(long_ago).unwrap();
            let before = last_mark(&connection).unwrap();
            make_final(&connection, &path, is_there).unwrap();
            assert_ne!(last_mark(&connection).unwrap(), before);
            let modified = fs::metadata(&log).unwrap().modified().unwrap();
            assert_eq!(modified != long_ago, is_there);
            assert_eq!(fs::read(&log).unwrap(), bytes);
        }
    }

    /// A later commit makes every outcome final. The exception is a commit that can't have written its mark: it needs no later commit.
    #[test]
    fn commit_that_failed_on_a_full_disk_is_undone_without_another_commit() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path());
        for (code, can_be_ended, has_another) in [
            (ffi::SQLITE_FULL, true, false),
            (ffi::SQLITE_IOERR, true, true),
            // The transaction that is still open may yet be committed.
            (ffi::SQLITE_FULL, false, true),
        ] {
            let mut connection = database.open_writer().unwrap().connection;
            connection.execute_batch("BEGIN").unwrap();
            let before = last_mark(&connection).unwrap();
            if !can_be_ended {
                let refuse = |context: AuthContext<'_>| match context.action {
                    AuthAction::Transaction { .. } => Authorization::Deny,
                    _ => Authorization::Allow,
                };
                connection.authorizer(Some(refuse)).unwrap();
            }
            let failed = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let settled = of_marked(&database, &connection, before.wrapping_add(1), &failed);
            assert_eq!(settled, Settled::Undone, "{code} {can_be_ended}");
            let last = last_mark(&database.open_reader().unwrap().connection).unwrap();
            assert_eq!(last != before, has_another, "{code} {can_be_ended}");
        }
    }

    /// The last connection that is closed removes the WAL: its whole content is in the database then.
    #[test]
    fn missing_wal_needs_no_rewrite_and_a_wal_that_cannot_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write_over(&folder.path().join("gone")).unwrap();
        write_over(folder.path()).unwrap_err();
    }
}
