//! How long a test takes of its own. Run it by
//! `cargo test --release --workspace --test components -- --ignored --nocapture harness::speed`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bulkhead_testing::{Service, json};

/// So many tests of each service are measured, behind the first, which loads the component into the process.
const TESTS: usize = 101;

/// A test of any service: a new database, an answer, what was published, a row.
fn one(name: &str, path: &str, status: u16) -> Duration {
    let began = Instant::now();
    let service = Service::start(name);
    service.get(path).principal("0198f3a1-7c3e-7d52-8a07-0000000000a1").role("admin").send().status(status);
    service.expect_published(json!([]));
    assert_eq!(service.rows("SELECT 1 AS one"), json!([{"one": 1}]));
    drop(service);
    began.elapsed()
}

#[test]
#[ignore = "it prints figures, and asserts none"]
fn a_test_takes_so_long_of_its_own() {
    for (name, path) in [
        ("user", "/users"),
        ("product", "/products?q=tea"),
        ("order", "/orders"),
        ("report", "/reports/revenue"),
    ] {
        let first = one(name, path, 200);
        let mut times: Vec<Duration> = (0..TESTS).map(|_| one(name, path, 200)).collect();
        times.sort();
        let (median, most) = (times[TESTS / 2], times[TESTS * 9 / 10]);
        let line = format!(
            "{name}: the first of the process {first:?}; then a median of {median:?}, nine in ten within {most:?}\n"
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}
