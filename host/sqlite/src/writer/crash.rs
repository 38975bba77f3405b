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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    /// Runs a test of this program by itself in a process of its own.
    #[test]
    fn process_ends_at_the_commit_and_moment_named_in_the_variable() {
        if std::env::var_os(VARIABLE).is_some() {
            assert_eq!(next(), 1);
            point(1, Moment::Before);
            point(1, Moment::After);
            assert_eq!(next(), 2);
            point(2, Moment::Before);
            writeln!(std::io::stdout(), "at the second").unwrap();
            point(2, Moment::After);
            writeln!(std::io::stdout(), "behind the second").unwrap();
            return;
        }
        let this = "writer::crash::tests::process_ends_at_the_commit_and_moment_named_in_the_variable";
        let run = |plan: &str| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", this, "--nocapture"])
                .env(VARIABLE, plan)
                .output()
                .unwrap()
        };
        let ended = run("2:after");
        let printed = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.signal().is_some(), "{printed}");
        assert!(printed.contains("at the second") && !printed.contains("behind the second"), "{printed}");
        let ended = run("3:before");
        let printed = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && printed.contains("behind the second"), "{printed}");
    }

    #[test]
    fn commits_are_not_counted_without_the_variable() {
        if std::env::var_os(VARIABLE).is_none() {
            assert_eq!([next(), next()], [0, 0]);
        }
    }
}
