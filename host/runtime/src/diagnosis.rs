//! What an operator reads about guest code that failed: what happened, where, and the guest's own words.
//!
//! No other place puts this into words. Log lines, dead letters, refusals of a load and the reports of a probation use the texts from here.
//! (What a guest said itself is in [`Panic`] and [`crate::running::FailedCall`].)
//!
//! Invariants:
//!
//! - What a guest says is bounded and has no control characters ([`bulkhead_types::own_words`]). So it can't forge a log line, or move the
//!   cursor of the person who reads it.
//! - None of it reaches a client: a client reads [`Problem`].
//! - Nothing that a client sent is in it: a path is reported as the route's template, and a statement without its values.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use bulkhead_types::limits::{METHOD_SHOWN_BYTES_MAX, WASM_STACK_MAX};
use bulkhead_types::{TraceId, own_words};
use wasmtime::Trap;

use crate::bindings::bulkhead::service::types::Request;
use crate::component_info::ComponentInfo;
use crate::job::Failure;
use crate::problem::Problem;
use crate::running::{Expired, Handler, Panic, Running};
use crate::spec::ServiceSpec;

/// Why a run of guest code ended in an error of wasmtime: a trap, or a time limit.
pub(crate) fn failure(error: &wasmtime::Error, running: &Running, spec: &ServiceSpec) -> Failure {
    match error.downcast_ref::<Expired>() {
        Some(Expired(failure)) => failure.clone(),
        None => {
            let ended = trapped(error, running.panic.as_ref(), running.memory_refused, spec);
            Failure::Trap(format!("the handler {ended}"))
        }
    }
}

/// How guest code ended, to follow its subject: "panicked: …", "ran out of memory: …".
pub(crate) fn trapped(
    error: &wasmtime::Error,
    panic: Option<&Panic>,
    memory_refused: bool,
    spec: &ServiceSpec,
) -> String {
    if error.downcast_ref::<Expired>().is_some() {
        return "did not end in time".to_owned();
    }
    let memory = format!("limits.memory gives an instance, {} MiB", spec.limits.memory >> 20);
    let trap = error.downcast_ref::<Trap>();
    // This is how a guest ends that can't go on without memory. Another trap has another reason: the guest got over the refusal.
    if panic.is_none() && memory_refused && trap == Some(&Trap::UnreachableCodeReached) {
        return format!("ran out of memory: it wanted more than {memory}; raise limits.memory, or need less");
    }
    let ended = match panic {
        Some(panic) => format!("panicked: {panic}"),
        None => ended_in(trap, error),
    };
    if memory_refused {
        return format!("{ended}; before that it was refused memory beyond what {memory}");
    }
    ended
}

/// How guest code ended if it says nothing itself.
fn ended_in(trap: Option<&Trap>, error: &wasmtime::Error) -> String {
    match trap {
        Some(Trap::StackOverflow) => format!(
            "ran out of stack: it used more than {} KiB; does a function call itself without end?",
            WASM_STACK_MAX >> 10
        ),
        // A guest's own stack is at the bottom of its memory. There is nothing beyond it.
        Some(Trap::MemoryOutOfBounds) => {
            "trapped: it reached outside of its memory; in a guest in Rust this is nearly always a stack that is used up: does a function \
             call itself without end, or keep something large on the stack?"
                .to_owned()
        }
        // Without the frames above it: components have no names for them.
        _ => format!("trapped and gave no reason: {}", own_words(&error.root_cause().to_string(), 512)),
    }
}

/// How a run of a handler failed, as a whole sentence. It has the times, if a time limit was exceeded.
pub(crate) fn sentence(failure: &Failure, running: &Running, spec: &ServiceSpec) -> String {
    let (ran, limits) = (running.began.elapsed().as_millis(), &spec.limits);
    match failure {
        Failure::Deadline => format!(
            "the time of {} was over: its handler ran for {ran} ms, and limits.request_timeout gives {} ms, waiting in the queue included",
            running.handler,
            limits.request_timeout.as_millis()
        ),
        Failure::LeaseHeld => format!(
            "the handler of {} held the writer lease for longer than limits.lease_hold, {} ms; it ran for {ran} ms",
            running.handler,
            limits.lease_hold.as_millis()
        ),
        other => other.to_string(),
    }
}

