//! A service, as a test uses it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_runtime::{Description, WritableDatabase};
use bulkhead_store::{EventLog, InboxReader, Parked, ParkedState, Reader, Value as Column};
use bulkhead_types::rfc3339;
use serde_json::{Value, json};

use crate::advance::advance;
use crate::diff;
use crate::event::{Event, Published, Timer};
use crate::fail::or_fail;
use crate::fault::Fault;
use crate::request::Request;
use crate::world::{Looks, World};

/// The number of events that are read from an event log at a time.
const EVENTS: u32 = 10_000;

/// A service that runs in a test. Clones share the same service.
#[derive(Clone)]
pub struct Service {
    pub(crate) world: Rc<World>,
    pub(crate) name: String,
}

impl Service {
    /// A GET request for a path, which may have a query.
    pub fn get(&self, path: impl AsRef<str>) -> Request {
        self.request("GET", path)
    }

    /// A POST request.
    pub fn post(&self, path: impl AsRef<str>) -> Request {
        self.request("POST", path)
    }

    /// A PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> Request {
        self.request("PUT", path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: impl AsRef<str>) -> Request {
        self.request("PATCH", path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> Request {
        self.request("DELETE", path)
    }

    /// A request with any method.
    pub fn request(&self, method: &str, path: impl AsRef<str>) -> Request {
        Request::new(&self.world, &self.name, method, path.as_ref())
    }

    /// An event of another service, which does not run in this test.
    pub fn event(&self, kind: &str) -> Event {
        Event::new(&self.world, &self.name, kind)
    }

    /// The events that it published since the last look, in their order.
    #[must_use]
    #[track_caller]
    pub fn published(&self) -> Vec<Published> {
        let events = self.world.look(&self.name, |database, looks| {
            let seen = looks.seen;
            let events = looks.log(database)?.read(seen.next(), EVENTS).map_err(|error| error.to_string())?;
            looks.seen = events.last().map_or(seen, |event| event.sequence);
            Ok(events)
        });
        events.into_iter().map(Published::from).collect()
    }

    /// Checks that it published these events since the last look, and no others: a list of objects with `type`, `subject` and `data`.
    ///
    /// # Panics
    ///
    /// When it did not. The differences are shown.
    #[track_caller]
    pub fn expect_published(&self, expected: impl Borrow<Value>) {
        let expected = expected.borrow();
        let found: Value = self
            .published()
            .into_iter()
            .map(|event| json!({"type": event.kind, "subject": event.subject, "data": event.data}))
            .collect();
        if found != *expected {
            let diff = diff::of(expected, &found);
            self.world.fail(&format!("{} published other events:\n{diff}", self.name));
        }
    }

    /// The timers that it has set and that were not consumed, the earliest first.
    #[must_use]
    #[track_caller]
    pub fn timers(&self) -> Vec<Timer> {
        let timers = self.world.look(&self.name, |database, looks| {
            let timers = looks.inbox(database)?.timers().map_err(|error| error.to_string())?;
            let at = |(event, due)| (event, database.wall_time_of(due));
            Ok(timers.into_iter().map(at).collect::<Vec<_>>())
        });
        let timer = |(event, due): (bulkhead_store::Logged, Duration)| Timer {
            kind: event.kind,
            subject: event.subject.to_string(),
            data: serde_json::from_str(&event.data).unwrap_or_default(),
            due: rfc3339(due),
        };
        timers.into_iter().map(timer).collect()
    }

    /// The events that it could not consume and will retry: each type with the reason.
    #[must_use]
    #[track_caller]
    pub fn parked(&self) -> Vec<(String, String)> {
        self.not_consumed(ParkedState::Parked)
    }

    /// The events that it will never consume: each type with the reason.
    #[must_use]
    #[track_caller]
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        self.not_consumed(ParkedState::Dead)
    }

    #[track_caller]
    fn not_consumed(&self, state: ParkedState) -> Vec<(String, String)> {
        let all: Vec<Parked> = self.world.look(&self.name, |database, looks| {
            looks.inbox(database)?.parked().map_err(|error| error.to_string())
        });
        let of_state = all.into_iter().filter(|parked| parked.state == state);
        of_state.map(|parked| (parked.kind, parked.reason)).collect()
    }

    /// The result of a SELECT on its database, as a list of objects, for a comparison or a snapshot. Bytes are in hexadecimal.
    ///
    /// # Panics
    ///
    /// When the statement fails. The host's own tables can't be read.
    #[must_use]
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Value {
        let found = self.world.look(&self.name, |database, looks| {
            let reader = looks.rows(database)?;
            let deadline = Instant::now() + Duration::from_secs(60);
            let found = reader.query(deadline, sql, &[]).map_err(|error| error.to_string());
            reader.end();
            found
        });
        let mut names = BTreeSet::new();
        if let Some(twice) = found.columns.iter().find(|name| !names.insert(*name)) {
            panic!("two columns of {sql:?} have the name {twice}: give one another by AS");
        }
        let object = |row: Vec<Column>| -> Value {
            found.columns.iter().cloned().zip(row.into_iter().map(json_of)).collect()
        };
        found.rows.into_iter().map(object).collect()
    }

    /// Runs a statement that writes to its database, as an earlier version of the component might have. It is for rows that this version no
    /// longer creates. The statement may write only what the component may write.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    #[track_caller]
    pub fn write(&self, sql: &str) {
        let written = self.world.member(&self.name).stepped.write(sql);
        or_fail(written, |error| format!("{sql:?} in the database of {}: {error}", self.name));
    }

    /// The calls that it made to other services since the last look: each as `SERVICE METHOD PATH`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let called = self.world.recorder.take_called(&self.name);
        let line =
            |called: crate::recorder::Called| format!("{} {} {}", called.callee, called.method, called.path);
        called.into_iter().map(line).collect()
    }

