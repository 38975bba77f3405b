//! The mutants, as cargo-mutants lists them.

use serde::Deserialize;
use std::path::PathBuf;

/// The number of a mutant in the list, counted from 1: no switch is 0.
pub(crate) type Id = usize;

/// One change of the code.
#[derive(Debug, Deserialize)]
pub(crate) struct Mutant {
    /// Its place, and what is changed into what: `FILE:LINE:COLUMN: CHANGE`.
    pub(crate) name: String,
    pub(crate) package: String,
    /// Relative to the project's folder.
    pub(crate) file: String,
    pub(crate) genre: Genre,
    /// What stands in the place of `span`.
    pub(crate) replacement: String,
    pub(crate) span: Span,
    function: Option<Function>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
pub(crate) enum Genre {
    /// A function gives another value.
    FnValue,
    BinaryOperator,
    /// An operator goes.
    UnaryOperator,
    /// An arm goes.
    MatchArm,
    MatchArmGuard,
    /// A field goes from an expression that has others by `..`.
    StructField,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

/// Both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Debug, Deserialize)]
struct Function {
    function_name: String,
    return_type: String,
}

impl Mutant {
    pub(crate) fn function(&self) -> &str {
        self.function.as_ref().map_or("", |function| &function.function_name)
    }

    /// What is changed into what, without the place: the same after other lines were changed.
    pub(crate) fn change(&self) -> &str {
        self.name.splitn(4, ':').nth(3).unwrap_or(&self.name).trim_start()
    }

    /// Whether it gives another type than the function, which hides its own: the two can't be in one function.
    pub(crate) fn is_of_another_type(&self) -> bool {
        self.genre == Genre::FnValue
            && self.function.as_ref().is_some_and(|function| function.return_type.contains("impl "))
    }

    /// What its file is about, by its name.
    pub(crate) fn topic(&self) -> &str {
        let path = self.file.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The folder of its crate's code.
    pub(crate) fn crate_folder(&self) -> PathBuf {
        PathBuf::from(self.file.split_once("/src/").map_or(".", |(folder, _)| folder)).join("src")
    }
}
