//! The line of each manifest entry, so that an error is reported at the line of its entry and not at that of its section.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::report::Report;

/// The lines of a section's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    section: usize,
    /// By the entry's path in the section, `replica.notes.owner`. A text in a list also has a key with that text: `publishes=note.written`.
    entries: BTreeMap<String, usize>,
}

impl Lines {
    /// The lines of a section that begins at the line `section`.
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

    /// The line of an entry. If there is no such entry, the line of the section.
    #[must_use]
    pub fn of(&self, entry: &str) -> usize {
        self.entries.get(entry).copied().unwrap_or(self.section)
    }

    /// The line of a text in an entry that is a list.
    #[must_use]
    pub fn of_item(&self, entry: &str, text: &str) -> usize {
        self.entries.get(&format!("{entry}={text}")).copied().unwrap_or_else(|| self.of(entry))
    }
}
