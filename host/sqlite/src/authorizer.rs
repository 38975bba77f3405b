//! What a statement may do. SQLite asks the authorizer while it prepares each statement.
//!
//! The authorizer is set once per connection, because setting it expires every prepared statement. A mode says who is asking. The mode is
//! set around prepare *and* step, because SQLite prepares a statement again inside step when the schema has changed.
//!
//! FTS5 prepares its own statements on its shadow tables, under the mode of the statement that it serves. `SQLITE_DBCONFIG_DEFENSIVE`
//! guards those tables, so they need no rule here. The one pragma that FTS5 uses, `data_version`, does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use bulkhead_types::HOST_TABLE_PREFIX;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ffi};

use crate::limits::SQLITE_MEMORY_MAX;
use crate::replica_names::replica_names;

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// The host itself: everything.
    Host = 0,
    /// A handler: rows of the service's own tables.
    Handler = 1,
    /// A migration: the schema as well.
    Migration = 2,
}

/// Forbidden functions: a replay could not repeat their result, or they reveal a neighbour in the same batch, or they reach outside.
const FORBIDDEN_FUNCTIONS: [&str; 17] = [
    "random",
    "randomblob",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "timediff",
    "current_date",
    "current_time",
    "current_timestamp",
    "load_extension",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "fts3_tokenizer",
];

/// Pragmas that read the schema (also as table-valued functions), and the one that FTS5 uses.
const ALLOWED_PRAGMAS: [&str; 6] =
    ["data_version", "table_info", "table_xinfo", "index_list", "index_info", "foreign_key_list"];

/// What the authorizer and the progress handler of one connection read, and what they report.
pub(crate) struct Guard {
    mode: AtomicU8,
    /// Nanoseconds after `epoch` at which a running statement is interrupted; `u64::MAX` for never.
    deadline: AtomicU64,
    epoch: Instant,
    denied: Mutex<Option<String>>,
    /// The names, in lower case, of the tables that only a trigger may write to.
    search_tables: RwLock<HashSet<String>>,
    /// The names, in lower case, of the replicas: the host alone writes to them.
    replicas: RwLock<HashSet<String>>,
    /// Statements with a deadline are interrupted as soon as this is set.
    stop: OnceLock<Arc<AtomicBool>>,
}

/// SQLite virtual machine steps between two checks of the clock: tens of microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

impl Guard {
    /// Installs a guard on `connection`, in the host's mode and without a deadline.
    pub(crate) fn install(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let guard = Arc::new(Self {
            mode: AtomicU8::new(Mode::Host as u8),
            deadline: AtomicU64::new(u64::MAX),
            epoch: Instant::now(),
            denied: Mutex::default(),
            search_tables: RwLock::default(),
            replicas: RwLock::default(),
            stop: OnceLock::new(),
        });
        let asked = Arc::clone(&guard);
        connection.authorizer(Some(move |context: AuthContext<'_>| asked.authorize(&context)))?;
        let asked = Arc::clone(&guard);
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || asked.is_over()))?;
        Ok(guard)
    }

    /// Until the returned value is dropped, statements run in `mode` and end at `deadline`.
    pub(crate) fn enter(&self, mode: Mode, deadline: Option<Instant>) -> Entered<'_> {
        if let Some(deadline) = deadline {
            let nanoseconds = deadline.saturating_duration_since(self.epoch).as_nanos();
            self.deadline.store(u64::try_from(nanoseconds).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        // A refusal that is left from an earlier statement must not be reported for this one.
        drop(self.take_denied());
        self.mode.store(mode as u8, Ordering::Relaxed);
        Entered(self)
    }

    /// Interrupts statements with a deadline as soon as `stop` is set.
    pub(crate) fn end_when(&self, stop: &Arc<AtomicBool>) {
        let _ = self.stop.set(Arc::clone(stop));
    }

    /// Until the returned value is dropped, statements run in the host's mode. Then the mode from before is restored.
    pub(crate) fn pause(&self) -> Paused<'_> {
        Paused { guard: self, mode: self.mode.swap(Mode::Host as u8, Ordering::Relaxed) }
    }

    /// Returns what the authorizer refused since the last call, and clears it.
    pub(crate) fn take_denied(&self) -> Option<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Learns which tables are virtual tables (FTS5 or rtree) and which are replicas. Call this whenever the schema may have changed.
    pub(crate) fn learn_tables(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT lower(name) FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'",
        )?;
        let names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        *self.search_tables.write().unwrap_or_else(PoisonError::into_inner) = names;
        let replicas = replica_names(connection)?.into_iter().collect();
        *self.replicas.write().unwrap_or_else(PoisonError::into_inner) = replicas;
        Ok(())
    }

    /// Whether a guest's statement must end: its deadline has passed, the host is stopping it, or SQLite uses more memory than it should.
    fn is_over(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == u64::MAX {
            return false;
        }
        // SAFETY: the call takes nothing, and SQLite makes it safe from any thread.
        let memory = unsafe { ffi::sqlite3_memory_used() };
        memory > SQLITE_MEMORY_MAX
            || self.stop.get().is_some_and(|stop| stop.load(Ordering::Relaxed))
            || self.epoch.elapsed().as_nanos() >= u128::from(deadline)
    }

    fn is_replica(&self, table: &str) -> bool {
        let replicas = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        !replicas.is_empty() && replicas.contains(&table.to_ascii_lowercase())
    }

    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        let mode = self.mode.load(Ordering::Relaxed);
        let refused = if mode == Mode::Host as u8 {
            None
        } else if let Some(name) = changed_table(&context.action).filter(|name| self.is_replica(name)) {
            Some(format!("table {name} is a replica: its owner's events alone change it"))
        } else if mode == Mode::Migration as u8 {
            refuse_in_migration(&context.action)
        } else {
            let written = |table: &str| {
                context.accessor.is_none()
                    && self
                        .search_tables
                        .read()
                        .unwrap_or_else(PoisonError::into_inner)
                        .contains(&table.to_ascii_lowercase())
            };
            refuse_in_handler(&context.action, written)
        };
        match refused {
            None => Authorization::Allow,
            Some(reason) => {
                *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                Authorization::Deny
            }
        }
    }
}

