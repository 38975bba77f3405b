//! An event log in memory: of a producer that does not run, for tests of its consumers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_types::{Sequence, Subject};

use super::{AppendEvent, EventLog};
use crate::commit_notifier::{CommitNotifier, Waker};
use crate::{Damage, Logged, NewEvent, PublishError, StatementError};

/// The id of every such event log. No database's event log has it: those ids have 32 digits.
const ID: &str = "in memory";

/// An event log in memory. Clones are the same event log.
#[derive(Clone, Default)]
pub struct MemoryLog {
    events: Arc<Mutex<Vec<Logged>>>,
    notifier: Arc<CommitNotifier>,
}

impl MemoryLog {
    fn events(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event as it is, also one that nobody could publish, and returns its sequence. It gets the next one, whatever its own is.
    pub fn push(&self, event: Logged) -> Sequence {
        let mut events = self.events();
        let sequence = events.last().map_or(Sequence::BEFORE_FIRST, |last| last.sequence).next();
        events.push(Logged { sequence, ..event });
        drop(events);
        self.notifier.notify(sequence);
        sequence
    }

    /// Takes the data of a subject's events, as [`crate::UnitOfWork::erase`] does.
    pub fn erase(&self, subject: &Subject) {
        for event in self.events().iter_mut().filter(|event| event.subject == *subject) {
            event.data.clear();
        }
    }

    /// Removes every event before this one.
    pub fn trim(&self, sequence: Sequence) {
        self.events().retain(|event| event.sequence >= sequence);
    }

    fn found(&self, is_wanted: impl Fn(&Logged) -> bool) -> Vec<Logged> {
        self.events().iter().filter(|event| is_wanted(event)).cloned().collect()
    }
}

/// The events have their own sequences, which grow.
impl From<Vec<Logged>> for MemoryLog {
    fn from(events: Vec<Logged>) -> Self {
        Self { events: Arc::new(Mutex::new(events)), notifier: Arc::default() }
    }
}

impl AppendEvent for MemoryLog {
    fn append(&mut self, event: &NewEvent<'_>) -> Result<Sequence, PublishError> {
        event.check()?;
        let NewEvent { id, kind, subject, time, trace_id, data } = *event;
        Ok(self.push(Logged {
            sequence: Sequence::BEFORE_FIRST,
            id: id.to_owned(),
            kind: kind.to_owned(),
            subject: subject.clone(),
            time: time.to_owned(),
            trace_id,
            data: data.to_owned(),
        }))
    }
}

impl EventLog for MemoryLog {
    fn id(&self) -> &str {
        ID
    }

    fn head(&self) -> Result<Sequence, StatementError> {
        Ok(self.events().last().map_or(Sequence::BEFORE_FIRST, |last| last.sequence))
    }

    fn trim_point(&self) -> Result<Sequence, StatementError> {
        Ok(self.events().first().map_or(Sequence::FIRST, |first| first.sequence))
    }

    fn read(&self, sequence: Sequence, count: u32) -> Result<Vec<Logged>, StatementError> {
        let mut events = self.found(|event| event.sequence >= sequence);
        events.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(events)
    }

    fn read_without_data(
        &self,
        sequence: Sequence,
        found: &mut dyn FnMut(Logged),
    ) -> Result<(), StatementError> {
        for event in self.found(|event| event.sequence > sequence) {
            found(Logged { data: String::new(), ..event });
        }
        Ok(())
    }

    fn newest(
        &self,
        kind: Option<&str>,
        subject: Option<&Subject>,
        before: Sequence,
        count: u32,
    ) -> Result<Vec<Logged>, StatementError> {
        let mut events = self.found(|event| {
            event.sequence < before
                && kind.is_none_or(|kind| event.kind == kind)
                && subject.is_none_or(|subject| event.subject == *subject)
        });
        events.reverse();
        events.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(events)
    }

    fn last_of(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        sequence: Sequence,
    ) -> Result<Option<Logged>, StatementError> {
        let mut events = self.found(|event| {
            event.sequence <= sequence
                && event.subject == *subject
                && !event.data.is_empty()
                && kinds.contains(&event.kind.as_str())
        });
        Ok(events.pop())
    }

    fn has_later(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        (after, to): (Sequence, Sequence),
    ) -> Result<bool, StatementError> {
        Ok(self.last_of(subject, kinds, to)?.is_some_and(|event| event.sequence > after))
    }

    fn damages(&self) -> Result<Vec<Damage>, StatementError> {
        Ok(Vec::new())
    }

    fn tail(&self, wake: Waker) {
        self.notifier.add(wake);
    }
}
