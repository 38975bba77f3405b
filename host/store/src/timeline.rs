//! The time by which a database's delays and ages are measured: when a timer is due, when a parked event is tried again, how old the answer
//! of an idempotency key is.
//!
//! The wall clock is no measure of a delay: it is set by hand, by NTP after a boot without a battery, by a machine that was suspended. This
//! time begins as the wall clock does, and from then on:
//!
//! - While the database is open it moves with the operating system's clock that nobody sets, which counts a suspended machine's time too. A
//!   step of the wall clock, forward or back, means nothing to it.
//! - Over a restart it moves by what the wall clock has moved since it was written down, and never back: it is written down, beside the
//!   wall clock's, in every batch, and when the wall clock is seen to have been set. So what is left of a delay after a restart is at most
//!   the delay, whatever the wall clock was when it began; it rings early only where the wall clock was set forward while nothing ran,
//!   which nobody can tell from a long pause.
//!
//! Invariant: a row's time is this time, read before the commit of the unit of work that writes the row: its batch writes down one that is
//! not earlier.
//! What is shown to people and to guests is the wall clock's: see [`crate::Database::wall_time_of`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bulkhead_types::Clock;
use rusqlite::Connection;

/// By how many milliseconds the wall clock may be apart from what was written down before that is done again.
const STEP_MS: i64 = 1000;

pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    /// This time when the database was opened.
    began: Duration,
    /// The clock that nobody sets, then.
    began_at: Duration,
    /// By how much this time is ahead of the wall clock, as it was written down last, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Timeline {
    /// Goes on from where it was written down.
    pub(crate) fn of(connection: &Connection, clock: Arc<dyn Clock>) -> rusqlite::Result<Self> {
        let (time, wall): (i64, i64) =
            connection.query_row("SELECT time_ms, wall_ms FROM _bulkhead_meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (now, began_at) = (clock.now(), clock.steady());
        let began = match time {
            // Nothing was written by it.
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

    /// What is to be written down: this time and the wall clock's, in milliseconds.
    pub(crate) fn row(&self) -> (i64, i64) {
        (milliseconds(self.now()), milliseconds(self.clock.now()))
    }

    /// It was.
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
