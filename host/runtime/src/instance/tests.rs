use bulkhead_types::Sequence;

use super::*;
use crate::bindings::bulkhead::service::types::Header;
use crate::probation::Probation;
use crate::runner::Runner;
use crate::trial::{Trial, job, lines_with, run, trace_id};

fn response(status: u16, headers: &[(&str, &[u8])]) -> Response {
    let header = |(name, value): &(&str, &[u8])| Header { name: (*name).into(), value: value.to_vec() };
    let headers = headers.iter().map(header).collect();
    Response { status, headers, body: b"body".to_vec(), effects: Effects::ByStatus }
}

fn checked(response: Response) -> Result<Answer, String> {
    check(response, HeaderValue::from_static("taker@1"))
}

#[test]
fn answer_is_the_response_of_the_handler_without_host_headers() {
    let headers: [(&str, &[u8]); 4] =
        [("x-a", b"1"), ("X-A", b"2"), ("Content-Length", b"7"), ("set-cookie", b"\xe9")];
    let answer = checked(response(201, &headers)).unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (201, &b"body"[..]));
    let values = |name| answer.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    assert_eq!(values("x-a"), [b"1", b"2"]);
    assert_eq!(values("set-cookie"), [b"\xe9"]);
    assert_eq!(answer.headers.len(), 3);
    assert!(!answer.replayed && answer.position.is_none() && answer.version == "taker@1");
}

#[test]
fn answer_with_an_invalid_status_or_headers_is_reported_with_the_reason() {
    for (status, is_good) in
        [(100, false), (199, false), (200, true), (204, true), (599, true), (600, false), (1000, false)]
    {
        assert_eq!(checked(response(status, &[])).is_ok(), is_good, "{status}");
    }
    for (name, value, why) in [
        ("a b", &b"1"[..], "\"a b\" is not a header's name"),
        ("", b"1", "\"\" is not a header's name"),
        ("a", b"1\r\nb: 2", "the header a has a value that can't be sent"),
    ] {
        assert_eq!(checked(response(200, &[(name, value)])).unwrap_err(), why);
    }
}

#[test]
fn headers_of_an_answer_have_a_maximum_count_and_size() {
    let many = |count| checked(response(200, &vec![("x-a", &b"1"[..]); count]));
    assert_eq!(many(RESPONSE_HEADERS_MAX).unwrap().headers.len(), RESPONSE_HEADERS_MAX);
    assert!(many(RESPONSE_HEADERS_MAX + 1).unwrap_err().starts_with("it has more than"));
    // Two names of three bytes each.
    let of_size = |bytes: usize| {
        let (one, other) = (vec![b'x'; bytes / 2 - 3], vec![b'x'; bytes - bytes / 2 - 3]);
        checked(response(200, &[("x-a", &one), ("x-b", &other)]))
    };
    assert!(of_size(HEADERS_MAX).is_ok());
    assert!(of_size(HEADERS_MAX + 1).unwrap_err().starts_with("it has more than"));
}

#[test]
fn instance_is_reused_until_it_is_worn_or_spoilt() {
    let trial = Trial::new(Duration::from_secs(60));
    let mut runner = trial.consumer.runner();
    let mut is_kept = |uses: u32, grown: usize, spoilt: bool| {
        trial.seen.take();
        let Runner { instance: warm, release, parts, .. } = &mut runner;
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut instance = warm.instantiate(release, parts, deadline).unwrap();
        instance.uses = uses;
        instance.settled_bytes = 1000;
        instance.store.data_mut().memory.bytes = 1000 + grown;
        warm.keep_or_drop(release, instance, spoilt.then_some(DropCause::Undone));
        let is_kept = warm.instance.take().is_some();
        let cause = match (is_kept, spoilt) {
            (true, _) => "stopped",
            (false, true) => "undone",
            (false, false) => "worn",
        };
        assert_eq!(trial.seen.take(), ["taker: created".to_owned(), format!("taker: dropped {cause}")]);
        is_kept
    };
    assert!(is_kept(1, 0, false));
    assert!(!is_kept(1, 0, true));
    assert!(is_kept(1, INSTANCE_GROWTH_MAX, false));
    assert!(!is_kept(1, INSTANCE_GROWTH_MAX + 1, false));
    assert!(is_kept(0, INSTANCE_GROWTH_MAX + 1, false), "what it has after its first use is what it needs");
    assert!(is_kept(INSTANCE_USES_MAX - 2, 0, false));
    assert!(!is_kept(INSTANCE_USES_MAX - 1, 0, false));
}