    /// Moves the clock: see [`crate::Application::advance`].
    #[track_caller]
    pub fn advance(&self, time: Duration) {
        advance(&self.world, time, None);
    }

    /// Sets the wall clock: see [`crate::Application::set_clock_by`].
    pub fn set_clock_by(&self, seconds: i64) {
        self.world.set_clock_by(seconds);
    }

    /// Moves the clock with a fault in the work that is due meanwhile. The calls of all handlers count together.
    ///
    /// # Panics
    ///
    /// When the [`Fault`] did not occur.
    #[track_caller]
    pub fn advance_failing(&self, time: Duration, fault: Fault) {
        advance(&self.world, time, Some(fault));
    }

    /// How many database calls were made in the last request, delivery or move of the clock, by all services. A test can use it to let each
    /// call fail in turn.
    #[must_use]
    pub fn database_calls(&self) -> u32 {
        self.world.recorder.database_calls()
    }

    /// The time of the clock: RFC 3339, UTC, with milliseconds.
    #[must_use]
    pub fn now(&self) -> String {
        use bulkhead_types::Clock as _;
        rfc3339(self.world.clock.now())
    }

    /// The component's description.
    #[must_use]
    #[track_caller]
    pub fn description(&self) -> Description {
        let component = &self.world.member(&self.name).component;
        or_fail(component.description.clone().ok_or(()), |()| format!("{} exports no `describe`", self.name))
    }
}

impl Looks {
    pub(crate) fn inbox(&mut self, database: &Arc<WritableDatabase>) -> Result<&dyn InboxReader, String> {
        opened(&mut self.inbox, || database.inbox()).map(AsRef::as_ref)
    }

    pub(crate) fn log(&mut self, database: &Arc<WritableDatabase>) -> Result<&dyn EventLog, String> {
        opened(&mut self.log, || database.event_log()).map(AsRef::as_ref)
    }

    fn rows(&mut self, database: &Arc<WritableDatabase>) -> Result<&mut dyn Reader, String> {
        match &mut self.rows {
            Some(reader) => Ok(&mut **reader),
            empty => Ok(&mut **empty.insert(database.reader().map_err(|error| error.to_string())?)),
        }
    }
}

fn opened<T>(
    place: &mut Option<T>,
    open: impl FnOnce() -> Result<T, bulkhead_store::StoreError>,
) -> Result<&T, String> {
    match place {
        Some(there) => Ok(there),
        empty => Ok(empty.insert(open().map_err(|error| error.to_string())?)),
    }
}

fn json_of(value: Column) -> Value {
    match value {
        Column::Null => Value::Null,
        Column::Integer(value) => value.into(),
        Column::Real(value) => value.into(),
        Column::Text(value) => value.into(),
        Column::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}
