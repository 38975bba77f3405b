//! Durable timers: events that a service sets for later, in the unit of work.
//!
//! The unit of work that consumes a timer deletes its row. So the timer takes effect once, however often it is tried. A timer that fails is
//! parked like an event, with the service itself as its producer.
//!
//! Invariant: cancelling a timer also deletes its parked row. The timer whose handler runs is never cancelled: its row is the mark that
//! this unit of work consumes it ([`SetTimers::consume_timer`]). The row is deleted with that.

use std::time::Duration;

use bulkhead_types::{Sequence, ServiceName, Subject};

use crate::{NewEvent, PublishError, StatementError};

/// Selects timers of a service.
#[derive(Debug, Clone, Copy)]
pub enum Timers<'t> {
    /// The timer with this id.
    Id(&'t str),
    /// All timers of this type and subject.
    Of {
        /// The type of the timers' events.
        kind: &'t str,
        /// The entity that the timers are about.
        subject: &'t Subject,
    },
}

/// Sets, cancels and consumes timers, in a unit of work.
pub trait SetTimers {
    /// Sets a timer for `due`, in the database's time: see [`crate::Database::time`].
    ///
    /// # Errors
    ///
    /// When the event is not valid, there are too many timers, or the row could not be written.
    fn schedule(&mut self, event: &NewEvent<'_>, due: Duration) -> Result<(), PublishError>;

    /// Cancels timers that have not fired, and returns how many. If a timer is parked or a dead letter, its row in that list is deleted as
    /// well. `service` is the service that set the timers. The timer `running`, whose handler runs this, stays for [`Self::consume_timer`].
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn cancel(
        &mut self,
        service: &ServiceName,
        timers: Timers<'_>,
        running: Option<Sequence>,
    ) -> Result<u64, StatementError>;

    /// Consumes a timer. Returns false if the timer is gone, or if it is not in the state that `parked` says.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn consume_timer(&mut self, sequence: Sequence, parked: bool) -> Result<bool, StatementError>;

    /// Marks a timer as parked. Returns false if the timer is gone or was parked already.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn mark_timer_parked(&mut self, sequence: Sequence) -> Result<bool, StatementError>;
}
