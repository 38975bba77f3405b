//! The service's own database: [`Snapshot`] reads committed data, [`Transaction`] reads and writes in the unit of work.

use std::fmt;

use crate::event::Event;
use crate::problem::Problem;
use crate::sql::{Column, Error, ExecuteResult, ResultSet, Value};
use crate::time::Timestamp;
use crate::wit::bulkhead::service::{answers, outbox, snapshot, transaction};

/// The last committed state, the same for all queries of a handler (until it calls another service). It never waits for writers, and never
/// sees what this handler writes.
#[derive(Debug)]
pub struct Snapshot(pub(crate) Reads);

/// What a [`Snapshot`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The last committed state.
    Committed,
    /// The unit of work, so that a GET that runs there sees what a change will find. See [`precondition`](crate::precondition).
    UnitOfWork,
}

/// The unit of work. Having this argument costs nothing. The first call waits for the service's writer lease, which the handler then keeps
/// until it returns (100 ms at most, unless the manifest says otherwise). So compute first, call others first, transact last.
#[derive(Debug)]
pub struct Transaction(pub(crate) ());

/// Reading, by [`Snapshot`] or [`Transaction`]. A statement may have at most 100,000 bytes, a result 10,000 rows and 8 MiB.
pub trait Read {
    /// Runs a statement that returns rows.
    fn query(&self, statement: &str, parameters: &[Value]) -> Result<ResultSet, Error>;

    /// All rows.
    fn query_all<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>, Error> {
        let ResultSet { columns, rows } = self.query(statement, parameters)?;
        rows.into_iter().map(|values| read_row(statement, &columns, values)).collect()
    }

    /// The first row; none if there is none.
    fn query_optional<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Option<T>, Error> {
        let ResultSet { columns, rows } = self.query(statement, parameters)?;
        rows.into_iter().next().map(|values| read_row(statement, &columns, values)).transpose()
    }

    /// The first row of a statement that always returns one; an error if it does not.
    fn query_one<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<T, Error> {
        self.query_optional(statement, parameters)?
            .ok_or_else(|| Error::Other(format!("no row came of: {statement}")))
    }
}

impl Read for Snapshot {
    fn query(&self, statement: &str, parameters: &[Value]) -> Result<ResultSet, Error> {
        match self.0 {
            Reads::Committed => snapshot::query(statement, parameters),
            Reads::UnitOfWork => transaction::query(statement, parameters),
        }
    }
}

impl Read for Transaction {
    fn query(&self, statement: &str, parameters: &[Value]) -> Result<ResultSet, Error> {
        transaction::query(statement, parameters)
    }
}

impl Transaction {
    /// Runs a statement and drops the rows that it returns, if any.
    pub fn execute(&self, statement: &str, parameters: &[Value]) -> Result<ExecuteResult, Error> {
        transaction::execute(statement, parameters)
    }

    /// Publishes an event, and returns its id. The event is in the service's event log when the unit of work commits; otherwise it never
    /// was. At most 256 KiB of JSON.
    pub fn publish<E: Event>(&self, event: &E) -> Result<String, PublishError> {
        Ok(outbox::publish(E::TYPE, &event.subject(), &data(event)?)?)
    }

    /// Erases the data of every event of this subject that the service has published before, and returns how many events there were: for
    /// personal data that must also go from the event log. Consumers that have not passed these events yet pass over them, so publish the
    /// subject's end in the same unit of work. For a subject that is deleted, call [`Self::forget_answers`] too.
    pub fn erase(&self, subject: &str) -> Result<u64, PublishError> {
        outbox::erase(subject).map_err(PublishError::when("erasing events"))
    }

    /// Says that the answer of this handler is about this subject too, so that [`Self::forget_answers`] finds the answer that is kept for
    /// an idempotency key. Even without this call an answer is about the principal that asked, about each part of the path and of
    /// `Location`, and about the subjects of its events.
    pub fn about(&self, subject: &str) -> Result<(), Error> {
        answers::about(subject)
    }