/// See [`Guard::enter`].
pub(crate) struct Entered<'g>(&'g Guard);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.mode.store(Mode::Host as u8, Ordering::Relaxed);
        self.0.deadline.store(u64::MAX, Ordering::Relaxed);
    }
}

/// See [`Guard::pause`].
pub(crate) struct Paused<'g> {
    guard: &'g Guard,
    mode: u8,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.guard.mode.store(self.mode, Ordering::Relaxed);
    }
}

pub(crate) fn is_host_table(name: &str) -> bool {
    name.get(..HOST_TABLE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HOST_TABLE_PREFIX))
}

fn contains(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(name))
}

/// The table whose rows or schema an action changes.
fn changed_table<'a>(action: &AuthAction<'a>) -> Option<&'a str> {
    match action {
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. } => Some(table_name),
        _ => None,
    }
}

/// The rules that handlers and migrations share: names, functions and pragmas.
fn refuse_always(action: &AuthAction<'_>) -> Option<String> {
    match action {
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
            if is_host_table(table_name) =>
        {
            Some(format!("table {table_name} is the host's"))
        }
        // `dbstat` walks whole trees in one step, and reveals the host's tables.
        AuthAction::Read { table_name, .. } if table_name.eq_ignore_ascii_case("dbstat") => {
            Some("table dbstat is not to be had".into())
        }
        AuthAction::Function { function_name } if contains(&FORBIDDEN_FUNCTIONS, function_name) => {
            Some(format!(
                "function {function_name} is not to be had: time and randomness come from the host, by its clock and random \
             interfaces"
            ))
        }
        // The pragmas on the list only read, also with a value: none of them can be set.
        AuthAction::Pragma { pragma_name, .. } => {
            (!contains(&ALLOWED_PRAGMAS, pragma_name)).then(|| format!("PRAGMA {pragma_name} is the host's"))
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Some("transactions are the host's: a unit of work commits when the handler has returned".into())
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Some("ATTACH is not to be had: a service has one database".into())
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => Some("temporary objects would outlive the handler".into()),
        AuthAction::Unknown { code, .. } => {
            Some(format!("action {code} of SQLite's is not known to the host"))
        }
        _ => None,
    }
}

fn refuse_in_handler(action: &AuthAction<'_>, is_search_table: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(reason) = refuse_always(action) {
        return Some(reason);
    }
    match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Pragma { .. }
        | AuthAction::Recursive => None,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => {
            if is_search_table(table_name) {
                return Some(format!(
                    "table {table_name} is a search index: let triggers on the table that it indexes write to it"
                ));
            }
            // `sqlite_sequence` and the schema itself.
            table_name
                .starts_with("sqlite_")
                .then(|| format!("table {table_name} is SQLite's: the schema changes by migrations alone"))
        }
        _ => Some("the schema changes by migrations alone".into()),
    }
}

fn refuse_in_migration(action: &AuthAction<'_>) -> Option<String> {
    // SQLite itself runs this pragma when a column is added to a table that has rows and is STRICT or has a CHECK.
    if matches!(action, AuthAction::Pragma { pragma_name, .. } if pragma_name.eq_ignore_ascii_case("quick_check"))
    {
        return None;
    }
    if let Some(reason) = refuse_always(action) {
        return Some(reason);
    }
    match action {
        AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::Analyze { table_name }
            if is_host_table(table_name) =>
        {
            Some(format!("names that begin with {HOST_TABLE_PREFIX} are the host's"))
        }
        AuthAction::CreateView { view_name: name } | AuthAction::CreateVtable { table_name: name, .. }
            if is_host_table(name) =>
        {
            Some(format!("names that begin with {HOST_TABLE_PREFIX} are the host's"))
        }
        AuthAction::CreateVtable { module_name, .. }
            if !contains(&["fts5", "fts5vocab", "rtree"], module_name) =>
        {
            Some(format!(
                "virtual tables of module {module_name} are not to be had; there are fts5 and rtree"
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_store::Settings;

    use crate::Database;
    use crate::authorizer::Mode;

    #[test]
    fn guest_mode_resumes_after_a_pause_for_host_statements() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("a.db"), storage: 1 << 30 };
        let opened = Database::open(settings).unwrap().open_reader().unwrap();
        let may_read = || opened.connection.prepare("SELECT id FROM _bulkhead_meta").is_ok();
        assert!(may_read());
        let entered = opened.guard.enter(Mode::Handler, None);
        assert!(!may_read());
        let paused = opened.guard.pause();
        assert!(may_read());
        drop(paused);
        assert!(!may_read());
        drop(entered);
        assert!(may_read());
    }
}
