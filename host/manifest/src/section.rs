//! Reads the entries of a TOML table one by one, and reports what is wrong, missing or unknown.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use bulkhead_types::limits::DURATION_MAX;
use bytesize::ByteSize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Lines;
use super::report::Report;

/// A table whose entries are being read.
pub(super) struct Section<'s, 'i> {
    /// Its name in messages: `service.notes.limits`.
    pub(super) name: String,
    pub(super) span: Range<usize>,
    table: &'s DeTable<'i>,
    known: Vec<&'static str>,
}

/// An entry's value, its name and its place.
pub(super) struct Entry<'s, 'i> {
    pub(super) value: &'s DeValue<'i>,
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl<'s, 'i> Section<'s, 'i> {
    pub(super) fn new(name: impl Into<String>, span: Range<usize>, table: &'s DeTable<'i>) -> Self {
        Self { name: name.into(), span, table, known: Vec::new() }
    }

    /// All entries, whatever their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, Entry<'s, 'i>)> + use<'_, 's, 'i> {
        self.table.iter().map(|(key, value)| {
            let name = qualified(&self.name, key.get_ref());
            (key.get_ref().to_string(), Entry { value: value.get_ref(), name, span: key.span() })
        })
    }

    /// The lines of its entries.
    pub(super) fn lines(&self, report: &Report<'_>) -> Lines {
        Lines::of_table(report.line(&self.span), self.table, report)
    }

    /// The position of an entry. If there is no such entry, the position of the section.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span.clone(), |(found, _)| found.span())
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'s, 'i>> {
        self.known.push(key);
        let (found, value): (&Spanned<_>, _) = self.table.get_key_value(key)?;
        let name = qualified(&self.name, key);
        Some(Entry { value: value.get_ref(), name, span: found.span() })
    }

    pub(super) fn table(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Section<'s, 'i>> {
        let entry = self.take(key)?;
        entry.table(report)
    }

    pub(super) fn string(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
    ) -> Option<(&'s str, Range<usize>)> {
        let entry = self.take(key)?;
        let text = entry.text(report)?;
        Some((text, entry.span))
    }

    pub(super) fn required_string(
        &mut self,
        key: &'static str,
        example: &str,
        report: &mut Report<'_>,
    ) -> Option<(&'s str, Range<usize>)> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            report.add(&self.span, format!("[{}] lacks `{key}`; write for example {example}", self.name));
            return None;
        }
        self.string(key, report)
    }

    pub(super) fn strings(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
    ) -> Vec<(String, Range<usize>)> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        let Some(array) = entry.value.as_array() else {
            report.add(
                &entry.span,
                format!("{} is a list of strings, and this is {}", entry.name, kind(entry.value)),
            );
            return Vec::new();
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push((text.to_owned(), item.span())),
                None => report.add(
                    &item.span(),
                    format!("{} is a list of strings, and this is {}", entry.name, kind(item.get_ref())),
                ),
            }
        }
        strings
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<bool> {
        let entry = self.take(key)?;
        let value = entry.value.as_bool();
        if value.is_none() {
            report.add(
                &entry.span,
                format!("{} is true or false, and this is {}", entry.name, kind(entry.value)),
            );
        }
        value
    }

    /// A duration with its unit, such as `"2s"`.
    pub(super) fn duration(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Duration> {
        let entry = self.take(key)?;
        let text = entry.with_unit("\"2s\" or \"100ms\"", report)?;
        match humantime::parse_duration(text) {
            Ok(duration) if !duration.is_zero() && duration <= DURATION_MAX => Some(duration),
            Ok(_) => {
                report.add(
                    &entry.span,
                    format!("{} is more than nothing and at most an hour, for example \"100ms\"", entry.name),
                );
                None
            }
            Err(error) => {
                report.add(
                    &entry.span,
                    format!("{}: {text:?} is no duration ({error}); write for example \"100ms\"", entry.name),
                );
                None
            }
        }
    }

    /// A number of bytes with its unit, such as `"64MiB"`.
    pub(super) fn bytes(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<u64> {
        let entry = self.take(key)?;
        let text = entry.with_unit("\"64MiB\"", report)?;
        match ByteSize::from_str(text) {
            Ok(size) if size.as_u64() > 0 => Some(size.as_u64()),
            Ok(_) => {
                report
                    .add(&entry.span, format!("{} is more than nothing, for example \"64MiB\"", entry.name));
                None
            }
            Err(_) => {
                report.add(
                    &entry.span,
                    format!("{}: {text:?} is no number of bytes; write for example \"64MiB\"", entry.name),
                );
                None
            }
        }
    }

    /// A number from 1 to `maximum`.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        maximum: usize,
        report: &mut Report<'_>,
    ) -> Option<usize> {
        let entry = self.take(key)?;
        let number = entry.value.as_integer().and_then(|number| {
            let digits = number.as_str();
            (number.radix() == 10).then(|| digits.parse::<usize>().ok()).flatten()
        });
        match number {
            Some(number) if (1..=maximum).contains(&number) => Some(number),
            _ => {
                report.add(&entry.span, format!("{} is a number from 1 to {maximum}", entry.name));
                None
            }
        }
    }

    /// Reports the entries that were not read.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for (key, _) in self.table.iter() {
            if !self.known.iter().any(|known| known == key.get_ref()) {
                report.add(
                    &key.span(),
                    format!(
                        "[{}] has an entry `{}` that is not known; the entries are {}",
                        self.name,
                        key.get_ref(),
                        self.known.join(", ")
                    ),
                );
            }
        }
    }
}

impl<'s, 'i> Entry<'s, 'i> {
    pub(super) fn table(self, report: &mut Report<'_>) -> Option<Section<'s, 'i>> {
        match self.value.as_table() {
            Some(table) => Some(Section::new(self.name, self.span, table)),
            None => {
                report.add(&self.span, format!("{} is a table, and this is {}", self.name, kind(self.value)));
                None
            }
        }
    }

    pub(super) fn text(&self, report: &mut Report<'_>) -> Option<&'s str> {
        let text = self.value.as_str();
        if text.is_none() {
            report.add(&self.span, format!("{} is a string, and this is {}", self.name, kind(self.value)));
        }
        text
    }

    fn with_unit(&self, example: &str, report: &mut Report<'_>) -> Option<&'s str> {
        match self.value.as_str() {
            Some(text) if text.bytes().any(|byte| byte.is_ascii_alphabetic()) => Some(text),
            _ => {
                report.add(
                    &self.span,
                    format!("{} has its unit with it: write for example {example}", self.name),
                );
                None
            }
        }
    }
}

fn qualified(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