    /// Forgets the answers about this subject that are kept for idempotency keys, and returns how many there were. Call it when the subject
    /// is deleted, and only then, because a request that is sent again takes effect again.
    pub fn forget_answers(&self, subject: &str) -> Result<u64, Error> {
        answers::forget(subject)
    }

    /// Sets a durable timer, and returns its id: at the time or soon after, the service's event handler gets this event, once.
    pub fn schedule<E: Event>(&self, event: &E, due: Timestamp) -> Result<String, PublishError> {
        outbox::schedule(E::TYPE, &event.subject(), &data(event)?, &due.to_string())
            .map_err(PublishError::when("setting a timer"))
    }

    /// Cancels the timer with this id, and returns whether there was one: it may have fired. If the unit of work does not commit, the timer
    /// stays. A timer does not cancel itself: it goes when its handler has consumed it.
    pub fn cancel(&self, id: &str) -> Result<bool, PublishError> {
        outbox::cancel(id).map_err(PublishError::when("cancelling a timer"))
    }

    /// Cancels all timers of this type about this subject, each as [`Self::cancel`] does, and returns how many there were:
    /// `transaction.cancel_all::<LoanLate>(&loan.id.to_string())`.
    pub fn cancel_all<E: Event>(&self, subject: &str) -> Result<u64, PublishError> {
        outbox::cancel_all(E::TYPE, subject).map_err(PublishError::when("cancelling timers"))
    }
}

fn data<E: Event>(event: &E) -> Result<String, PublishError> {
    serde_json::to_string(event).map_err(|error| outbox::Error::Invalid(error.to_string()).into())
}

/// Why nothing was published, erased, or set or cancelled as a timer. It displays as what failed, and why.
#[derive(Debug, Clone)]
pub struct PublishError {
    /// What the service was doing, for the operator: `cancelling a timer`.
    doing: &'static str,
    /// Why it failed.
    pub error: outbox::Error,
}

impl PublishError {
    fn when(doing: &'static str) -> impl FnOnce(outbox::Error) -> Self {
        move |error| Self { doing, error }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: {}", self.doing, self.error)
    }
}

impl From<outbox::Error> for PublishError {
    fn from(error: outbox::Error) -> Self {
        Self { doing: "publishing", error }
    }
}

impl From<PublishError> for Problem {
    fn from(failed: PublishError) -> Self {
        match failed.error {
            outbox::Error::StorageFull => Problem::storage_full(),
            outbox::Error::Busy => Error::Busy.into(),
            outbox::Error::Aborted(why) => Error::Aborted(why).into(),
            _ => Problem::internal(failed.to_string()),
        }
    }
}

/// Reads a row. If it can't be read as this type, the error has the statement that returned it.
fn read_row<T: FromRow>(statement: &str, columns: &[String], values: Vec<Value>) -> Result<T, Error> {
    T::from_row(&mut Row { columns, values, next: 0 }).map_err(|error| match error {
        Error::InvalidValue(text) => {
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            Error::InvalidValue(format!("{text}, in a row of: {statement}"))
        }
        other => other,
    })
}

/// A row of a result. Values are moved out of it, so that text is not copied.
#[derive(Debug)]
pub struct Row<'r> {
    columns: &'r [String],
    values: Vec<Value>,
    next: usize,
}

impl Row<'_> {
    /// Takes the value of the column with this name. Columns read in their order are found at once.
    pub fn take<T: Column>(&mut self, name: &str) -> Result<T, Error> {
        let position = match self.columns.get(self.next) {
            Some(column) if column == name => Some(self.next),
            _ => self.columns.iter().position(|column| column == name),
        };
        self.take_at(position.ok_or_else(|| Error::column(name, "is not in the result"))?)
    }

    /// Takes the value of the column at this position, from 0.
    pub fn take_at<T: Column>(&mut self, position: usize) -> Result<T, Error> {
        let value = self
            .values
            .get_mut(position)
            .map(|value| std::mem::replace(value, Value::Null))
            .ok_or_else(|| Error::column(&position.to_string(), "is not in the result"))?;
        self.next = position + 1;
        T::from_value(value).map_err(|message| {
            Error::column(self.columns.get(position).map_or("?", String::as_str), &message)
        })
    }
}

