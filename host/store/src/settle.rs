//! What became of a COMMIT that failed, made final before anybody is told.
//!
//! In WAL mode COMMIT appends frames to the write-ahead log, the last of them with a commit mark, and syncs the file. Where the sync fails,
//! SQLite reports a failure and leaves the frames out of the index that all connections share: nobody sees them. But they are in the file.
//! After a crash the index is rebuilt from the file, and the frames are valid: their salts and checksums fit
//! (<https://sqlite.org/fileformat2.html#walformat>). So a commit that "failed" is back after the crash.
//!
//! Only a later commit that succeeds rules that out. It begins where the frames of the failed one begin, or in a log with new salts:
//!
//! - Its last frame has the commit mark. The failed commit has at that place a frame without one, or its own last frame, or none.
//! - The checksum of a frame goes on from that of the frame before. So what the failed commit has left behind the new mark no longer fits
//!   the chain, and recovery ends at the new mark.
//! - COMMIT returned after the sync: the new frames are on the disk.
//!
//! Where the frames *are* seen (the index was rebuilt meanwhile), the log is written over itself first: after a failed sync Linux counts the
//! pages as clean, and a later sync, which succeeds, does not write them. Then later commits would stand on frames that are not on the disk.
//!
//! So whoever meets a failed COMMIT, and is the only one who writes, opens the database again, looks for what was written, and calls
//! [`make_final`]. Until that succeeds, the outcome is unknown.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::error::sqlite_message;

/// Bytes that are read and written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Whether a COMMIT that failed with `error` has written no commit mark: the disk was full before the last frame, which has the mark, was
/// whole. Every other error may have come after it.
pub(crate) fn wrote_no_mark(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Writes a mark that no other transaction has, in the open transaction, and gives it.
pub(crate) fn mark(connection: &Connection) -> rusqlite::Result<i64> {
    connection.execute("/*bulkhead*/UPDATE _bulkhead_meta SET settled = random()", [])?;
    last_mark(connection)
}

/// The last mark that is in the database.
pub(crate) fn last_mark(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("/*bulkhead*/SELECT settled FROM _bulkhead_meta", [], |row| row.get(0))
}

/// Makes final that what a failed COMMIT wrote is in the database (`is_there`), or is not. `connection` was opened after the COMMIT failed,
/// and nobody else writes to the database, which is the file `path`.
///
/// # Errors
///
/// Why it is not final. The database may have it after a crash, or not.
pub(crate) fn make_final(connection: &Connection, path: &Path, is_there: bool) -> Result<(), String> {
    if is_there {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        write_over(Path::new(&log)).map_err(|error| format!("write the write-ahead log again: {error}"))?;
    }
    // By hand: where a statement commits by itself, a failure of that may come when it is reset, and not be told.
    let commit = || {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        mark(connection)?;
        connection.execute_batch("COMMIT")
    };
    commit().map_err(|error| format!("the commit after it: {}", sqlite_message(&error)))
}

/// Writes a file over itself, and syncs it.
fn write_over(path: &Path) -> io::Result<()> {
    let file = match File::options().read(true).write(true).open(path) {
        // The last connection to be closed has moved all of it into the database.
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
