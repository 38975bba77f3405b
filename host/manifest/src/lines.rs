//! At which line of the manifest each entry stands: so that what is wrong with one is told at its own line, and not at that of its section.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::report::Report;

/// The lines of a section's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    section: usize,
    /// By the entry's path in the section, `replica.notes.owner`, and for a text in a list also with that text: `publishes=note.written`.
    entries: BTreeMap<String, usize>,
}

impl Lines {
    /// Those of a section that begins at the line `section`.
    pub(super) fn of_table(section: usize, table: &DeTable<'_>, report: &Report<'_>) -> Self {
        let mut lines = Self { section, entries: BTreeMap::new() };
        lines.add("", table, report);
        lines
    }

    fn add(&mut self, prefix: &str, table: &DeTable<'_>, report: &Report<'_>) {
        for (key, value) in table.iter() {
            let path = format!("{prefix}{}", key.get_ref());
            self.entries.insert(path.clone(), report.line(&key.span()));
            match value.get_ref() {
                DeValue::Table(inner) => self.add(&format!("{path}."), inner, report),
                DeValue::Array(items) => {
                    for item in items.iter() {
                        let Some(text) = item.get_ref().as_str() else { continue };
                        self.entries.insert(format!("{path}={text}"), report.line(&item.span()));
                    }
                }
                _ => {}
            }
        }
    }

    /// The line of an entry; that of the section where there is none.
    #[must_use]
    pub fn of(&self, entry: &str) -> usize {
        self.entries.get(entry).copied().unwrap_or(self.section)
    }

    /// The line of a text in the list that an entry is.
    #[must_use]
    pub fn of_item(&self, entry: &str, text: &str) -> usize {
        self.entries.get(&format!("{entry}={text}")).copied().unwrap_or_else(|| self.of(entry))
    }
}
