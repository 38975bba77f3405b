//! Variables of the environment: each does what the argument of its name does, and an argument goes before its variable.

use bulkhead_tests::{Manifest, Site, host};
use serde_json::Value;

/// Addresses of this machine that nothing else in these tests listens on.
const LISTEN: &str = "127.0.0.2:0";
const ADMIN: &str = "127.0.0.3:0";

/// A guest whose manifest lies where nobody looks for it, and says other addresses and another folder than the variables.
fn site() -> Site {
    let site = Site::new(&Manifest::events().only(&["source"]));
    std::fs::rename(site.manifest(), site.path("other.toml")).unwrap();
    site
}

/// The lines of a log that are JSON, and those that are not.
fn lines(log: &str) -> [usize; 2] {
    let json = log.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    [json, log.lines().count() - json]
}

#[test]
fn host_starts_with_environment_variables_only() {
    let site = site();
    let (manifest, data) = (site.path("other.toml"), site.path("elsewhere"));
    let variables = [
        ("BULKHEAD_MANIFEST", manifest.to_str().unwrap()),
        ("BULKHEAD_DATA", data.to_str().unwrap()),
        ("BULKHEAD_LISTEN", LISTEN),
        ("BULKHEAD_ADMIN", ADMIN),
        ("BULKHEAD_LOG", "info"),
        ("BULKHEAD_LOG_FORMAT", "json"),
    ];
    let host = site.start_as(&["up"], &variables);
    assert_eq!(host.address().ip().to_string(), "127.0.0.2");
    assert_eq!(host.admin_address().unwrap().ip().to_string(), "127.0.0.3");
    assert!(data.join("source.db").exists() && !site.database("source").exists());
    host.client().get("/source/ready").expect_status(200);
    let [json, other] = lines(&host.stop().stderr);
    assert!(json > 0 && other == 0, "{json} lines are JSON and {other} are not");

    let quiet = [&variables[..3], &[("BULKHEAD_ADMIN", "127.0.0.1:0"), ("BULKHEAD_LOG", "off")]].concat();
    let host = site.start_as(&["up"], &quiet);
    // Operators' verbs ask by the same variables.
    let status = |admin: &str| host::run_with(&["status"], &[variables[1], ("BULKHEAD_ADMIN", admin)]);
    status(&host.admin_address().unwrap().to_string()).says(0, &[]);
    status("127.0.0.1:1").says(1, &["127.0.0.1:1"]);
    assert_eq!(host.stop().stderr, "");
}

#[test]
fn argument_overrides_its_variable() {
    let site = site();
    let (manifest, data) = (site.path("other.toml"), site.path("elsewhere"));
    let nowhere = site.path("nowhere");
    let variables = [
        ("BULKHEAD_MANIFEST", nowhere.to_str().unwrap()),
        ("BULKHEAD_DATA", nowhere.to_str().unwrap()),
        ("BULKHEAD_LISTEN", LISTEN),
        ("BULKHEAD_ADMIN", ADMIN),
        ("BULKHEAD_LOG", "off"),
        ("BULKHEAD_LOG_FORMAT", "json"),
    ];
    let mut arguments =
        vec!["up", "--manifest", manifest.to_str().unwrap(), "--data", data.to_str().unwrap()];
    arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    arguments.extend(["--log", "info", "--log-format", "text"]);
    let host = site.start_as(&arguments, &variables);
    for address in [host.address(), host.admin_address().unwrap()] {
        assert_eq!(address.ip().to_string(), "127.0.0.1");
    }
    assert!(data.join("source.db").exists() && !nowhere.exists());
    let asking = ["status", "--data", data.to_str().unwrap(), "--admin"];
    let admin = host.admin_address().unwrap().to_string();
    host::run_with(&[&asking[..], &[&admin]].concat(), &variables).says(0, &[]);
    let [json, other] = lines(&host.stop().stderr);
    assert!(json == 0 && other > 0, "{json} lines are JSON and {other} are not");
}

#[test]
fn invalid_variable_is_reported_like_its_argument() {
    let variable =
        |name, value| host::run_with(&["up"], &[("BULKHEAD_MANIFEST", "nowhere.toml"), (name, value)]);
    variable("BULKHEAD_DATA", "data").says(1, &["nowhere.toml"]);
    variable("BULKHEAD_LISTEN", "here").says(2, &["--listen", "here"]);
    variable("BULKHEAD_ADMIN", "there").says(2, &["--admin", "there"]);
    variable("BULKHEAD_LOG_FORMAT", "verse").says(2, &["--log-format", "verse"]);
}
