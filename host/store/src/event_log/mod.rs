//! The interface of an event log: how a unit of work appends to it, and how everybody else reads it.
//!
//! Here the event log is a table of the producer's database, in the same process
//! ([`OpenReaders::event_log`](crate::OpenReaders::event_log)). A log between machines would be another implementation. Subscription
//! workers, parked events, positions that requests wait for, ended tokens, filled replicas and the consistency check know no more about an
//! event log than this.
//!
//! Invariants, which one suite of tests checks for each implementation:
//!
//! - Sequences only grow, and an event keeps its sequence and its id for ever. Erasing takes an event's data, and nothing else.
//! - From the trim point to the head every sequence has its event. A reader whose next event is before the trim point has missed events.
//! - An event that was read is never undone: nobody reads it before it is durable.

mod memory;

pub use self::memory::MemoryLog;
use bulkhead_types::{Sequence, ServiceName, Subject};

use crate::commit_notifier::Waker;
use crate::{Damage, Logged, NewEvent, PublishError, StatementError, StoreError};

/// An event log, as one reader sees it. Each reader opens its own. All errors mean that the event log can't be read now, unless a method
/// says more.
pub trait EventLog: Send {
    /// The event log's own id. If it is another id, earlier positions mean nothing.
    fn id(&self) -> &str;

    /// The sequence of the last event; 0 before the first.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn head(&self) -> Result<Sequence, StatementError>;

    /// The trim point: the sequence of the first event that is still there. If there is none, the sequence that the next event gets.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn trim_point(&self) -> Result<Sequence, StatementError>;

    /// Whether events are gone that a reader at this position has not read: if so, the trim point.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn trimmed_beyond(&self, position: Sequence) -> Result<Option<Sequence>, StatementError> {
        let first = self.trim_point()?;
        Ok((position.next() < first).then_some(first))
    }

    /// At most `count` events from `sequence` on, in order. Fewer if they are large, but at least one if there is one.
    ///
    /// # Errors
    ///
    /// [`StatementError::InvalidValue`] for a row that is not an event: only somebody other than the host can have written it. For all
    /// other errors see [`EventLog`].
    fn read(&self, sequence: Sequence, count: u32) -> Result<Vec<Logged>, StatementError>;

    /// Passes every event after `sequence` to `found`, in order and without its data.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn read_without_data(
        &self,
        sequence: Sequence,
        found: &mut dyn FnMut(Logged),
    ) -> Result<(), StatementError>;

    /// At most `count` events before the sequence `before`, the newest first: of one type, of one subject, or all.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn newest(
        &self,
        kind: Option<&str>,
        subject: Option<&Subject>,
        before: Sequence,
        count: u32,
    ) -> Result<Vec<Logged>, StatementError>;

    /// The last event with data that has one of these types and is about a subject, up to `sequence`. An empty type matches nothing.
    ///
    /// # Errors
    ///
    /// As for [`Self::read`].
    fn last_of(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        sequence: Sequence,
    ) -> Result<Option<Logged>, StatementError>;

    /// Whether there is an event of one of these types about a subject, after the first of two sequences and up to the second. An erased
    /// event says nothing, and does not count. An empty type matches nothing.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn has_later(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        between: (Sequence, Sequence),
    ) -> Result<bool, StatementError>;

    /// Every event that is not as it was published, and every gap: the host assigns sequences without gaps.
    ///
    /// # Errors
    ///
    /// See [`EventLog`].
    fn damages(&self) -> Result<Vec<Damage>, StatementError>;

    /// Sends to `wake` whenever the event log may have grown. To call this twice with one channel is the same as to call it once.
    fn tail(&self, wake: Waker);
}

/// Opens a producer's event log for one reader; none if there is no such event log.
pub type OpenLog<'o> = dyn Fn(&ServiceName) -> Result<Option<Box<dyn EventLog>>, StoreError> + 'o;

/// Where events are appended: a unit of work, which appends them together with its rows.
pub trait AppendEvent {
    /// Appends an event, and returns its sequence. If the unit of work is undone, so is the event, and another one gets the sequence.
    ///
    /// # Errors
    ///
    /// When the event is not valid, or could not be written.
    fn append(&mut self, event: &NewEvent<'_>) -> Result<Sequence, PublishError>;
}