/// The same for an event that was not consumed, with the last database call that failed.
pub(crate) fn reason(sentence: &str, running: &Running) -> String {
    match &running.failed_call {
        Some(failed) => format!("{sentence}; the last call to the database that failed: {failed}"),
        None => sentence.to_owned(),
    }
}

/// Writes the one log line about a request that failed. `running` is what its handler did, if that is known.
///
/// A mistake of the client (4xx) is not a failure, and is not logged.
pub(crate) fn report_request(
    component: &ComponentInfo,
    spec: &ServiceSpec,
    request: &Request,
    failure: &Failure,
    running: Option<&Running>,
) {
    let status = Problem::from(failure).status;
    if status < 500 {
        return;
    }
    let sentence = match running {
        Some(running) => sentence(failure, running, spec),
        None => failure.to_string(),
    };
    write_line(component, spec, request, (status, &sentence), running);
}

/// The same for a request whose handler itself answered with 5xx.
pub(crate) fn report_answer(
    component: &ComponentInfo,
    spec: &ServiceSpec,
    request: &Request,
    status: http::StatusCode,
    running: &Running,
) {
    let mut sentence = format!("the handler answered {status}");
    if let Some(said) = &running.last_error {
        let _ = write!(sentence, ": {said}");
    }
    if status == http::StatusCode::GATEWAY_TIMEOUT {
        let (request, lease) = (spec.limits.request_timeout.as_millis(), spec.limits.lease_hold.as_millis());
        let _ = write!(
            sentence,
            "; limits.request_timeout gives a request {request} ms, and limits.lease_hold a unit of work {lease} ms"
        );
    }
    write_line(component, spec, request, (status.as_u16(), &sentence), Some(running));
}

/// Logs a job that no worker got to in time.
pub(crate) fn report_late_job(component: &ComponentInfo, spec: &ServiceSpec, request: &Request) {
    let sentence = format!(
        "its time, limits.request_timeout of {} ms, was over before a worker was free; give the service more workers, or make its handlers \
         quicker",
        spec.limits.request_timeout.as_millis()
    );
    write_line(component, spec, request, (504, &sentence), None);
}

/// Writes the line. What the client may try again (503) is a warning.
fn write_line(
    component: &ComponentInfo,
    spec: &ServiceSpec,
    request: &Request,
    (status, failure): (u16, &str),
    running: Option<&Running>,
) {
    let template = component.described.find(&request.method, &request.path);
    let path = template.map_or(request.route.as_str(), |route| &*route.path);
    let milliseconds = running.map(|running| rounded(running.began.elapsed()));
    let failed_call = running.and_then(|running| running.failed_call.as_ref()).map(tracing::field::display);
    // The level of a log line must be a constant where the line is written.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                service = spec.name.as_str(),
                version = %component.version,
                trace_id = request.trace_id,
                method = own_words(&request.method, METHOD_SHOWN_BYTES_MAX),
                path,
                status,
                milliseconds,
                failure,
                failed_call,
                "a request failed"
            )
        };
    }
    if status == 503 { line!(warn) } else { line!(error) }
}

fn rounded(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where a log line comes from, as its fields.
pub(crate) struct Place<'r> {
    pub(crate) version: Option<&'r dyn Display>,
    pub(crate) trace_id: Option<TraceId>,
    /// Of a request.
    pub(crate) method: Option<&'r str>,
    /// Of a request: the template of its route.
    pub(crate) path: Option<&'r str>,
    /// The type of an event.
    pub(crate) kind: Option<&'r str>,
}

