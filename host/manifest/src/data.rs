//! What a service owns (`entity`) and which replicas it keeps (`replica`).

use std::collections::BTreeMap;

use bulkhead_store::{ColumnType, ReplicaColumn, ReplicaSpec, is_replica_name};
use toml::de::DeValue;

use super::Entity;
use super::report::Report;
use super::section::{Entry, Section};

/// The replicas of a service.
pub(super) fn read_replicas(section: &Section<'_, '_>, report: &mut Report<'_>) -> Vec<ReplicaSpec> {
    let mut replicas = Vec::new();
    for (name, entry) in section.entries() {
        if !is_replica_name(&name) {
            report.add(
                &entry.span,
                format!(
                    "{}: a replica is a table: its name has 1 to 60 lower-case letters, digits and _, and begins with a letter",
                    entry.name
                ),
            );
        }
        let Some(mut replica) = entry.table(report) else { continue };
        let owner = replica.required_string("owner", "owner = \"notes\"", report);
        let upsert = replica.required_string("upsert", "upsert = \"notes.changed\"", report);
        let delete = replica.string("delete", report);
        let key = replica.required_string("key", "key = \"id\"", report);
        let (span, qualified) = (replica.span.clone(), replica.name.clone());
        let columns = replica.table("columns", report).map(|columns| read_columns(&columns, report));
        if columns.as_ref().is_none_or(Vec::is_empty) {
            report.add(
                &span,
                format!("[{qualified}] lacks `columns`; write for example columns = {{ id = \"text\" }}"),
            );
        }
        replica.finish(report);
        let (Some((owner, _)), Some((upsert, _)), Some((key, key_span)), Some(columns)) =
            (owner, upsert, key, columns)
        else {
            continue;
        };
        let of_key = columns.iter().find(|column| column.name == key);
        if of_key.is_none_or(|column| column.kind != ColumnType::Text) {
            report.add(
                &key_span,
                format!("{qualified}.key: {key:?} is none of the columns of the type text; the key has the events' subject"),
            );
        } else if of_key.is_some_and(|column| column.default.is_some()) {
            report.add(
                &key_span,
                format!("{qualified}.key: the column {key:?} has a default; every event has its own key: remove the default"),
            );
        }
        replicas.push(ReplicaSpec {
            name,
            owner: owner.into(),
            upsert: upsert.to_owned(),
            delete: delete.map(|(kind, _)| kind.to_owned()),
            key: key.to_owned(),
            columns,
        });
    }
    replicas
}

fn read_columns(section: &Section<'_, '_>, report: &mut Report<'_>) -> Vec<ReplicaColumn> {
    let mut columns = Vec::new();
    for (name, entry) in section.entries() {
        if !is_replica_name(&name) {
            report.add(
                &entry.span,
                format!(
                    "{}: a column has lower-case letters, digits and _, and begins with a letter",
                    entry.name
                ),
            );
        }
        columns.extend(read_column(name, entry, report));
    }
    columns
}

/// A column: its type, or a table with its type and its default.
fn read_column(name: String, entry: Entry<'_, '_>, report: &mut Report<'_>) -> Option<ReplicaColumn> {
    let (span, qualified) = (entry.span.clone(), entry.name.clone());
    let of_type = |text: Option<&str>, report: &mut Report<'_>| {
        let kind = text.and_then(ColumnType::named);
        if kind.is_none() {
            report.add(
                &span,
                format!(
                    "{qualified} is the type of a column, \"text\", \"integer\" or \"real\", or has it with a default: write for example \
                     {{ type = \"text\", default = \"\" }}"
                ),
            );
        }
        kind
    };
    if entry.value.as_table().is_none() {
        let kind = of_type(entry.value.as_str(), report)?;
        return Some(ReplicaColumn { name, kind, default: None });
    }
    let mut section = entry.table(report)?;
    let kind = section.take("type").and_then(|entry| entry.value.as_str());
    let default = section.take("default");
    section.finish(report);
    let kind = of_type(kind, report)?;
    let default = match default {
        None => None,
        Some(entry) => {
            let value = json(entry.value).filter(|value| kind.takes(value));
            if value.is_none() {
                report.add(
                    &entry.span,
                    format!(
                        "{}: a default is of its column's type, a string for text, an integer or a boolean for integer, a number for real",
                        entry.name
                    ),
                );
                return None;
            }
            value
        }
    };
    Some(ReplicaColumn { name, kind, default })
}

/// A string, a number or a boolean, as an event would have it.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    match value {
        DeValue::String(text) => Some(text.to_string().into()),
        DeValue::Boolean(value) => Some((*value).into()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Into::into),
        DeValue::Float(number) => {
            number.as_str().parse().ok().and_then(serde_json::Number::from_f64).map(Into::into)
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The entities of a service.
pub(super) fn read_entities(section: &Section<'_, '_>, report: &mut Report<'_>) -> BTreeMap<String, Entity> {
    let mut entities = BTreeMap::new();
    for (name, entry) in section.entries() {
        let Some(mut entity) = entry.table(report) else { continue };
        let select = entity.required_string("select", "select = \"SELECT id, name FROM note\"", report);
        let deleted = entity.string("deleted", report);
        entity.finish(report);
        if let Some((select, _)) = select {
            let deleted = deleted.map(|(kind, _)| kind.to_owned());
            entities.insert(name, Entity { select: select.to_owned(), deleted });
        }
    }
    entities
}
