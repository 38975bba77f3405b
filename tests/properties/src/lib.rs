//! How property tests run: a property is a function that panics where it does not hold, and is tried with values that proptest makes up.
//!
//! Each test prints the seed that its values come from, and takes it from `TEST_SEED`, so that a failure can be had again:
//! `TEST_SEED=7 cargo nextest run --release --workspace -E 'test(NAME)'`. Nothing is written down anywhere: what is worth remembering of a
//! failure is the smallest value that fails, which is told too, and belongs into a test of its own.
//!
//! A crate of its own, so that the SDK and the components have it without the harness of the system tests.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking, with the reason in the message"
)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{LazyLock, Once};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// So many values are tried where a test does not say.
const CASES: u32 = 2000;
/// So many smaller values are tried when one has failed.
const SHRINKS_MAX: u32 = 4096;

thread_local! {
    /// This thread is trying a value, and its panics are a result.
    static TRYING: Cell<bool> = const { Cell::new(false) };
    /// What the last panic said while a value was tried, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Text of up to 32 characters of any kind.
pub fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::char::any(), 0..=32).prop_map(String::from_iter)
}

/// Checks that a property holds for values of this kind.
#[track_caller]
pub fn hold<S: Strategy>(values: &S, property: impl Fn(S::Value)) {
    hold_in(CASES, SHRINKS_MAX, values, property);
}

/// The same with so many values, and so many smaller ones at most when one has failed: for properties that take time.
#[track_caller]
pub fn hold_in<S: Strategy>(cases: u32, shrinks_max: u32, values: &S, property: impl Fn(S::Value)) {
    let seed = seed();
    let config =
        Config { cases, max_shrink_iters: shrinks_max, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(4));
    match TestRunner::new_with_rng(config, rng).run(values, |value| attempt(|| property(value))) {
        Ok(()) => {}
        Err(TestError::Fail(reason, value)) => {
            panic!("TEST_SEED={seed}: it does not hold: {reason}\nThe smallest value found: {value:#?}")
        }
        Err(TestError::Abort(reason)) => panic!("TEST_SEED={seed}: no values: {reason}"),
    }
}

/// The seed, printed: one for the whole process, so that one number is enough to have all of it again.
#[expect(clippy::print_stdout, reason = "the seed belongs to the test's output")]
pub fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("TEST_SEED") {
        Ok(text) => text.parse().expect("TEST_SEED is a number"),
        Err(_) => getrandom::u64().expect("the system has random numbers"),
    });
    println!("TEST_SEED={}", *SEED);
    *SEED
}

/// Tries a value. A panic is kept and not printed: hundreds of smaller values may follow, and the last one says it all.
fn attempt(property: impl FnOnce()) -> Result<(), TestCaseError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(
            move |panic| {
                if TRYING.get() { SAID.set(panic.to_string()) } else { before(panic) }
            },
        ));
    });
    TRYING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(property));
    TRYING.set(false);
    outcome.map_err(|_| TestCaseError::fail(SAID.take()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_property_is_reported_with_its_place_smallest_value_and_seed() {
        let outcome = catch_unwind(|| hold(&(0..1_000_000), |number| assert!(number < 1000, "too large")));
        let message = *outcome.expect_err("it does not hold").downcast::<String>().expect("text");
        for part in ["TEST_SEED=", "lib.rs:", "too large"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(message.ends_with(": 1000"), "{message}");
    }

    #[test]
    fn property_that_holds_is_tried_the_given_number_of_times() {
        let tried = Cell::new(0);
        hold_in(7, 0, &(0..10), |_| tried.set(tried.get() + 1));
        assert_eq!(tried.get(), 7);
    }
}