/// What another service caused is not counted. Everything else counts as ended, and failures as failed.
#[test]
fn probation_counts_only_what_the_version_itself_caused() {
    let trial = Trial::new(Duration::from_secs(60));
    let answered = |status: u16| {
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), ..checked(response(200, &[])).unwrap() })
    };
    let late = || Err(Failure::Deadline);
    let (all, half) = (Duration::from_secs(60), Duration::from_secs(30));
    for (outcome, calls, left, standing) in [
        (answered(201), Calls::None, all, (1, 0)),
        (answered(404), Calls::None, all, (1, 0)),
        (answered(500), Calls::None, all, (1, 1)),
        (answered(503), Calls::None, all, (0, 0)),
        (Err(Failure::Trap("no".into())), Calls::None, all, (1, 1)),
        (late(), Calls::None, all, (1, 1)),
        (late(), Calls::None, half, (1, 1)),
        (late(), Calls::None, half - Duration::from_millis(1), (0, 0)),
        (late(), Calls::Reading, all, (0, 0)),
        (late(), Calls::Effective, all, (0, 0)),
    ] {
        let (release, probation) = on_probation(&trial);
        let running = Running { calls, ..Running::starting(Instant::now()) };
        note_request(&release, &outcome, &running, left);
        let (_, ended, failed) = probation.standing();
        assert_eq!((ended, failed), standing, "{outcome:?} {left:?}");
    }
}

/// The service's release, as if it were new.
fn on_probation(trial: &Trial) -> (Arc<Release>, Arc<Probation>) {
    let probation = Arc::new(Probation::new(Duration::from_secs(600), Box::new(drop)));
    let before = trial.consumer.release();
    trial.consumer.switch(Release {
        component: Arc::clone(&before.component),
        spec: Arc::clone(&before.spec),
        database: before.database.clone(),
        probation: Some(Arc::clone(&probation)),
    });
    (trial.consumer.release(), probation)
}

#[test]
fn probation_counts_events_at_their_first_attempt_and_their_traps_as_failures() {
    let trial = Trial::new(Duration::from_secs(60));
    let (retry, reject) = (NotConsumed::Retry("no".into()), NotConsumed::Reject("never".into()));
    for (attempt, consumed, trapped, standing) in [
        (1, Ok(()), false, (1, 0)),
        (1, Err(retry.clone()), false, (1, 0)),
        (1, Err(reject), false, (1, 0)),
        (1, Err(retry.clone()), true, (1, 1)),
        (2, Err(retry), true, (0, 0)),
        (2, Ok(()), false, (0, 0)),
    ] {
        let (release, probation) = on_probation(&trial);
        note_event(&release, attempt, &consumed, trapped);
        let (_, ended, failed) = probation.standing();
        assert_eq!((ended, failed), standing, "{attempt} {consumed:?} {trapped}");
    }
}

#[test]
fn client_should_retry_a_request_that_calls_or_computes_too_long_under_the_lease() {
    for (called_in_recovery, failure, is_again) in [
        (true, Failure::Deadline, true),
        (false, Failure::LeaseHeld, true),
        (true, Failure::LeaseHeld, true),
        (false, Failure::Deadline, false),
    ] {
        let run = Run { called_in_recovery, ..run(Err(failure.clone()), false) };
        assert_eq!(run.is_to_be_asked_for_again(), is_again, "{called_in_recovery} {failure}");
    }
}

