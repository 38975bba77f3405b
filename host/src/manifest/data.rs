//! What a service owns (`entity`) and which copies it keeps (`replica`).

use std::collections::BTreeMap;

use bulkhead_store::{ColumnType, ReplicaSpec, is_replica_name};

use super::Entity;
use super::section::{Report, Section};

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
        if !columns.iter().any(|(column, kind)| column == key && *kind == ColumnType::Text) {
            report.add(
                &key_span,
                format!("{qualified}.key: {key:?} is none of the columns of the type text; the key has the events' subject"),
            );
        }
        replicas.push(ReplicaSpec {
            name,
            owner: owner.to_owned(),
            upsert: upsert.to_owned(),
            delete: delete.map(|(kind, _)| kind.to_owned()),
            key: key.to_owned(),
            columns,
        });
    }
    replicas
}

fn read_columns(section: &Section<'_, '_>, report: &mut Report<'_>) -> Vec<(String, ColumnType)> {
    let mut columns = Vec::new();
    for (name, entry) in section.entries() {
        let kind = entry.text(report).and_then(ColumnType::named);
        match kind {
            Some(kind) if is_replica_name(&name) => columns.push((name, kind)),
            Some(_) => report.add(
                &entry.span,
                format!(
                    "{}: a column has lower-case letters, digits and _, and begins with a letter",
                    entry.name
                ),
            ),
            None => report.add(
                &entry.span,
                format!("{} is the type of a column: \"text\", \"integer\" or \"real\"", entry.name),
            ),
        }
    }
    columns
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
