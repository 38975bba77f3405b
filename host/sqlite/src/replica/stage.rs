//! The rows that a replica will have, in a temporary table of the connection that will write them. They are read before anybody has to wait
//! for that. They are brought to the service's position when nobody moves the position any more.
//!
//! If the owner has a SELECT that returns what it holds, the rows come from one snapshot of its database. The snapshot is at event H of the
//! owner's event log: a unit of work writes its rows and its events in one transaction, so the rows reflect the events up to H and no
//! others. Without a SELECT the rows are made from the events, up to H. The service's position is C:
//!
//! - C > H: the events between the two are applied, as the subscription worker did with the old replica.
//! - C < H: the subscription worker still has to consume the events between the two. If these events say all that the replica has, each row
//!   that they are about is put back to its state at C. The last event up to C gives that state. If this event is not available any more
//!   (it was erased, or lacks a column), the first event after C gives the state. So no row ever goes back, and the replica is at C.
//! - C < H, and these events do not say all (one lacks a column): the rows stay at H, and the events up to H are not applied to the replica
//!   (`filled`). So none of them fails, and no row goes back. Until the position has reached H, a handler may see a row that is newer than
//!   its event.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use bulkhead_store::{
    ApplyError, ColumnType, Cursor, EventLog, Logged, OwnedRows, Owner, ReplicaSpec, RowSource, Value,
};
use bulkhead_types::{Sequence, ServiceName, Subject};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::sql::{change, create, delete_statement, quoted, upsert_statement};
use crate::error::sqlite_message;
use crate::value::Bound;

/// How many events are read at a time.
const EVENTS: u32 = 1000;
/// The error when its time is over.
const LATE: &str = "to read the events of its owner takes longer than it may";

pub(super) struct Stage {
    pub(super) replica: ReplicaSpec,
    /// The temporary table.
    table: String,
    pub(super) source: RowSource,
    /// The owner's event log; none if there is no owner to read.
    log: Option<Box<dyn EventLog>>,
    /// The rows reflect the events up to this one.
    pub(super) at: Sequence,
    /// When to give up, because others wait. The owner's event log is read on a connection without this limit.
    until: Option<Instant>,
    /// By subject: an event that no row can be made from, for subjects whose last event is such an event. It is the first one that is not a
    /// dead letter, if there is one: a subject with a later dead letter still had its earlier row.
    lost: BTreeMap<Subject, (Sequence, String)>,
    /// Why the owner's SELECT can't be used.
    pub(super) unusable: Option<String>,
}

fn text(error: &dyn std::fmt::Display) -> String {
    error.to_string()
}

fn sqlite(error: rusqlite::Error) -> String {
    sqlite_message(&error)
}

impl Stage {
    /// Reads the rows. `cursor` is the current position.
    pub(super) fn read(
        connection: &Connection,
        number: usize,
        replica: &ReplicaSpec,
        owner: Option<Owner<'_>>,
        cursor: Option<&Cursor>,
    ) -> Result<Self, String> {
        let table = format!("_bulkhead_stage_{number}");
        let (log, rows) = owner.map_or((None, None), |owner| (Some(owner.log), owner.rows));
        let mut this = Self {
            replica: replica.clone(),
            table,
            source: RowSource::Events,
            log,
            at: Sequence::BEFORE_FIRST,
            until: None,
            lost: BTreeMap::new(),
            unusable: None,
        };
        this.make_table(connection)?;
        if this.log.is_none() {
            return Ok(this);
        }
        if let Some(rows) = rows {
            match in_one(connection, || this.select(connection, &rows)) {
                Ok(head) => {
                    (this.at, this.source) = (head, RowSource::Select);
                    return Ok(this);
                }
                Err(why) => this.unusable = Some(why),
            }
        }
        let to = this.position(cursor)?;
        in_one(connection, || this.follow(connection, to))?;
        Ok(this)
    }

    fn make_table(&self, connection: &Connection) -> Result<(), String> {
        connection.execute_batch(&create(&self.replica, "TEMP TABLE", &self.table)).map_err(sqlite)
    }

