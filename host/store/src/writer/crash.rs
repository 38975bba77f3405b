//! Ends the process at a chosen commit, for tests of what remains after a crash.
//!
//! `BULKHEAD_CRASH_AT_COMMIT=7:before` ends the process just before its seventh commit that writes anything. `7:after` ends it just after
//! that commit, before anybody gets an answer. Without the variable each commit only reads one value that never changes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable.
const VARIABLE: &str = "BULKHEAD_CRASH_AT_COMMIT";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

static PLAN: LazyLock<Option<(u64, Moment)>> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).ok()?;
    let (number, moment) = text.split_once(':')?;
    let moment = match moment {
        "before" => Moment::Before,
        "after" => Moment::After,
        _ => return None,
    };
    Some((number.parse().ok()?, moment))
});
static COMMITS: AtomicU64 = AtomicU64::new(0);

/// The number of the commit that follows.
pub(super) fn next() -> u64 {
    if PLAN.is_none() { 0 } else { COMMITS.fetch_add(1, Ordering::Relaxed) + 1 }
}

/// Ends the process here, if the variable says so.
pub(super) fn point(number: u64, moment: Moment) {
    if *PLAN == Some((number, moment)) {
        tracing::error!(number, "the process ends at this commit, as {VARIABLE} says");
        std::process::abort();
    }
}
