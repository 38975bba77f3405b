//! A service's schema, independent of how it is written: to check whether reverse SQL restores the schema.
//!
//! SQLite keeps the text of each CREATE, and ALTER TABLE changes that text. So the texts of one table may differ in whitespace, comments,
//! quotes, the case of ASCII letters in names, and the order of columns (a column that was dropped and added again is the last). Here each
//! object is a list of lines without these differences: for a table one line for each column and constraint; for an index, a trigger or a
//! view its tokens. Lines are compared as a set. A different order of columns is reported separately.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::system;
use crate::tokens::tokens;

/// The service's own objects, by kind and name, each as its lines in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema(BTreeMap<String, Vec<String>>);

impl Schema {
    /// Reads the schema. Leaves out the host's tables and the replicas, which migrations can't change, and the tables that a virtual table
    /// creates for itself.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let own = system::names_in_sql();
        let sql = format!(
            "SELECT object.type, lower(object.name), object.sql FROM sqlite_schema AS object
             LEFT JOIN pragma_table_list AS listed ON listed.name = object.name AND listed.schema = 'main'
             WHERE object.sql IS NOT NULL AND object.tbl_name NOT IN ({own}) AND object.name NOT LIKE 'sqlite~_%' ESCAPE '~'
             AND coalesce(listed.type, '') <> 'shadow'
             AND lower(object.tbl_name) NOT IN (SELECT lower(name) FROM _bulkhead_replica)"
        );
        let mut statement = connection.prepare(&sql)?;
        let objects = statement.query_map([], |row| {
            let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((format!("{kind} {name}"), lines(&kind, &sql)))
        })?;
        Ok(Self(objects.collect::<rusqlite::Result<_>>()?))
    }

    /// What is missing in `after` and what is there in addition, each as the end of a sentence. Empty if the two are the same.
    pub(super) fn differences(&self, after: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, lines) in &self.0 {
            match after.0.get(name) {
                None => found.push(format!("{name} is missing")),
                Some(there) => {
                    let [lines, there] = [lines, there].map(|lines| lines.iter().collect::<BTreeSet<_>>());
                    let missing = lines.difference(&there).map(|line| format!("{name} lacks `{line}`"));
                    let added = there.difference(&lines).map(|line| format!("{name} has `{line}`"));
                    found.extend(missing.chain(added));
                }
            }
        }
        let new = after.0.keys().filter(|name| !self.0.contains_key(*name));
        found.extend(new.map(|name| format!("{name} is left")));
        found
    }

    /// The tables whose columns are the same in `after`, but in another order, each as `table NAME`.
    pub(super) fn reordered<'s>(&'s self, after: &'s Self) -> impl Iterator<Item = &'s str> {
        let is_reordered = move |(name, lines): &(&String, &Vec<String>)| {
            let Some(there) = after.0.get(*name) else { return false };
            let [before, after] = [*lines, there].map(|lines| columns(lines));
            let [sorted, there] = [&before, &after].map(|columns| columns.iter().collect::<BTreeSet<_>>());
            before != after && sorted == there
        };
        self.0.iter().filter(is_reordered).map(|(name, _)| name.as_str())
    }
}

/// The lines of a table that define columns.
fn columns(lines: &[String]) -> Vec<&String> {
    const OTHERS: [&str; 7] = ["constraint", "primary", "unique", "check", "foreign", "strict", "without"];
    let is_column = |line: &&String| !OTHERS.contains(&line.split(' ').next().unwrap_or_default());
    lines.iter().filter(is_column).collect()
}

/// The lines of one object.
fn lines(kind: &str, sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let is_virtual = tokens.get(1).is_some_and(|token| token == "virtual");
    let body = tokens.iter().position(|token| token == "(");
    match body {
        Some(start) if kind == "table" && !is_virtual => {
            definitions(tokens.get(start + 1..).unwrap_or_default())
        }
        _ => vec![tokens.join(" ")],
    }
}

