use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{AdmissionLimits, queues};
use crate::described::tests::routes_of;
use crate::job::Failure;
use crate::kind::Kind;
use crate::observer::Observers;
use crate::spec::{ServiceSpec, route_matches};
use crate::trial::job;

#[test]
fn route_with_dots_matches_paths_below_it_and_no_siblings() {
    for (route, path, expected) in [
        ("/notes/...", "/notes", true),
        ("/notes/...", "/notes/", true),
        ("/notes/...", "/notes/1/replies", true),
        ("/notes/...", "/notesandmore", false),
        ("/notes/...", "/", false),
        ("/notes", "/notes", true),
        ("/notes", "/notes/1", false),
        ("/...", "/anything", true),
        ("/...", "/", true),
    ] {
        assert_eq!(route_matches(route, path), expected, "{route} {path}");
    }
}

#[test]
fn exact_route_is_preferred_and_then_the_longest_match() {
    let routes = ["/notes", "/notes/...", "/...", "/notes/archive/..."].map(str::to_owned).to_vec();
    let (all, _) =
        queues(&ServiceSpec { routes: routes.clone(), ..ServiceSpec::default() }, &Observers::default());
    for (path, route) in [
        ("/notes", "/notes"),
        ("/notes/1", "/notes/..."),
        ("/notes/archive/1", "/notes/archive/..."),
        ("/other", "/..."),
    ] {
        assert_eq!(all.admission_limits().route_of(path), Some(route), "{path}");
    }
    let (one, _) = queues(
        &ServiceSpec { routes: routes[..1].to_vec(), ..ServiceSpec::default() },
        &Observers::default(),
    );
    assert_eq!(one.admission_limits().route_of("/other"), None);
}

#[test]
fn queue_counts_waiting_and_submitted_jobs_and_refuses_more_than_it_can_hold() {
    let mut spec = ServiceSpec::default();
    spec.limits.queue = 2;
    let (queues, _ends) = queues(&spec, &Observers::default());
    let post = || job(Instant::now() + Duration::from_secs(60), None).0;
    for count in [1, 2] {
        queues.submit(&queues.admission_limits(), post()).unwrap();
        assert_eq!((queues.waiting(), queues.submitted()), (count, count as u64));
    }
    assert_eq!(queues.submit(&queues.admission_limits(), post()), Err(Failure::QueueFull));
    let lengths = queues.lengths();
    assert_eq!(lengths, [("read", 0), ("write", 2), ("compute", 0)]);
    assert_eq!([Kind::Read, Kind::Write, Kind::Compute].map(Kind::name), ["read", "write", "compute"]);
}

#[test]
fn only_the_key_of_a_repeatable_request_is_dropped() {
    let described = routes_of(&[("POST", "/taker/things", false, true), ("POST", "/taker", true, false)]);
    let limits = AdmissionLimits::new(&ServiceSpec::default(), Arc::new(described));
    for (path, key, is_kept) in
        [("/taker/things", Some("key"), false), ("/taker", Some("key"), true), ("/taker/things", None, false)]
    {
        let (mut job, _) = job(Instant::now(), key);
        job.request.path = path.into();
        limits.drop_needless_key(&mut job);
        assert_eq!(job.idempotency_key.is_some(), is_kept, "{path} {key:?}");
    }
}

#[test]
fn described_route_of_a_request_is_found() {
    let described = routes_of(&[("POST", "/taker/things", false, true)]);
    let limits = AdmissionLimits::new(&ServiceSpec::default(), Arc::new(described));
    let found = |method, path| limits.described_route(method, path);
    assert_eq!(found("POST", "/taker/things").as_deref(), Some("/taker/things"));
    assert_eq!(found("POST", "/taker"), None);
}

#[test]
fn stopping_service_accepts_no_more_jobs() {
    let (queues, _ends) = queues(&ServiceSpec::default(), &Observers::default());
    let submit =
        || queues.submit(&queues.admission_limits(), job(Instant::now() + Duration::from_secs(60), None).0);
    assert!(submit().is_ok());
    queues.stopping().store(true, Ordering::Release);
    assert_eq!(submit(), Err(Failure::Stopping));
}
