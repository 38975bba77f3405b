//! Ending the process at a chosen commit, for tests of what is there after a crash.
//!
//! `BULKHEAD_CRASH_AT_COMMIT=7:before` ends it just before the seventh commit of the process that writes anything, `7:after` just after it,
//! before anybody is told. Without the variable each commit costs one look at a value that never changes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable.
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

/// The number of the commit that comes now.
pub(super) fn next() -> u64 {
    if PLAN.is_none() { 0 } else { COMMITS.fetch_add(1, Ordering::Relaxed) + 1 }
}

/// Ends the process here, if that was asked for.
pub(super) fn point(number: u64, moment: Moment) {
    if *PLAN == Some((number, moment)) {
        tracing::error!(number, "the process ends at this commit, as {VARIABLE} says");
        std::process::abort();
    }
}
