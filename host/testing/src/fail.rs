//! Failing a test at its own line.
//!
//! A panic names the line of the nearest caller that has no `#[track_caller]`. A closure can't have it: so none of the harness's panics, and
//! whatever can go wrong in one is given back to a function that can. `tests/components/harness` looks at the line of each failure.

/// What is there, or a test that fails at its line, with these words.
#[track_caller]
pub(crate) fn or_fail<T, E>(result: Result<T, E>, words: impl FnOnce(E) -> String) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{}", words(error)),
    }
}