#[test]
fn request_run_has_its_caller_its_target_and_its_component() {
    let trial = Trial::new(Duration::from_secs(60));
    let (release, deadline) = (trial.consumer.release(), Instant::now());
    let mut job = job(deadline, None).0;
    job.request.peer = "127.0.0.1".into();
    job.request.principal = Some(Principal { subject: "ann".into(), roles: Vec::new(), expires_at: None });
    let running = of_request(&release, &job, deadline);
    let Handler::Request { method, path, route } = &running.handler else { panic!("{:?}", running.handler) };
    assert_eq!([method, path, route], ["POST", "/taker/things", "/taker/..."]);
    assert_eq!((running.trace_id, running.peer.as_str()), (Some(trace_id()), "127.0.0.1"));
    assert_eq!(running.principal.map(|principal| principal.subject).as_deref(), Some("ann"));
    assert!(Arc::ptr_eq(&running.component.unwrap(), &release.component.info));
    assert_eq!(running.deadline, deadline);
}

/// A handler that runs again, or behind a replica, holds the lease from its beginning: its time to hold it begins there.
#[test]
fn run_begins_on_entry_and_lease_time_begins_only_if_the_lease_is_held() {
    let trial = Trial::new(Duration::from_secs(60));
    for is_held in [false, true] {
        let mut runner = trial.consumer.runner();
        let Runner { instance: warm, release, parts, .. } = &mut runner;
        let long = Instant::now() + Duration::from_secs(60);
        let mut instance = warm.instantiate(release, parts, long).unwrap();
        if is_held {
            let lease = trial.consumer.database().unwrap().writer.acquire(long).unwrap();
            parts.hold = Hold::Reserved(lease);
        }
        let before = Instant::now();
        let running = Running { began: before - Duration::from_secs(9), ..Running::starting(long) };
        enter(&mut instance.store, parts, running);
        let running = leave(&mut instance.store, parts);
        assert!(!running.starting && running.began >= before);
        assert_eq!(running.lease_until.is_some(), is_held);
        assert_eq!(matches!(parts.hold, Hold::Reserved(_)), is_held, "it comes back");
    }
}

#[test]
fn effects_are_kept_below_status_400_and_otherwise_a_used_instance_is_spoilt() {
    let trial = Trial::new(Duration::from_secs(60));
    let release = trial.consumer.release();
    let (job, _) = job(Instant::now(), None);
    for (status, joined, keep, spoilt) in [
        (200, true, true, false),
        (399, true, true, false),
        (400, true, false, true),
        (400, false, false, false),
        (500, false, false, false),
    ] {
        let running = Running { joined, ..Running::starting(Instant::now()) };
        let run = judge(&release, Ok(response(status, &[])), running, &job, Duration::from_secs(60));
        assert_eq!((run.keep, run.spoilt), (keep, spoilt), "{status} {joined}");
        assert_eq!(run.running.map(|running| running.joined), Some(joined), "it comes back");
    }
}

/// Also if it runs again: however a request fails, the log has one line about it.
#[test]
fn failed_request_is_logged_once() {
    let trial = Trial::new(Duration::from_secs(60));
    let release = trial.consumer.release();
    let trap = || Err(wasmtime::Trap::UnreachableCodeReached.into());
    let fine = || Ok(response(200, &[]));
    let failing = || Ok(response(500, &[]));
    for (result, was_logged, lines, logged) in [
        (trap(), false, 1, true),
        (trap(), true, 0, true),
        (failing(), false, 1, true),
        (failing(), true, 0, true),
        (fine(), false, 0, false),
        (fine(), true, 0, true),
    ] {
        let (mut job, _) = job(Instant::now(), None);
        job.logged = was_logged;
        let written = lines_with("a request failed", || {
            let running = Running::starting(Instant::now());
            let run = judge(&release, result, running, &job, Duration::from_secs(60));
            assert_eq!(run.logged, logged);
        });
        assert_eq!(written.len(), lines, "{written:?}");
    }
}

