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
//! People and guests see the wall clock's time: see [`crate::Database::wall_time_of`].

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

pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