/// The definitions of a table between its parentheses, and the options after them (`STRICT`, `WITHOUT ROWID`).
fn definitions(body: &[String]) -> Vec<String> {
    let (mut found, mut definition, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for token in body {
        match (token.as_str(), depth) {
            // The end of a column or a constraint; after the last parenthesis, of an option.
            ("," | ")", 0) => {
                found.push(definition.join(" "));
                definition.clear();
                continue;
            }
            ("(", _) => depth += 1,
            (")", _) => depth -= 1,
            _ => {}
        }
        definition.push(token.as_str());
    }
    found.push(definition.join(" "));
    found.retain(|line| !line.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::Schema;

    fn schema(sql: &str) -> Schema {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE _bulkhead_replica (name TEXT, spec TEXT)").unwrap();
        connection.execute_batch(sql).unwrap();
        Schema::read(&connection).unwrap()
    }

    fn differences(before: &str, after: &str) -> Vec<String> {
        schema(before).differences(&schema(after))
    }

    const NOTE: &str = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (body <> 'a, (b'), at TEXT) STRICT;";

    #[test]
    fn sign_of_a_number_is_a_difference() {
        let table = |check: &str| format!("CREATE TABLE t (a INTEGER CHECK (a > {check})) STRICT;");
        assert!(!differences(&table("-1"), &table("1")).is_empty());
    }

    /// SQLite ignores the case of ASCII letters only.
    #[test]
    fn names_that_sqlite_distinguishes_differ() {
        for (before, after) in [("größe", "grÖße"), ("a", "\u{a0}a")] {
            let table =
                |column: &str| format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {column} TEXT) STRICT;");
            assert!(!differences(&table(before), &table(after)).is_empty(), "{before} {after}");
        }
        let (upper, lower) = ("CREATE TABLE t (ID TEXT) STRICT;", "CREATE TABLE T (id TEXT) STRICT;");
        assert_eq!(differences(upper, lower), Vec::<String>::new());
    }

    #[test]
    fn equivalent_schemas_with_different_text_are_equal() {
        for otherwise in [
            "create table \"note\"(id INTEGER primary key, -- the id, of it\n Body text /* , */ NOT NULL CHECK(body<>'a, (b'), [at] TEXT)STRICT;",
            "CREATE TABLE x (id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (body <> 'a, (b'), at TEXT) STRICT; ALTER TABLE x RENAME TO note;",
            "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (body <> 'a, (b'), at TEXT, b TEXT) STRICT;
             ALTER TABLE note DROP COLUMN b;",
            "CREATE TABLE note (id INTEGER PRIMARY KEY, at TEXT, body TEXT NOT NULL CHECK (body <> 'a, (b')) STRICT;",
            "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (body <> 'a, (b')) STRICT; ALTER TABLE note ADD COLUMN at TEXT;",
            "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (body <> 'a, (b'), `when` TEXT) STRICT;
             ALTER TABLE note RENAME COLUMN \"when\" TO at;",
        ] {
            assert_eq!(differences(NOTE, otherwise), Vec::<String>::new(), "{otherwise}");
        }
        let all = "CREATE INDEX i ON note (at); CREATE VIEW v AS SELECT id FROM note; CREATE VIRTUAL TABLE s USING fts5 (body);
             CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO s (rowid, body) VALUES (new.id, new.body); END;";
        let again = "CREATE INDEX i  ON \"note\"(AT); CREATE VIEW v AS SELECT id FROM note; CREATE VIRTUAL TABLE s USING fts5(body);
             CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO s(rowid, body) VALUES (new.id,new.body); END;";
        assert_eq!(differences(&format!("{NOTE}{all}"), &format!("{NOTE}{again}")), Vec::<String>::new());
    }

    #[test]
    fn different_order_of_columns_is_detected() {
        let plain = |columns: &str| schema(&format!("CREATE TABLE note ({columns}); CREATE TABLE p (a, b);"));
        let before = plain("a TEXT, b INTEGER, c");
        for (after, reordered) in [
            ("a TEXT, c, b INTEGER", &["table note"][..]),
            ("A text, b INTEGER,  c", &[]),
            ("a TEXT, c", &[]),
            ("a TEXT, c, b", &[]),
            ("a TEXT, b INTEGER, c, UNIQUE (a), CHECK (b > 1)", &[]),
            ("c, b INTEGER, a TEXT, UNIQUE (a)", &["table note"]),
        ] {
            let after = plain(after);
            assert_eq!(before.reordered(&after).collect::<Vec<_>>(), reordered, "{after:?}");
        }
    }

    #[test]
    fn every_difference_is_reported() {
        let plain = |columns: &str| format!("CREATE TABLE note ({columns});");
        for (before, after, expected) in [
            (NOTE, "", vec!["table note is missing"]),
            ("", NOTE, vec!["table note is left"]),
            (NOTE, &NOTE.replace(" STRICT", ""), vec!["table note lacks `strict`"]),
            (
                NOTE,
                &NOTE.replace("'a, (b'", "'A, (b'"),
                vec![
                    "table note lacks `body text not null check ( body < > 'a, (b' )`",
                    "table note has `body text not null check ( body < > 'A, (b' )`",
                ],
            ),
            (
                &plain("a TEXT COLLATE NOCASE"),
                &plain("a TEXT"),
                vec!["table note lacks `a text collate nocase`", "table note has `a text`"],
            ),
            (
                &plain("a, b DEFAULT 1"),
                &plain("a, b"),
                vec!["table note lacks `b default 1`", "table note has `b`"],
            ),
            (
                &plain("a PRIMARY KEY, b, UNIQUE (b)"),
                &plain("a PRIMARY KEY, b"),
                vec!["table note lacks `unique ( b )`"],
            ),
            (
                "CREATE TABLE p (a); CREATE INDEX i ON p (a) WHERE a > 1; CREATE INDEX j ON p (a);",
                "CREATE TABLE p (a); CREATE INDEX i ON p (a);",
                vec![
                    "index i lacks `create index i on p ( a ) where a > 1`",
                    "index i has `create index i on p ( a )`",
                    "index j is missing",
                ],
            ),
        ] {
            assert_eq!(differences(before, after), expected, "{before}\n{after}");
        }
    }
}
