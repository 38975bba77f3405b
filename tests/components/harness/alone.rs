//! Tests in one process leave nothing behind for one another. What such a test takes of its own is printed by
//! `cargo test --release --workspace --test components -- --nocapture harness::alone`.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use bulkhead_testing::{Service, json};

/// Set in a process that runs nothing else beside.
const ALONE: &str = "BULKHEAD_TESTS_ALONE";
/// So many tests of each service run, behind the first, which loads the component into the process.
const TESTS: usize = 101;
/// Each service, and what is asked of it.
const SERVICES: [(&str, &str); 4] = [
    ("user", "/users"),
    ("product", "/products?q=tea"),
    ("order", "/orders"),
    ("report", "/reports/revenue"),
];

/// A test of any service: a new database, an answer, what was published, a row.
fn one(name: &str, path: &str) -> Duration {
    let began = Instant::now();
    let service = Service::start(name);
    service.get(path).principal("0198f3a1-7c3e-7d52-8a07-0000000000a1").role("admin").send().status(200);
    service.expect_published(json!([]));
    assert_eq!(service.rows("SELECT 1 AS one"), json!([{"one": 1}]));
    drop(service);
    began.elapsed()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn stopped_services_leave_no_file_open() {
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "harness::alone::stopped_services_leave_no_file_open", "--nocapture"]);
        let ended = alone.env(ALONE, "1").output().unwrap();
        let printed = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{printed}{}", String::from_utf8_lossy(&ended.stderr));
        let figures: String =
            printed.lines().filter(|line| line.contains("median")).map(|line| format!("{line}\n")).collect();
        assert_eq!(figures.lines().count(), SERVICES.len(), "{printed}");
        std::io::stdout().write_all(figures.as_bytes()).unwrap();
        return;
    }
    for (name, path) in SERVICES {
        let first = one(name, path);
        let before = open_files();
        let mut times: Vec<Duration> = (0..TESTS).map(|_| one(name, path)).collect();
        assert_eq!(open_files(), before, "{name}");
        times.sort();
        let (median, most) = (times[TESTS / 2], times[TESTS * 9 / 10]);
        let line = format!(
            "\n{name}: the first of the process {first:?}, then a median of {median:?}, nine in ten within {most:?}\n"
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}