#[test]
fn log_lines_beyond_the_limit_are_counted_in_one_line() {
    let trial = Trial::new(Duration::from_secs(60));
    let runner = trial.consumer.runner();
    for (more, expected) in [(0, None), (1, Some("lines=1")), (3, Some("lines=3"))] {
        let running = Running { log_lines: LOG_LINES_MAX + more, ..Running::starting(Instant::now()) };
        let lines = lines_with("log lines were left out", || runner.instance.report_left_out_lines(&running));
        assert_eq!(lines.len(), usize::from(more > 0));
        assert!(
            lines.iter().all(|line| expected.is_some_and(|expected| line.contains(expected))),
            "{lines:?}"
        );
    }
}

#[test]
fn event_run_is_of_the_service_itself_and_has_its_event_trace_and_timer() {
    let trial = Trial::new(Duration::from_secs(60));
    let (release, deadline) = (trial.consumer.release(), Instant::now());
    let event = Event {
        id: "e".into(),
        source: "maker".into(),
        type_: "maker.made".into(),
        subject: "a".into(),
        time: "now".into(),
        trace_id: trace_id().to_string(),
        data: "{}".into(),
        attempt: 1,
    };
    for timer in [None, Some(Sequence::new(7))] {
        let running = of_event(&release, &event, (trace_id(), timer), deadline);
        assert_eq!(running.handler, Handler::Event { kind: "maker.made".into() });
        assert_eq!((running.trace_id, running.timer), (Some(trace_id()), timer));
        assert_eq!(running.principal.map(|principal| principal.subject).as_deref(), Some("service:taker"));
        assert!(Arc::ptr_eq(&running.component.unwrap(), &release.component.info));
        assert_eq!(running.deadline, deadline);
    }
}

/// It may remember what was rolled back.
#[test]
fn warm_instance_is_reused_until_a_batch_is_aborted() {
    let trial = Trial::new(Duration::from_secs(60));
    let mut runner = trial.consumer.runner();
    let mut uses = |is_aborted: bool| {
        runner.warm_up();
        let Runner { instance: warm, release, parts, .. } = &mut runner;
        warm.instance.as_mut().unwrap().uses = 5;
        if is_aborted {
            trial.context.aborts.raise();
        }
        warm.take(release, parts, Instant::now() + Duration::from_secs(60)).unwrap().uses
    };
    assert_eq!([uses(false), uses(true), uses(false)], [5, 0, 5]);
    let dropped: Vec<_> = trial.seen.take().into_iter().filter(|what| what.contains("dropped")).collect();
    // The one that is taken goes with this test, as one that ran.
    let causes = ["failed", "undone", "failed", "failed"].map(|cause| format!("taker: dropped {cause}"));
    assert_eq!(dropped, causes);
}

/// A failure of which there is a log line is not logged again, and the memory of an instance whose answer was not valid is as it should be.
#[test]
fn instance_is_spoilt_by_a_trap_but_not_by_an_invalid_answer() {
    let trial = Trial::new(Duration::from_secs(60));
    let release = trial.consumer.release();
    let (job, _) = job(Instant::now(), None);
    let run =
        |result| judge(&release, result, Running::starting(Instant::now()), &job, Duration::from_secs(60));
    let invalid = run(Ok(response(1000, &[])));
    assert!(matches!(invalid.outcome, Err(Failure::InvalidResponse(_))) && !invalid.spoilt && invalid.logged);
    let trapped = run(Err(wasmtime::Error::msg("no")));
    assert!(trapped.outcome.is_err() && trapped.spoilt && trapped.logged);
}
