//! Checks whether references from one service to another's data point to existing entities.

use std::collections::HashSet;

use bulkhead_store::{Database, Reference, Value};
use bulkhead_types::ServiceName;

use super::Report;
use crate::application::Application;

/// A column with each of its values, and the number of rows that have the value.
type Referred = (Reference, Vec<(Value, i64)>);

pub(super) fn check(application: &Application, report: &mut Report) {
    for (name, service_entry) in application.service_entries() {
        let Some(database) = service_entry.consumer.database() else { continue };
        match referred(&*database.database) {
            Ok(columns) => {
                for (reference, values) in columns {
                    let place = format!("{}.{}", reference.table, reference.column);
                    report.references += values.len() as u64;
                    if let Err(error) = look(application, name, &reference, values, report) {
                        report.failed(name, place, &error);
                    }
                }
            }
            Err(error) => report.failed(name, "references".to_owned(), &error),
        }
    }
}

fn referred(database: &dyn Database) -> Result<Vec<Referred>, String> {
    let inspector = database.inspector().map_err(|error| error.to_string())?;
    let mut columns = Vec::new();
    for reference in inspector.references().map_err(|error| error.to_string())? {
        let mut values = Vec::new();
        inspector
            .referred(&reference, &mut |value, count| values.push((value, count)))
            .map_err(|error| error.to_string())?;
        columns.push((reference, values));
    }
    Ok(columns)
}

/// Looks up each value at the owner. The owner is read after the column.
fn look(
    application: &Application,
    service: &ServiceName,
    reference: &Reference,
    values: Vec<(Value, i64)>,
    report: &mut Report,
) -> Result<(), String> {
    let manifest = application.manifest();
    let owner = manifest
        .services
        .iter()
        .find_map(|(owner, entry)| Some((owner, entry.entities.get(&reference.entity)?)));
    let Some((owner, entity)) = owner else {
        return Err(format!(
            "no service owns {}: add [service.OWNER.entity.{}] with its select",
            reference.entity, reference.entity
        ));
    };
    let Some(database) = application.database(owner) else {
        return Err(format!("{owner} has no database"));
    };
    let inspector = database.inspector().map_err(|error| error.to_string())?;
    let mut ids = HashSet::new();
    let mut found = Vec::new();
    let columns =
        inspector.select(&entity.select, &mut |row| found.push(row)).map_err(|error| error.to_string())?;
    let Some(id) = columns.iter().position(|column| column == "id") else {
        return Err(format!("the select of the entity {} gives no column id", reference.entity));
    };
    for row in found {
        if let Some(Value::Text(id)) = row.into_iter().nth(id) {
            ids.insert(id);
        }
    }
    for (value, rows) in values {
        let text = match value {
            Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        if ids.contains(&text) {
            continue;
        }
        let gone = match &entity.deleted {
            Some(kind) => {
                inspector.was_published(kind, &text.as_str().into()).map_err(|error| error.to_string())?
            }
            None => false,
        };
        if !gone {
            let plural = if rows == 1 { "row refers" } else { "rows refer" };
            let detail =
                format!("{rows} {plural} to it, and {owner} neither has nor had such a {}", reference.entity);
            report.add(
                "reference",
                service,
                format!("{}.{}", reference.table, reference.column),
                text,
                detail,
            );
        }
    }
    Ok(())
}
