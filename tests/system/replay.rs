//! A short run of the shop replay, with faults and without: it says of itself whether all is as expected. `make replay` runs the whole.

use std::process::{Command, Stdio};

use bulkhead_tests::paths;

/// Runs the replay to its end, which it bounds itself, and gives what it printed.
#[track_caller]
fn replay(arguments: &[&str]) -> String {
    let mut command = Command::new(paths::program("replay"));
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("the replay can be run");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "the replay did not end well:\n{printed}\n{stderr}");
    printed
}

#[test]
fn first_baskets_give_the_totals_of_the_file() {
    let printed = replay(&["--baskets", "60"]);
    for name in
        ["total of all orders", "units", "price changes", "revenue in report", "findings of bulkhead check"]
    {
        let line = printed.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| line.ends_with(", ok")), "{name}:\n{printed}");
    }
}

#[test]
fn first_baskets_with_faults_and_kills_give_the_totals_that_the_client_knows() {
    let printed = replay(&["--baskets", "60", "--chaos", "--kills", "2"]);
    assert!(printed.contains("kills: 2;"), "{printed}");
    // Every card of the deck was dealt at least once; on a slow machine time-outs may come before what else some are to end by.
    for ending in ["CancelledUnpaid", "Shipped", "Delivered"] {
        assert!(!printed.contains(&format!("  {ending}: 0\n")), "{printed}");
    }
}
