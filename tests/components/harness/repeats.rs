//! The same test runs the same way, again and again.

use bulkhead_testing::{Application, Published};

use super::{EVENTS, happen};

fn published(seed: u64, services: &[&str]) -> Vec<Published> {
    let application = Application::in_manifest(EVENTS, services.iter().copied()).seed(seed).start();
    let source = application.service("source");
    happen(&source, "a", 1, "");
    happen(&source, "b", 2, "");
    source.published()
}

#[test]
fn ids_and_times_repeat_exactly_with_the_same_seed_and_only_then() {
    let first = published(7, &["source"]);
    assert_eq!(first.len(), 2);
    assert_eq!(published(7, &["source"]), first);
    assert_eq!(published(7, &["sink", "source"]), first, "whoever runs beside it");
    let other = published(8, &["source"]);
    assert_ne!(other[0].id, first[0].id);
    assert_eq!(other[0].time, first[0].time);
    assert_eq!(first[0].time, "2026-01-01T00:00:00.001Z");
    assert_eq!(first[1].time, "2026-01-01T00:00:00.002Z", "what comes later is later");
}