    /// Reads the owner's rows, and returns the event that they are at.
    fn select(&self, connection: &Connection, rows: &OwnedRows<'_>) -> Result<Sequence, String> {
        let snapshot = rows.database.inspector().map_err(|error| text(&error))?;
        let head = snapshot.head().map_err(|error| text(&error))?;
        let columns = snapshot.columns(rows.select).map_err(|error| text(&error))?;
        let places = self
            .replica
            .columns
            .iter()
            .map(|column| {
                columns
                    .iter()
                    .position(|found| *found == column.name)
                    .ok_or_else(|| format!("it gives no column {}", column.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut insert = connection.prepare(&upsert_statement(&self.replica, &self.table)).map_err(sqlite)?;
        let (mut unfit, mut first) = (0_u64, None);
        let read = snapshot.select(rows.select, &mut |row| {
            let row: Vec<Value> =
                places.iter().map(|place| row.get(*place).cloned().unwrap_or(Value::Null)).collect();
            let written = self.fits(&row).and_then(|()| {
                insert.execute(params_from_iter(row.iter().map(Bound))).map(drop).map_err(sqlite)
            });
            if let Err(why) = written {
                unfit += 1;
                first.get_or_insert(why);
            }
        });
        read.map_err(|error| text(&error))?;
        match first {
            None => Ok(head),
            Some(first) => {
                Err(format!("{unfit} of its rows don't fit the columns, the first because {first}"))
            }
        }
    }

    /// Checks that the columns can have the values of a row as they are.
    fn fits(&self, row: &[Value]) -> Result<(), String> {
        for (column, value) in self.replica.columns.iter().zip(row) {
            let is_key = column.name == self.replica.key;
            let found = match (value, column.kind) {
                (Value::Null, _) if !is_key => continue,
                (Value::Text(_), ColumnType::Text)
                | (Value::Integer(_), ColumnType::Integer | ColumnType::Real)
                | (Value::Real(_), ColumnType::Real) => continue,
                (Value::Null, _) => "null",
                (Value::Text(_), _) => "a text",
                (Value::Integer(_), _) => "an integer",
                (Value::Real(_), _) => "a real number",
                (Value::Blob(_), _) => "bytes",
            };
            return Err(format!("{} is {found}", column.name));
        }
        Ok(())
    }

    /// The service's position in the owner's event log.
    fn position(&self, cursor: Option<&Cursor>) -> Result<Sequence, String> {
        match (cursor, &self.log) {
            (None, _) | (_, None) => Ok(Sequence::BEFORE_FIRST),
            (Some(cursor), Some(log)) if cursor.log == log.id() => Ok(cursor.sequence),
            (Some(cursor), Some(log)) => Err(format!(
                "the position is in the log {} of {}, and the log that is there is {}: its database was replaced; put the right \
                 file back",
                cursor.log,
                self.replica.owner,
                log.id()
            )),
        }
    }

    /// Brings the rows to the position, and looks for rows that would be lost. The position must not move meanwhile.
    pub(super) fn bring_to(
        &mut self,
        connection: &Connection,
        cursor: Option<&Cursor>,
        until: Option<Instant>,
    ) -> Result<(), String> {
        self.until = until;
        if self.log.is_none() {
            return Ok(());
        }
        let position = match self.position(cursor) {
            Ok(position) => position,
            // The subscription stops, so nothing comes after these rows.
            Err(_) if self.source == RowSource::Select => return Ok(()),
            Err(why) => return Err(why),
        };
        if self.at < position {
            in_one(connection, || self.follow(connection, position))?;
        }
        match self.source {
            RowSource::Select if self.at > position => {
                if self.can_step_back(position)? {
                    in_one(connection, || self.step_back(connection, position))?;
                    self.at = position;
                }
            }
            RowSource::Select => {}
            // Events that the subscription worker has not consumed yet must not lose rows there either.
            RowSource::Events => {
                let head = self.log.as_ref().map_or(Ok(Sequence::BEFORE_FIRST), |log| log.head());
                self.look(connection, false, head.map_err(|error| text(&error))?)?;
            }
        }
        Ok(())
    }

    /// Applies the events up to `to`.
    fn follow(&mut self, connection: &Connection, to: Sequence) -> Result<(), String> {
        self.look(connection, true, to)?;
        self.at = self.at.max(to);
        Ok(())
    }

    /// Goes through the events from where the rows are up to `to`. Notes the events that no row can be made from. Applies the events if
    /// `write`.
    fn look(&mut self, connection: &Connection, write: bool, to: Sequence) -> Result<(), String> {
        let Self { replica, table, log, lost, at, until, .. } = self;
        let Some(log) = log.as_deref() else { return Ok(()) };
        let trimmed = log.trimmed_beyond(*at).map_err(|error| text(&error))?;
        if let Some(first) = trimmed.filter(|_| *at < to) {
            return Err(format!(
                "the event log of {} begins at event {first}, and the rows need the events from {} on: put the whole log back, or add \
                 [service.{}.entity.{}] with a select that gives its columns",
                replica.owner,
                at.next(),
                replica.owner,
                replica.name
            ));
        }
        each_event(log, replica, (*at, to), *until, |event| {
            let applied = if write {
                change(connection, replica, table, event)
            } else if event.kind == replica.upsert && !event.data.is_empty() {
                replica.values(event, true).map(drop)
            } else {
                Ok(())
            };
            match applied {
                Ok(()) => drop(lost.remove(&event.subject)),
                Err(ApplyError::Malformed(why)) => {
                    let is_replaced = match lost.get(&event.subject) {
                        Some((earlier, _)) => {
                            is_dead(connection, &replica.owner, *earlier).map_err(sqlite)?
                        }
                        None => true,
                    };
                    if is_replaced {
                        lost.insert(event.subject.clone(), (event.sequence, why));
                    }
                }
                Err(ApplyError::Statement(error)) => return Err(error.to_string()),
            }
            Ok(())
        })
    }

    /// Whether the events after `position`, up to where the rows are, say all that the rows have.
    fn can_step_back(&self, position: Sequence) -> Result<bool, String> {
        let Some(log) = self.log.as_deref() else { return Ok(false) };
        let replica = &self.replica;
        // Which rows were there at the position is in the events up to it.
        if position > Sequence::BEFORE_FIRST
            && log.trimmed_beyond(Sequence::BEFORE_FIRST).map_err(|error| text(&error))?.is_some()
        {
            return Ok(false);
        }
        // Subjects whose last event was erased: no event brings their rows forward again.
        let (mut complete, mut erased) = (true, HashSet::new());
        each_event(log, replica, (position, self.at), self.until, |event| {
            if event.kind == replica.upsert && event.data.is_empty() {
                erased.insert(event.subject.clone());
            } else {
                complete &= event.kind != replica.upsert || replica.values(event, false).is_ok();
                erased.remove(&event.subject);
            }
            Ok(())
        })?;
        Ok(complete && erased.is_empty())
    }

    /// Puts the rows that the events after `position` are about back to their state at `position`.
    fn step_back(&self, connection: &Connection, position: Sequence) -> Result<(), String> {
        let Self { replica, table, .. } = self;
        let Some(log) = self.log.as_deref() else { return Ok(()) };
        let apply = |event: &Logged| change(connection, replica, table, event).map_err(|error| text(&error));
        let delete = |subject: &Subject| {
            let mut delete = connection.prepare_cached(&delete_statement(replica, table)).map_err(sqlite)?;
            delete.execute([subject.as_str()]).map(drop).map_err(sqlite)
        };
        let is_whole = |event: &Logged| event.kind != replica.upsert || replica.values(event, false).is_ok();
        let mut seen = HashSet::new();
        // By subject: the first event after the position, for subjects that have no event with data up to the position.
        let mut first = BTreeMap::new();
        each_event(log, replica, (position, self.at), self.until, |event| {
            if event.kind == replica.upsert && event.data.is_empty() {
                return Ok(());
            }
            if position == Sequence::BEFORE_FIRST {
                return delete(&event.subject);
            }
            if !seen.insert(event.subject.clone()) {
                return Ok(());
            }
            let before = log.last_of(&event.subject, replica.kinds(), position);
            match before.map_err(|error| text(&error))? {
                Some(before) if is_whole(&before) => apply(&before),
                Some(_) => apply(event),
                None => {
                    first.insert(event.subject.clone(), event.clone());
                    Ok(())
                }
            }
        })?;
        if first.is_empty() {
            return Ok(());
        }
        // Subjects that had rows nevertheless: their events from that time were erased later.
        let mut were_there = HashSet::new();
        each_event(log, replica, (Sequence::BEFORE_FIRST, position), self.until, |event| {
            if event.kind == replica.upsert && first.contains_key(&event.subject) {
                were_there.insert(event.subject.clone());
            } else {
                were_there.remove(&event.subject);
            }
            Ok(())
        })?;
        first.iter().try_for_each(
            |(subject, event)| {
                if were_there.contains(subject) { apply(event) } else { delete(subject) }
            },
        )
    }

    /// The events that no row can be made from and that are not dead letters yet, if no later event of the same subject could be applied.
    /// Returns how many they are, and the first one's sequence, subject and reason.
    pub(super) fn lost(
        &self,
        connection: &Connection,
    ) -> Result<Option<(usize, Sequence, Subject, String)>, String> {
        let (mut count, mut first) = (0, None::<(Sequence, Subject, String)>);
        for (subject, (sequence, why)) in &self.lost {
            if is_dead(connection, &self.replica.owner, *sequence).map_err(sqlite)? {
                continue;
            }
            count += 1;
            if first.as_ref().is_none_or(|(earlier, ..)| sequence < earlier) {
                first = Some((*sequence, subject.clone(), why.clone()));
            }
        }
        Ok(first.map(|(sequence, subject, why)| (count, sequence, subject, why)))
    }

    /// Whether the rows contain what this event says, or are past it.
    pub(super) fn covers(&self, sequence: Sequence) -> bool {
        sequence <= self.at && !self.lost.values().any(|(lost, _)| *lost == sequence)
    }

    /// The event up to which no event is applied to the rows any more, with the id of its event log.
    pub(super) fn filled(&self) -> (&str, Sequence) {
        match (&self.log, self.source) {
            (Some(log), RowSource::Select) => (log.id(), self.at),
            _ => ("", Sequence::BEFORE_FIRST),
        }
    }

    /// Replaces the replica's table by one with these rows. Returns how many there are.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<usize> {
        let name = quoted(&self.replica.name);
        connection.execute_batch(&format!("DROP TABLE IF EXISTS main.{name}"))?;
        connection.execute_batch(&create(&self.replica, "TABLE", &self.replica.name))?;
        let copy = format!(
            "INSERT INTO main.{} SELECT * FROM temp.{}",
            quoted(&self.replica.name),
            quoted(&self.table)
        );
        let rows = connection.execute(&copy, [])?;
        let (log, filled) = self.filled();
        connection.execute(
            "INSERT INTO _bulkhead_replica (name, spec, log, filled) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, log = excluded.log, filled = excluded.filled",
            (&self.replica.name, self.replica.text(), log, filled.get()),
        )?;
        Ok(rows)
    }
}

fn is_dead(connection: &Connection, producer: &ServiceName, sequence: Sequence) -> rusqlite::Result<bool> {
    let state: Option<String> = connection
        .prepare_cached(
            "/*bulkhead*/SELECT state FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2",
        )?
        .query_row((producer.as_str(), sequence.get()), |row| row.get(0))
        .optional()?;
    Ok(state.as_deref() == Some("dead"))
}

/// Runs writes to temporary tables in one transaction, unless one is open.
fn in_one<T>(connection: &Connection, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    if !connection.is_autocommit() {
        return work();
    }
    let transaction = connection.unchecked_transaction().map_err(sqlite)?;
    let done = work()?;
    transaction.commit().map_err(sqlite)?;
    Ok(done)
}

/// Passes the events that update a replica to `each`, after the first of two sequences and up to the second. Fails once `until` has passed.
fn each_event(
    log: &dyn EventLog,
    replica: &ReplicaSpec,
    (behind, to): (Sequence, Sequence),
    until: Option<Instant>,
    mut each: impl FnMut(&Logged) -> Result<(), String>,
) -> Result<(), String> {
    let in_time = || match until {
        Some(until) if Instant::now() >= until => Err(LATE.to_owned()),
        _ => Ok(()),
    };
    let mut next = behind.next();
    while next <= to {
        in_time()?;
        let events = log.read(next, EVENTS).map_err(|error| text(&error))?;
        let Some(last) = events.last() else { break };
        next = last.sequence.next();
        for event in events.iter().filter(|event| event.sequence <= to && replica.takes(&event.kind)) {
            // For each of these events `each` may read more, also in the owner's event log.
            in_time()?;
            each(event)?;
        }
    }
    Ok(())
}
