//! SQL: parameters, rows and errors.
//!
//! An error becomes a problem in one place (`From<Error> for Problem`), so `?` is enough. A service that has a better word for a constraint
//! matches on [`Error::constraint`] first.

use uuid::Uuid;

use crate::problem::Problem;
pub use crate::wit::bulkhead::service::sql::{
    ConstraintKind, ConstraintViolation, Error, ExecuteResult, ResultSet, Value,
};

/// A value that can be bound to a statement.
pub trait Parameter {
    /// The value as SQLite stores it.
    fn parameter(&self) -> Value;
}

/// A value that can be read from a column.
pub trait Column: Sized {
    /// Reads it. The error is for the operator.
    fn from_value(value: Value) -> Result<Self, String>;
}

/// The parameters of a statement, in the order of `?1`, `?2`, …
///
/// ```
/// let parameters = bulkhead_sdk::params!["27334", 5, None::<bool>];
/// assert_eq!(parameters.len(), 3);
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$( $crate::Parameter::parameter(&$value) ),*] };
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn parameter(&self) -> Value {
        (**self).parameter()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn parameter(&self) -> Value {
        self.as_ref().map_or(Value::Null, Parameter::parameter)
    }
}

impl<T: Column> Column for Option<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// As it is.
impl Parameter for Value {
    fn parameter(&self) -> Value {
        self.clone()
    }
}

/// As it is.
impl Column for Value {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(value)
    }
}

impl Parameter for i64 {
    fn parameter(&self) -> Value {
        Value::Integer(*self)
    }
}

impl Parameter for i32 {
    fn parameter(&self) -> Value {
        Value::Integer(i64::from(*self))
    }
}

impl Column for i64 {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Integer(number) => Ok(number),
            other => Err(mismatch("an integer", &other)),
        }
    }
}

impl Parameter for f64 {
    fn parameter(&self) -> Value {
        Value::Real(*self)
    }
}

impl Column for f64 {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Real(number) => Ok(number),
            other => Err(mismatch("a real", &other)),
        }
    }
}

/// 0 or 1.
impl Parameter for bool {
    fn parameter(&self) -> Value {
        Value::Integer(i64::from(*self))
    }
}

impl Column for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Integer(0) => Ok(false),
            Value::Integer(1) => Ok(true),
            other => Err(mismatch("0 or 1", &other)),
        }
    }
}

impl Parameter for str {
    fn parameter(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl Parameter for String {
    fn parameter(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Column for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(mismatch("text", &other)),
        }
    }
}

impl Parameter for [u8] {
    fn parameter(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl Parameter for Vec<u8> {
    fn parameter(&self) -> Value {
        Value::Blob(self.clone())
    }
}

impl Column for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Blob(bytes) => Ok(bytes),
            other => Err(mismatch("a blob", &other)),
        }
    }
}

/// Text, in lower case with hyphens.
impl Parameter for Uuid {
    fn parameter(&self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Column for Uuid {
    fn from_value(value: Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        Uuid::parse_str(&text).map_err(|_| format!("{text:?} is no UUID"))
    }
}

fn mismatch(expected: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "NULL",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "text",
        Value::Blob(_) => "a blob",
    };
    format!("is {found}, not {expected}")
}

impl Error {
    /// The constraint that refused the write: its kind and its name.
    pub fn constraint(&self) -> Option<(ConstraintKind, &str)> {
        match self {
            Error::ConstraintViolation(violation) => Some((violation.kind, &violation.name)),
            _ => None,
        }
    }

    /// A column of a result that is not what the code expects.
    pub(crate) fn column(name: &str, message: &str) -> Self {
        Error::InvalidValue(format!("the column {name} {message}"))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::ConstraintViolation(ConstraintViolation { kind, name }) => conflict(kind, &name),
            Error::StorageFull => Problem::storage_full(),
            Error::Interrupted => Problem::deadline_exceeded(),
            Error::Busy => Problem::unavailable("the service is busy writing"),
            Error::Aborted(why) => Problem::unavailable("the unit of work was aborted; nothing was written")
                .for_the_operator(format!("the unit of work was aborted: {why}")),
            error => Problem::internal(format!("SQL failed: {error}")),
        }
    }
}

fn conflict(kind: ConstraintKind, name: &str) -> Problem {
    let (kind, detail) = match kind {
        ConstraintKind::Unique | ConstraintKind::PrimaryKey => {
            ("unique", "there is another one with this value")
        }
        ConstraintKind::ForeignKey => {
            ("foreign-key", "it refers to what is not there, or something refers to it")
        }
        ConstraintKind::Check => ("check", "a value is outside of what is allowed"),
        ConstraintKind::NotNull => ("not-null", "a value is missing"),
        ConstraintKind::Datatype => ("datatype", "a value is of another type"),
        ConstraintKind::Trigger => ("trigger", "a rule of the data does not allow it"),
        ConstraintKind::Other => ("other", "a constraint does not allow it"),
    };
    // The kind is used for constraints to which SQLite gives no name.
    Problem::conflict(detail).with("constraint", if name.is_empty() { kind } else { name })
}