impl<'r> Place<'r> {
    /// The place of the guest code that runs.
    pub(crate) fn of(running: &'r Running) -> Self {
        let component = running.component.as_deref();
        let place = Self {
            version: component.map(|component| &component.version as &dyn Display),
            trace_id: running.trace_id,
            method: None,
            path: None,
            kind: None,
        };
        match &running.handler {
            Handler::None => place,
            Handler::Event { kind } => Self { kind: Some(kind), ..place },
            Handler::Request { method, path, route } => {
                let template = component.and_then(|component| component.described.find(method, path));
                let template = template.map(|route| &*route.path);
                Self { method: Some(method), path: Some(template.unwrap_or(route)), ..place }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::trial::{Trial, job, lines_with};

    /// The line about an answer of this status to a request whose handler has run for a while.
    fn line_about(status: http::StatusCode) -> String {
        let trial = Trial::new(Duration::from_secs(60));
        let release = trial.consumer.release();
        let (component, spec) = (&release.component.info, &release.spec);
        let began = Instant::now() - Duration::from_millis(1500);
        let running = Running { began, ..Running::starting(Instant::now()) };
        let request = job(Instant::now(), None).0.request;
        let report = || report_answer(component, spec, &request, status, &running);
        lines_with("a request failed", report).pop().unwrap()
    }

    #[test]
    fn answer_log_line_has_level_and_time_and_the_limits_if_late() {
        use http::StatusCode as Status;
        for (status, level, has_limits) in [
            (Status::INTERNAL_SERVER_ERROR, "ERROR", false),
            (Status::SERVICE_UNAVAILABLE, "WARN", false),
            (Status::GATEWAY_TIMEOUT, "ERROR", true),
        ] {
            let line = line_about(status);
            assert!(line.starts_with(level), "{line}");
            assert_eq!(
                line.contains("limits.request_timeout gives a request 60000 ms"),
                has_limits,
                "{line}"
            );
            let (_, rest) = line.split_once("milliseconds=").unwrap();
            let reported: u64 = rest.split(' ').next().unwrap().parse().unwrap();
            assert!(reported >= 1500, "{line}");
        }
    }

    #[test]
    fn log_line_names_the_running_request_or_event() {
        let of_request =
            Handler::Request { method: "PUT".into(), path: "/notes/1".into(), route: "/notes/...".into() };
        for (handler, expected) in [
            (Handler::None, (None, None, None)),
            (of_request, (Some("PUT"), Some("/notes/..."), None)),
            (Handler::Event { kind: "maker.made".into() }, (None, None, Some("maker.made"))),
        ] {
            let running = Running { handler, ..Running::starting(Instant::now()) };
            let Place { method, path, kind, .. } = Place::of(&running);
            assert_eq!((method, path, kind), expected);
        }
    }

    #[test]
    fn refused_memory_does_not_hide_a_trap_with_its_own_reason() {
        let reported = |trap: Trap, refused| trapped(&trap.into(), None, refused, &ServiceSpec::default());
        assert!(reported(Trap::UnreachableCodeReached, true).starts_with("ran out of memory: "));
        for (trap, words) in [
            (Trap::StackOverflow, "ran out of stack: "),
            (Trap::MemoryOutOfBounds, "trapped: it reached outside of its memory"),
            (Trap::IntegerDivisionByZero, "trapped and gave no reason: "),
        ] {
            let (without, with) = (reported(trap, false), reported(trap, true));
            assert!(without.starts_with(words) && !without.contains("memory beyond"), "{without}");
            let rest = with.strip_prefix(&without).unwrap_or_else(|| panic!("{with}"));
            assert!(rest.starts_with("; before that it was refused memory beyond what limits.memory gives"));
        }
        let panic = Panic::new("no", "");
        let reported =
            trapped(&Trap::UnreachableCodeReached.into(), Some(&panic), true, &ServiceSpec::default());
        assert!(reported.starts_with("panicked: no; before that it was refused memory"), "{reported}");
    }
}
