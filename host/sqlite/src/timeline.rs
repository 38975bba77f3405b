//! The time by which a database measures delays and ages: when a timer is due, when a parked event is tried again, how old the answer of an
//! idempotency key is.
//!
//! The wall clock can't measure a delay: it is set by hand, by NTP after a boot without a battery, or by a machine that was suspended. This
//! time starts at the wall clock's time. From then on:
//!
//! - While the database is open, this time moves with the operating system's clock that nobody sets. That clock counts the time of a
//!   suspended machine too. A step of the wall clock, forward or back, has no effect.
//! - Over a restart, this time moves by as much as the wall clock has moved since it was recorded, and never back. Every batch records both
//!   times, and so does the host when it sees that the wall clock was set. So after a restart at most the full delay remains, whatever the
//!   wall clock was when the delay began. A timer fires early only if the wall clock was set forward while nothing ran. Nobody can tell
//!   that from a long pause.
//!
//! Invariant: the time in a row is this time, read before the commit of the unit of work that writes the row. The row's batch records a
//! time that is not earlier.
//!
//! People and guests see the wall clock's time: see [`bulkhead_store::Database::wall_time_of`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bulkhead_types::Clock;
use rusqlite::Connection;

/// The wall clock may differ from what was recorded by this many milliseconds before the time is recorded again.
const STEP_MS: i64 = 1000;

pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    /// This time when the database was opened.
    began: Duration,
    /// The clock that nobody sets, at that moment.
    began_at: Duration,
    /// How far this time is ahead of the wall clock, as recorded last, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Timeline {
    /// Continues from the recorded time.
    pub(crate) fn of(connection: &Connection, clock: Arc<dyn Clock>) -> rusqlite::Result<Self> {
        let (time, wall): (i64, i64) =
            connection.query_row("SELECT time_ms, wall_ms FROM _bulkhead_meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (now, began_at) = (clock.now(), clock.steady());
        let began = match time {
            // No time was recorded yet.
            0 => now,
            time => {
                let moved = now.saturating_sub(Duration::from_millis(wall.unsigned_abs()));
                Duration::from_millis(time.unsigned_abs()) + moved
            }
        };
        let ahead_ms = AtomicI64::new(time - wall);
        Ok(Self { clock, began, began_at, ahead_ms })
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn now(&self) -> Duration {
        self.began + self.clock.steady().saturating_sub(self.began_at)
    }

    /// The wall clock's time when this time is `time`, as far as is known now.
    pub(crate) fn wall_time_of(&self, time: Duration) -> Duration {
        let (now, wall) = (self.now(), self.clock.now());
        if time >= now { wall + (time - now) } else { wall.saturating_sub(now - time) }
    }

    /// The row to record: this time and the wall clock's, in milliseconds.
    pub(crate) fn row(&self) -> (i64, i64) {
        (milliseconds(self.now()), milliseconds(self.clock.now()))
    }

    /// The row was recorded.
    pub(crate) fn was_written(&self, (time, wall): (i64, i64)) {
        self.ahead_ms.store(time - wall, Ordering::Relaxed);
    }

    /// Whether the wall clock was set since then.
    pub(crate) fn was_set(&self) -> bool {
        let (time, wall) = self.row();
        (time - wall).abs_diff(self.ahead_ms.load(Ordering::Relaxed)) > STEP_MS.unsigned_abs()
    }
}

/// Records the time, in the open transaction.
pub(crate) fn write(connection: &Connection, (time, wall): (i64, i64)) -> rusqlite::Result<()> {
    connection
        .prepare_cached("/*bulkhead*/UPDATE _bulkhead_meta SET time_ms = ?1, wall_ms = ?2 WHERE id = 1")?
        .execute([time, wall])
        .map(drop)
}

pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::time::Instant;

    use bulkhead_store::{Database as _, Ended, Settings, Writer as _, WriterOptions};
    use bulkhead_types::Clock;

    use super::*;
    use crate::Database;
    use crate::failing_sync::FailingSync;

    const HOUR: Duration = Duration::from_secs(3600);
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    const MINUTES: Duration = Duration::from_secs(15 * 60);

    /// A clock that a test sets and moves forward.
    #[derive(Default)]
    struct Hands(Mutex<(Duration, Duration)>);

    impl Hands {
        fn set(&self, wall: Duration) {
            self.0.lock().unwrap().0 = wall;
        }

        fn pass(&self, time: Duration) {
            let mut times = self.0.lock().unwrap();
            times.0 += time;
            times.1 += time;
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn steady(&self) -> Duration {
            self.0.lock().unwrap().1
        }
    }

    struct Stage {
        folder: tempfile::TempDir,
        clock: Arc<Hands>,
    }

    impl Stage {
        fn new() -> Self {
            let clock = Arc::new(Hands::default());
            clock.set(100 * WEEK);
            Self { folder: tempfile::tempdir().unwrap(), clock }
        }

        /// Opens the database as a host does that has just started.
        fn open(&self) -> Arc<Database> {
            let settings = Settings { path: self.folder.path().join("s.db"), storage: 1 << 24 };
            let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
            Database::open_by(settings, clock).unwrap()
        }
    }

    /// Commits a batch.
    fn commit(database: &Arc<Database>) {
        let options = WriterOptions::default();
        let writer = crate::Writer::<()>::open(Arc::clone(database), options, Arc::new(|_| {})).unwrap();
        assert!(matches!(write(&writer), bulkhead_store::Commit::Durable(members) if members.len() == 1));
    }

    /// Commits a batch that records the time, and returns what became of it.
    fn write(writer: &crate::Writer<()>) -> bulkhead_store::Commit<()> {
        let lease = writer.acquire(Instant::now() + HOUR).unwrap();
        let mut unit = lease.begin().unwrap_or_else(|(_, error)| panic!("{error}"));
        unit.write_time().unwrap();
        let (mut lease, ended) = unit.finish(true);
        assert!(matches!(ended, Ended::Kept { .. }));
        lease.push(());
        lease.commit()
    }

    #[test]
    fn wall_clock_steps_are_ignored_while_a_database_is_open() {
        let stage = Stage::new();
        let database = stage.open();
        let began = database.time();
        assert_eq!(began, 100 * WEEK, "it begins as the wall clock does");
        for wall in [99 * WEEK, 300 * WEEK, Duration::ZERO, 100 * WEEK] {
            stage.clock.set(wall);
            assert_eq!(database.time(), began);
            assert_eq!(database.wall_time_of(began + HOUR), wall + HOUR);
        }
        stage.clock.pass(HOUR);
        assert_eq!(database.time(), began + HOUR);
    }

    #[test]
    fn time_moves_with_the_wall_clock_across_a_restart_and_never_back() {
        let stage = Stage::new();
        let database = stage.open();
        stage.clock.pass(HOUR);
        commit(&database);
        let due = database.time() + MINUTES;
        drop(database);
        // The clock was a week ahead. It is corrected while nothing runs.
        stage.clock.set(99 * WEEK);
        let database = stage.open();
        assert_eq!(due - database.time(), MINUTES);
        commit(&database);
        drop(database);
        // From then on the time moves as before.
        stage.clock.pass(MINUTES / 3);
        assert_eq!(due - stage.open().time(), MINUTES * 2 / 3);
    }

    #[test]
    fn recorded_wall_clock_step_is_ignored_after_a_restart() {
        for wall in [99 * WEEK, 101 * WEEK] {
            let stage = Stage::new();
            let database = stage.open();
            commit(&database);
            assert!(!database.clock_was_set());
            let due = database.time() + MINUTES;
            stage.clock.set(wall);
            assert!(database.clock_was_set());
            commit(&database);
            assert!(!database.clock_was_set());
            drop(database);
            stage.clock.pass(MINUTES / 3);
            let database = stage.open();
            assert_eq!(due - database.time(), MINUTES * 2 / 3);
            assert!(!database.clock_was_set(), "what was recorded before the restart still holds");
        }
    }

    /// The time must be recorded again. Otherwise a restart would take the step for time that has passed.
    #[test]
    fn wall_clock_step_is_recorded_when_its_commit_is_durable_and_not_before() {
        // If another connection has the database open, nobody sees a commit whose sync failed. Otherwise the commit is found in the WAL.
        for is_undone in [true, false] {
            let stage = Stage::new();
            let syncs = FailingSync::of(&stage.folder.path().join("s.db"));
            let database = stage.open();
            let reader = is_undone.then(|| database.open_reader().unwrap());
            let options = WriterOptions::default();
            let writer = crate::Writer::<()>::open(Arc::clone(&database), options, Arc::new(|_| {})).unwrap();
            assert!(matches!(write(&writer), bulkhead_store::Commit::Durable(_)));
            stage.clock.set(101 * WEEK);
            assert!(database.clock_was_set());
            // The sync of the commit, and the sync of the checkpoint when the last connection is closed.
            syncs.fail(if is_undone { 1 } else { 2 });
            let commit = write(&writer);
            assert_eq!(matches!(commit, bulkhead_store::Commit::Durable(_)), !is_undone, "{commit:?}");
            assert_eq!(database.clock_was_set(), is_undone);
            assert!(matches!(write(&writer), bulkhead_store::Commit::Durable(_)));
            assert!(!database.clock_was_set());
            drop(reader);
        }
    }

    /// Drift is not a step: the next batch corrects it.
    #[test]
    fn wall_clock_was_set_if_it_moved_by_more_than_a_second() {
        for (moved, was_set) in [(0, false), (1000, false), (1001, true), (60_000, true)] {
            for forward in [true, false] {
                let stage = Stage::new();
                let database = stage.open();
                commit(&database);
                let moved = Duration::from_millis(moved);
                stage.clock.set(if forward { 100 * WEEK + moved } else { 100 * WEEK - moved });
                assert_eq!(database.clock_was_set(), was_set, "{moved:?}");
            }
        }
    }

    #[test]
    fn past_time_is_converted_relative_to_the_current_wall_clock() {
        let stage = Stage::new();
        let database = stage.open();
        let was = database.time();
        stage.clock.pass(HOUR);
        assert_eq!(database.wall_time_of(was), 100 * WEEK);
        stage.clock.set(50 * WEEK);
        assert_eq!(database.wall_time_of(was), 50 * WEEK - HOUR);
        assert_eq!(database.wall_time_of(database.time()), 50 * WEEK);
        stage.clock.set(Duration::ZERO);
        assert_eq!(database.wall_time_of(was), Duration::ZERO);
    }

    #[test]
    fn database_without_writes_begins_with_the_clock_of_its_start() {
        let stage = Stage::new();
        drop(stage.open());
        stage.clock.set(3 * WEEK);
        let database = stage.open();
        assert_eq!(database.time(), 3 * WEEK);
        assert!(!database.clock_was_set());
    }
}
