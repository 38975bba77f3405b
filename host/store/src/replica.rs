//! Replicas: tables that a service can only read. The events of their owner keep them up to date.
//!
//! The host creates the table and applies the events, in the unit of work that moves the position in the owner's event log.

use bulkhead_types::{RESERVED_TABLE_PREFIXES, ServiceName};
use serde_json::Value as Json;

use crate::{Logged, StatementError, Value};

/// The reason has this text if an event was refused because a replica can't be made from it.
pub const NOT_MADE_FROM: &str = "are not what a replica is made from";

/// The type of a replica's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A JSON integer, or true and false as 1 and 0.
    Integer,
    /// A JSON number.
    Real,
}

impl ColumnType {
    /// The type that has this name in the manifest.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "integer" => Some(Self::Integer),
            "real" => Some(Self::Real),
            _ => None,
        }
    }

    /// The name of the type as a replica's declaration is recorded.
    #[must_use]
    pub fn declared(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
        }
    }

    /// Whether a column of this type can have this value, which is not null.
    #[must_use]
    pub fn takes(self, value: &Json) -> bool {
        self.cell(value).is_ok()
    }

    /// What a column of this type stores for a value that is not null. The error says what the value is not.
    fn cell(self, value: &Json) -> Result<Value, String> {
        match (value, self) {
            (Json::String(text), Self::Text) => Ok(Value::Text(text.clone())),
            (Json::Bool(value), Self::Integer) => Ok(Value::Integer((*value).into())),
            (Json::Number(number), Self::Integer) => {
                number.as_i64().map(Value::Integer).ok_or_else(|| "is no integer".to_owned())
            }
            (Json::Number(number), Self::Real) => {
                number.as_f64().map(Value::Real).ok_or_else(|| "is no number".to_owned())
            }
            _ => Err(format!("is not of the type {}", self.declared().to_lowercase())),
        }
    }
}

/// A column of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaColumn {
    /// Its name, which is also the name of the field in the events' data.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// The column's value if an event does not have the field: never null, and of the column's type.
    pub default: Option<Json>,
}

/// A replica as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSpec {
    /// The table.
    pub name: String,
    /// The service whose data it copies.
    pub owner: ServiceName,
    /// The type of event that contains the state of a row.
    pub upsert: String,
    /// The type of event that says that a row was deleted.
    pub delete: Option<String>,
    /// The key column: it has the events' subject.
    pub key: String,
    /// The columns with their types, including the key.
    pub columns: Vec<ReplicaColumn>,
}

/// Why an event can't be applied to a replica.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The data do not fit the columns.
    #[error("{0}")]
    Malformed(String),
    /// The row could not be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl ReplicaSpec {
    /// Whether events of this type update it.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.upsert == kind || self.delete.as_deref() == Some(kind)
    }

    /// The types of the events that update it.
    #[must_use]
    pub fn kinds(&self) -> [&str; 2] {
        [&self.upsert, self.delete.as_ref().unwrap_or(&self.upsert)]
    }

    /// The declaration that it was created with, as text: a different text means a different replica.
    #[must_use]
    pub fn text(&self) -> String {
        let columns: Vec<Json> = self
            .columns
            .iter()
            .map(|column| match &column.default {
                None => serde_json::json!([column.name, column.kind.declared()]),
                Some(default) => serde_json::json!([column.name, column.kind.declared(), default]),
            })
            .collect();
        serde_json::json!([self.owner, self.upsert, self.delete, self.key, columns]).to_string()
    }

    /// The values of a row: the fields of `data`, with the subject as the key. If a field is missing and `with_defaults` is set, the
    /// column's default is used.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Malformed`] if the data do not fit the columns.
    pub fn values(&self, event: &Logged, with_defaults: bool) -> Result<Vec<Value>, ApplyError> {
        let data: Json =
            serde_json::from_str(&event.data).map_err(|error| malformed(event, &error.to_string()))?;
        let mut values = Vec::with_capacity(self.columns.len());
        for ReplicaColumn { name, kind, default } in &self.columns {
            let cell = match data.get(name).or_else(|| default.as_ref().filter(|_| with_defaults)) {
                None => return Err(malformed(event, &format!("{name} is missing"))),
                Some(Json::Null) if *name != self.key => Value::Null,
                Some(value) => {
                    kind.cell(value).map_err(|what| malformed(event, &format!("{name} {what}")))?
                }
            };
            if *name == self.key && !matches!(&cell, Value::Text(text) if event.subject == text.as_str()) {
                return Err(malformed(event, &format!("{name} is not the event's subject")));
            }
            values.push(cell);
        }
        Ok(values)
    }
}

fn malformed(event: &Logged, what: &str) -> ApplyError {
    ApplyError::Malformed(format!("the data of {} {NOT_MADE_FROM}: {what}", event.kind))
}

/// Whether a replica, or a column of one, may have this name. Such a name needs only quotes in SQL.
#[must_use]
pub fn is_replica_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    first
        && name.len() <= 60
        && !RESERVED_TABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn column_accepts_only_values_of_its_type() {
        for (name, accepted) in
            [("text", [true, false, false, false]), ("integer", [false, true, false, true])]
        {
            let kind = ColumnType::named(name).expect(name);
            let values = [json!("a"), json!(1), json!(1.5), json!(true)];
            assert_eq!(values.map(|value| kind.takes(&value)), accepted, "{name}");
        }
        let real = ColumnType::named("real").expect("real");
        assert!(real.takes(&json!(1.5)) && real.takes(&json!(1)) && !real.takes(&json!("1.5")));
        assert!(ColumnType::named("blob").is_none());
    }

    #[test]
    fn replica_name_is_a_plain_identifier_not_reserved_by_the_host() {
        for name in ["a", "thing", "unit_weight2", &"a".repeat(60)] {
            assert!(is_replica_name(name), "{name}");
        }
        for name in ["", "A", "_a", "2a", "a-b", "a\"b", "é", &"a".repeat(61)] {
            assert!(!is_replica_name(name), "{name}");
        }
        for prefix in RESERVED_TABLE_PREFIXES {
            assert!(!is_replica_name(&format!("{prefix}a")), "{prefix}");
        }
    }
}
