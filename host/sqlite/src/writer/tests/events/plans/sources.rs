//! The host's statements, as they are written in the sources of this crate, the only crate that has SQL.

use std::path::{Path, PathBuf};

use bulkhead_store::{ColumnType, ReplicaColumn, ReplicaSpec};

use crate::replica::sql::{delete_statement, upsert_statement};
use crate::statement::HOST_MARK;

/// A statement, and the file that contains it.
pub(super) struct Statement {
    pub(super) place: String,
    pub(super) sql: String,
}

/// The words that a statement begins with.
const VERBS: [&str; 6] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "WITH "];

/// The statements of this file are run once, when a database is created or upgraded. Statements of triggers are seen with the statements
/// that run them.
const STEPS: &str = "system.rs";
/// Here statements are built from what the manifest says: see [`of_replicas`]. One more statement fills a new replica, at a start.
const REPLICA: &str = "replica/";

/// All statements. A part that is filled in at run time is filled in here: a new such part must be added here.
pub(super) fn statements() -> Vec<Statement> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in files(&root) {
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests are at the end of a file.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let place = file.strip_prefix(&root).unwrap().display().to_string();
        let literals = literals(text);
        let columns =
            literals.iter().find(|literal| text.contains(&format!("COLUMNS: &str = \"{literal}\"")));
        let columns = columns.or_else(|| {
            literals.iter().find(|literal| text.contains(&format!("COLUMNS: &str =\n    \"{literal}\"")))
        });
        for literal in literals.iter().filter(|_| place != STEPS) {
            let marked = literal.starts_with(HOST_MARK);
            let literal = literal.replace(HOST_MARK, "");
            let statements = literal.split(';').map(str::trim).filter(|sql| is_statement(sql, marked));
            let made =
                |sql: &str| place.starts_with(REPLICA) && (sql.contains("{}") || sql.contains("{name}"));
            for sql in statements.filter(|sql| !made(sql)) {
                let sql = filled_in(sql, columns.map(String::as_str), &place);
                found.push(Statement { place: place.clone(), sql });
            }
        }
    }
    found.extend(of_replicas());
    found
}

/// What is all made when it runs is known in one file.
fn is_statement(text: &str, marked: bool) -> bool {
    VERBS.iter().any(|verb| text.starts_with(verb)) || marked && text.starts_with('{')
}

/// The statements that write a replica are built from its columns.
fn of_replicas() -> impl Iterator<Item = Statement> {
    let column = |name: &str, kind| ReplicaColumn { name: name.to_owned(), kind, default: None };
    let replica = ReplicaSpec {
        name: "item".into(),
        owner: "book".into(),
        upsert: "book.changed".into(),
        delete: None,
        key: "id".into(),
        columns: vec![column("id", ColumnType::Text), column("n", ColumnType::Integer)],
    };
    let sql = [upsert_statement(&replica, "item"), delete_statement(&replica, "item")];
    sql.into_iter().map(|sql| Statement { place: REPLICA.into(), sql: sql.replace(HOST_MARK, "") })
}

fn filled_in(sql: &str, columns: Option<&str>, place: &str) -> String {
    let sql = sql.replace("{COLUMNS}", columns.unwrap_or("{COLUMNS}"));
    let known = [
        ("{PARKED_LISTED_MAX}", "1000"),
        ("{own}", "'a'"),
        ("NOT IN ({})", "NOT IN ('a')"),
        ("substr({name}", "substr(\"body\""),
        ("\"{quoted}\"", "\"note\""),
        ("{column}", "\"body\""),
        ("{table}", "\"note\""),
    ];
    let sql = known.iter().fold(sql, |sql, (part, text)| sql.replace(part, text));
    assert!(!sql.contains('{'), "{place}: say here what stands for the braces in: {sql}");
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                found.extend(files(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The texts of the string literals of a source, without their escapes.
fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if characters.peek() == Some(&'/') => {
                characters.by_ref().take_while(|character| *character != '\n').for_each(drop);
            }
            // A quote as a character literal, and an escaped character.
            '\'' if characters.peek() == Some(&'"') => drop(characters.next()),
            '\'' if characters.peek() == Some(&'\\') => {
                characters.next();
                characters.next();
            }
            '"' => {
                let mut literal = String::new();
                while let Some(character) = characters.next().filter(|character| *character != '"') {
                    match (character, characters.peek()) {
                        ('\\', Some('\n')) => {
                            while characters.next_if(|character| character.is_whitespace()).is_some() {}
                        }
                        ('\\', _) => literal.extend(characters.next()),
                        _ => literal.push(character),
                    }
                }
                found.push(literal);
            }
            _ => {}
        }
    }
    found
}

#[test]
fn literals_are_found_with_escapes_and_comments_are_ignored() {
    let source =
        "let a = \"SELECT \\\"x\\\" \\\n     FROM t\"; // not \"this\"\nlet b = '\"'; let c = \"two\";";
    assert_eq!(literals(source), ["SELECT \"x\" FROM t", "two"]);
}
