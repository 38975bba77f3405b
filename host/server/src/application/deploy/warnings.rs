//! Facts to know before a version serves. They are no reason to refuse it.

use bulkhead_store::Migration;

/// The number of characters of a statement that a warning shows.
const SHOWN: usize = 200;

/// Warns about steps without reverse SQL: after them there is no way back to `before`.
pub(super) fn irreversible(service: &str, before: &str, steps: &[&Migration]) -> Vec<String> {
    let warning = |step: &&Migration| {
        format!(
            "V{:04}__{} has no reverse SQL: once it was made, `bulkhead rollback {service}` can't go back to {before}; write one, and name it \
             as the second argument of migration!, or be ready to deploy a version that goes on from there",
            step.version, step.name
        )
    };
    steps.iter().filter(|step| step.reverse.is_none()).map(warning).collect()
}

/// Warns about steps whose reverse SQL leaves the columns of a table in a different order.
pub(super) fn reordered(found: &[(u32, String, String)]) -> Vec<String> {
    let warning = |(version, name, table): &(u32, String, String)| {
        format!(
            "the reverse SQL of V{version:04}__{name} arranges the columns of {table} otherwise: a statement without \
             their names, such as SELECT * or INSERT without a list, gets others; name them, or rebuild the table"
        )
    };
    found.iter().map(warning).collect()
}

/// Warns about statements that do not fit the schema.
pub(in crate::application) fn unsuited(found: &[(&str, String)]) -> Vec<String> {
    let warning = |(sql, why): &(&str, String)| {
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = sql.chars().take(SHOWN).collect();
        let more = if shown.len() < sql.len() { "…" } else { "" };
        format!("the component has the statement `{shown}{more}`, and the schema does not suit it: {why}")
    };
    found.iter().map(warning).collect()
}
