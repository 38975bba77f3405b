//! The steps of a service's schema.

use crate::wit::exports::bulkhead::service::migrations::Migration as MigrationRecord;

/// One step. Once released it never changes.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
    reverse_sql: Option<&'static str>,
}

/// A migration from its file, whose path is relative to this source file: `migration!("../migrations/V0001__create_note.sql")`. A second
/// path is the path of the SQL that undoes it. A name that is not `V0001__verb_noun.sql` does not compile.
#[macro_export]
macro_rules! migration {
    ($path:literal) => {
        const { $crate::Migration::new($path, include_str!($path), None) }
    };
    ($path:literal, $reverse_path:literal) => {
        const { $crate::Migration::new($path, include_str!($path), Some(include_str!($reverse_path))) }
    };
}

impl Migration {
    /// A step by the path of its file. [`migration!`](crate::migration!) expands to it.
    ///
    /// # Panics
    /// Where the file's name is not like `V0001__create_note.sql`: at compile time.
    pub const fn new(path: &'static str, sql: &'static str, reverse_sql: Option<&'static str>) -> Self {
        let (version, name) = file_name(path);
        Self { version, name, sql, reverse_sql }
    }

    pub(crate) fn record(&self) -> MigrationRecord {
        MigrationRecord {
            version: self.version,
            name: self.name.to_owned(),
            sql: self.sql.to_owned(),
            reverse_sql: self.reverse_sql.map(str::to_owned),
        }
    }
}

/// The version and the name in the path of a migration.
const fn file_name(path: &str) -> (u32, &str) {
    let mut name = path;
    let mut rest = path;
    while let Some((first, after)) = rest.as_bytes().split_first() {
        // Only what comes after an ASCII byte is cut off, so it is UTF-8.
        rest = match std::str::from_utf8(after) {
            Ok(after) => after,
            Err(_) => "",
        };
        if *first == b'/' {
            name = rest;
        }
    }
    let [b'V', d1, d2, d3, d4, b'_', b'_', name @ ..] = name.as_bytes() else {
        invalid();
    };
    let [name @ .., b'.', b's', b'q', b'l'] = name else {
        invalid();
    };
    let Ok(name) = std::str::from_utf8(name) else {
        invalid();
    };
    assert!(!name.is_empty(), "the name of a migration's file is V0001__verb_noun.sql");
    let version = ((digit(*d1) * 10 + digit(*d2)) * 10 + digit(*d3)) * 10 + digit(*d4);
    (version, name)
}

const fn digit(digit: u8) -> u32 {
    assert!(digit.is_ascii_digit(), "the name of a migration's file is V0001__verb_noun.sql");
    (digit - b'0') as u32
}

#[expect(clippy::panic, reason = "it is called at compile time alone")]
const fn invalid() -> ! {
    panic!("the name of a migration's file is V0001__verb_noun.sql")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_gives_version_and_name() {
        assert_eq!(file_name("../migrations/V0012__create_note.sql"), (12, "create_note"));
        assert_eq!(file_name("V0001__a.sql"), (1, "a"));
    }

    #[test]
    fn other_names_are_refused() {
        for path in
            ["", "V1__a.sql", "V0001_a.sql", "V0001__.sql", "v0001__a.sql", "V000x__a.sql", "V0001__a.sql/b"]
        {
            assert!(std::panic::catch_unwind(|| file_name(path)).is_err(), "{path}");
        }
    }
}
