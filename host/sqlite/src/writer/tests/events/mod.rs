//! What services consume of each other's event logs: positions, parked events, timers, idempotency keys, replicas and digests.

mod digests;
mod idempotency;
mod inspector;
mod parked;
mod plans;
mod positions;
mod replica_dead_letters;
mod replica_fills;
mod replica_keys;
mod replica_rights;
mod replicas;
mod timers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{
    Cursor, Ended, InboxReader, Lease, NewEvent, OpenReaders as _, Settings, UnitOfWork, Value,
};
use bulkhead_types::Subject;

use super::{World, begin, durable, log, options, soon, ways_to_abort};
use crate::Database;
use crate::writer::tests::trace_id;

type Unit = dyn UnitOfWork<&'static str>;

impl World {
    /// Calls `run` in its own unit of work, makes it durable, and returns the result.
    fn commit<T>(&self, run: impl FnOnce(&mut Unit) -> T) -> T {
        let (mut lease, given) = self.keep(None, run);
        durable(lease.commit());
        given
    }

    /// Calls `run` in a unit of work that is kept, in a batch that stays open. Returns the result.
    fn keep<T>(
        &self,
        lease: Option<Box<dyn Lease<&'static str>>>,
        run: impl FnOnce(&mut Unit) -> T,
    ) -> (Box<dyn Lease<&'static str>>, T) {
        let mut unit = self.begin(lease);
        let given = run(&mut *unit);
        let (mut lease, ended) = unit.finish(true);
        assert!(matches!(ended, Ended::Kept { .. }), "{ended:?}");
        lease.push("kept");
        (lease, given)
    }

    /// Calls `run` in a unit of work that is rolled back, in a batch that is made durable. Returns the result.
    fn roll_back<T>(&self, run: impl FnOnce(&mut Unit) -> T) -> T {
        let mut unit = self.begin(None);
        let given = run(&mut *unit);
        let (mut lease, ended) = unit.finish(false);
        assert!(matches!(ended, Ended::RolledBack), "{ended:?}");
        durable(lease.commit());
        given
    }

    fn inbox(&self) -> Box<dyn InboxReader> {
        self.database.inbox().unwrap()
    }

    fn cursor(&self, producer: &str) -> Option<Cursor> {
        self.inbox().cursor(&producer.into()).unwrap()
    }

    /// The file as another host would open it after this one ended.
    fn reopened(self) -> Self {
        let Self { _folder, path, database, writer, notified, .. } = self;
        let storage = database.storage();
        drop((database, writer));
        let database = Database::open(Settings { path: path.clone(), storage }).unwrap();
        let options = options();
        let faults = options.faults.clone();
        let writer =
            crate::Writer::open(Arc::clone(&database), options, log::follow(&database, &notified)).unwrap();
        Self { _folder, path, database, writer, faults, notified }
    }

    /// Runs statements on the file as somebody would by hand.
    fn by_hand(&self, sql: &str) {
        rusqlite::Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    /// Reads one number as another process would.
    pub(super) fn number(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Aborts the open batch, with a unit of work that runs after those in it.
pub(super) fn abort(lease: Box<dyn Lease<&'static str>>, sql: &str) -> Box<dyn Lease<&'static str>> {
    let mut unit = begin(lease);
    unit.end_at(if sql.contains("i < 0") { Instant::now() } else { soon() });
    assert!(unit.execute(sql, &[]).is_err(), "{sql}");
    let (lease, ended) = unit.finish(true);
    let Ended::Aborted { neighbours, .. } = ended else { panic!("{sql}: {ended:?}") };
    assert!(!neighbours.is_empty(), "{sql}");
    lease
}

/// Each way to abort a batch that does not depend on how full the database is.
fn sure_ways_to_abort() -> impl Iterator<Item = &'static str> {
    ways_to_abort().into_iter().map(|(sql, _)| sql).filter(|sql| !sql.contains("100000"))
}

fn note(unit: &mut Unit, id: &str) {
    unit.execute("INSERT INTO note (id, body) VALUES (?1, 'b')", &[Value::Text(id.into())]).unwrap();
}

fn event<'e>(kind: &'e str, subject: &'e Subject, data: &'e str) -> NewEvent<'e> {
    NewEvent { id: "e", kind, subject, time: "now", trace_id: trace_id(1), data }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