/// What a row can be read as: see [`row!`](crate::row); tuples are read by position.
pub trait FromRow: Sized {
    /// Reads it.
    fn from_row(row: &mut Row<'_>) -> Result<Self, Error>;
}

macro_rules! tuple_rows {
    ($( ($($name:ident $position:literal),+) )+) => { $(
        impl<$($name: Column),+> FromRow for ($($name,)+) {
            fn from_row(row: &mut Row<'_>) -> Result<Self, Error> {
                Ok(($( row.take_at::<$name>($position)?, )+))
            }
        }
    )+ };
}

tuple_rows! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HandleError, Parameter as _};

    crate::row! {
        struct Note { id: uuid::Uuid, body: String, stars: Option<i64> }
    }

    struct Fixed(ResultSet);

    impl Read for Fixed {
        fn query(&self, _: &str, _: &[Value]) -> Result<ResultSet, Error> {
            Ok(self.0.clone())
        }
    }

    fn result(columns: &[&str], row: &[Value]) -> Fixed {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Fixed(ResultSet { columns, rows: vec![row.to_vec()] })
    }

    #[test]
    fn rows_are_read_by_name_in_any_order() {
        let id = uuid::Uuid::from_u128(7);
        let fixed = result(&["stars", "id", "body"], &[Value::Null, id.parameter(), "b".parameter()]);
        let note: Note = fixed.query_one("", &[]).expect("a note");
        assert_eq!((note.id, note.body.as_str(), note.stars), (id, "b", None));
    }

    #[test]
    fn a_column_of_another_type_is_named_with_its_statement() {
        let fixed = result(&["id", "body", "stars"], &[Value::Integer(1), "b".parameter(), Value::Null]);
        let statement = "SELECT id,\n  body, stars FROM note";
        for (fixed, expected) in [
            (fixed, "the column id is an integer, not text"),
            (result(&["x"], &[Value::Null]), "the column id is not in the result"),
        ] {
            let error = fixed.query_one::<Note>(statement, &[]).unwrap_err();
            let Error::InvalidValue(text) = error else { panic!("{error:?}") };
            assert_eq!(text, format!("{expected}, in a row of: SELECT id, body, stars FROM note"));
        }
    }

    #[test]
    fn tuples_are_read_by_position() {
        let fixed = result(&["count", "sum"], &[Value::Integer(2), Value::Integer(9)]);
        assert_eq!(fixed.query_one::<(i64, i64)>("", &[]).expect("a row"), (2, 9));
    }

    #[test]
    fn the_message_for_the_operator_names_the_failed_operation() {
        let why = || outbox::Error::Invalid("the id is too long".to_owned());
        for (error, expected) in [
            (PublishError::from(why()), "publishing failed: "),
            (PublishError::when("cancelling a timer")(why()), "cancelling a timer failed: "),
        ] {
            let text = Problem::from(error.clone()).to_string();
            assert!(text.contains(expected) && text.contains("the id is too long"), "{text}");
            let HandleError::Reject(text) = error.into() else { panic!("it is wrong the next time too") };
            assert!(text.starts_with(expected) && text.contains("the id is too long"), "{text}");
        }
    }

    #[test]
    fn each_sql_error_maps_to_one_problem() {
        use crate::sql::{ConstraintKind, ConstraintViolation};
        let violation = ConstraintViolation { kind: ConstraintKind::Unique, name: "product.sku".to_owned() };
        for (error, status) in [
            (Error::ConstraintViolation(violation), 409),
            (Error::StorageFull, 507),
            (Error::Busy, 503),
            (Error::Interrupted, 504),
            (Error::Aborted("why".to_owned()), 503),
            (Error::InvalidStatement("no such table: x".to_owned()), 500),
        ] {
            assert_eq!(Problem::from(error).status(), status);
        }
    }
}
