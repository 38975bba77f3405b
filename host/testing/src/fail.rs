//! Fails a test at its own line.
//!
//! A panic names the line of the nearest caller without `#[track_caller]`. A closure can't have this attribute, so the harness never panics
//! in a closure. An error in a closure is returned to a function that can panic. `tests/components/harness` checks the line of each
//! failure.

/// Returns the value, or fails the test at its own line with this message.
#[track_caller]
pub(crate) fn or_fail<T, E>(result: Result<T, E>, words: impl FnOnce(E) -> String) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{}", words(error)),
    }
}
