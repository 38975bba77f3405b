//! For tests: a disk on which the sync of a WAL fails when the test says so, after the frames were written.
//!
//! The files are those of SQLite's own VFS. Only one function of the WAL files is replaced. A failing sync syncs nothing. It keeps a copy
//! of the database and its WAL as they are at that moment: what would be on the disk if the machine failed then.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, Once};

use rusqlite::{Connection, ffi};

/// SQLite's own VFS.
static SYSTEM: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());
static STATE: Mutex<State> = Mutex::new(State { files: BTreeMap::new(), plans: BTreeMap::new() });

struct State {
    /// The open WALs. Key: the address of SQLite's file. Value: the file's original methods, and its path.
    files: BTreeMap<usize, (usize, PathBuf)>,
    /// For each WAL: how many of the next syncs fail, and the copies that were kept.
    plans: BTreeMap<PathBuf, (usize, Vec<PathBuf>)>,
}

/// The syncs of one database's WAL.
pub(crate) struct FailingSync {
    log: PathBuf,
}

impl FailingSync {
    /// The syncs of the database `path`. Call this before the database is opened.
    pub(crate) fn of(path: &Path) -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(register);
        Self { log: log_of(path) }
    }

    /// Makes the next `count` syncs fail, and no more.
    pub(crate) fn fail(&self, count: usize) {
        STATE.lock().unwrap().plans.entry(self.log.clone()).or_default().0 = count;
    }

    /// How many of the planned failures have not happened yet.
    pub(crate) fn left(&self) -> usize {
        STATE.lock().unwrap().plans.get(&self.log).map_or(0, |plan| plan.0)
    }

    /// The copy that was kept when a sync failed the last time.
    pub(crate) fn copy_at_failure(&self) -> PathBuf {
        STATE.lock().unwrap().plans[&self.log].1.last().expect("a sync failed").clone()
    }
}

/// Copies a database and its WAL, without the index: what remains after a crash. The copy's folder is next to the database.
pub(crate) fn crashed(path: &Path) -> PathBuf {
    let folder = tempfile::Builder::new().disable_cleanup(true).tempdir_in(path.parent().unwrap()).unwrap();
    let copy = folder.path().join("a.db");
    fs::copy(path, &copy).unwrap();
    if log_of(path).exists() {
        fs::copy(log_of(path), log_of(&copy)).unwrap();
    }
    copy
}

/// Runs a query with one column on a database that nobody has open, and returns that column as text.
pub(crate) fn read(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn register() {
    // SAFETY: SQLite's own VFS lives as long as the process, and the registered copy of it is never freed. The copied functions get the VFS
    // that they belong to as an argument. Of it they use only `pAppData`, which is copied.
    unsafe {
        let system = ffi::sqlite3_vfs_find(null());
        SYSTEM.store(system, Ordering::Release);
        let failing = ffi::sqlite3_vfs {
            pNext: std::ptr::null_mut(),
            zName: c"failing-sync".as_ptr(),
            xOpen: Some(open),
            ..*system
        };
        let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(failing)), 1);
        assert_eq!(registered, ffi::SQLITE_OK);
    }
}

/// Opens a file with SQLite's own VFS. A WAL file gets [`sync`].
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = SYSTEM.load(Ordering::Acquire);
    // SAFETY: the arguments are SQLite's, which keeps them valid for the call; the replaced methods are never freed.
    unsafe {
        let opened = (*system).xOpen.expect("a system opens files")(system, name, file, flags, out);
        if opened == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_WAL != 0 {
            let methods = (*file).pMethods;
            let path = PathBuf::from(CStr::from_ptr(name).to_str().unwrap());
            STATE.lock().unwrap().files.insert(file as usize, (methods as usize, path));
            (*file).pMethods = Box::leak(Box::new(ffi::sqlite3_io_methods { xSync: Some(sync), ..*methods }));
        }
        opened
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let mut state = STATE.lock().unwrap();
    let (methods, log) = state.files[&(file as usize)].clone();
    let (left, copies) = state.plans.entry(log.clone()).or_default();
    if *left > 0 {
        *left -= 1;
        let database = log.to_str().unwrap().strip_suffix("-wal").unwrap();
        copies.push(crashed(Path::new(database)));
        return ffi::SQLITE_IOERR_FSYNC;
    }
    drop(state);
    // SAFETY: these methods came with this file, and they are SQLite's own.
    unsafe { (*(methods as *const ffi::sqlite3_io_methods)).xSync.expect("files are synced")(file, flags) }
}
