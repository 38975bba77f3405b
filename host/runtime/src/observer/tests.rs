use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::Fate;
use bulkhead_types::Sequence;

use super::{DropCause, Limit, Observation, Observers};
use crate::bindings::bulkhead::service::outbox::Host as _;
use crate::bindings::bulkhead::service::services::{Host as _, OutgoingRequest};
use crate::capability::{OutboxView, ServicesView};
use crate::instance::NotConsumed;
use crate::job::Failure;
use crate::kind::Kind;
use crate::member::{Settle, settle};
use crate::observer::Observer;
use crate::queues::{Work, queues};
use crate::running::Calls;
use crate::spec::ServiceSpec;
use crate::supervise::Progress;
use crate::trial::{Seen, Trial, event, job};
use crate::worker::Worker;

const LONG: Duration = Duration::from_secs(60);

/// Runs a worker until it has done this.
fn work(trial: &Trial, work: Vec<Work>) {
    let (to, queue) = flume::unbounded();
    for one in work.into_iter().chain([Work::Stop]) {
        to.send(one).unwrap();
    }
    Worker::new(trial.consumer.runner(), queue, Kind::Write, &mut false).run(&Progress::default());
}

#[test]
fn request_is_observed_from_its_queue_to_its_instance() {
    let seen = Seen::default();
    let observers = Observers::new(vec![Arc::new(seen.clone()) as Arc<dyn Observer>]);
    let mut spec = ServiceSpec { name: "taker".into(), ..ServiceSpec::default() };
    spec.limits.queue = 1;
    let (queues, ends) = queues(&spec, &observers);
    let [(one, _first), (other, _second), (late, _third)] =
        [LONG, LONG, Duration::ZERO].map(|left| job(Instant::now() + left, None));
    queues.submit(&queues.admission_limits(), one).unwrap();
    assert_eq!(queues.submit(&queues.admission_limits(), other), Err(Failure::QueueFull));
    assert_eq!(seen.take(), ["taker: queued write", "taker: limit queue"]);
    let trial = Trial::new(LONG);
    // The component has no handler for a request.
    work(&trial, vec![ends.writes.recv().unwrap()]);
    assert_eq!(trial.seen.take(), ["taker: started write", "taker: created", "taker: dropped failed"]);
    work(&trial, vec![Work::Job(late, Instant::now())]);
    assert_eq!(trial.seen.take(), ["taker: started write", "taker: limit request_timeout"]);
}

#[test]
fn unit_of_work_is_observed_when_it_is_joined_and_its_batch_when_it_is_durable() {
    let trial = Trial::new(LONG);
    let mut runner = trial.consumer.runner();
    for more in [true, false] {
        runner.write(|unit| unit.write_time().map(|()| true), Settle::new(|_| {}), more);
    }
    runner.commit_open_batch();
    let seen = trial.seen.take();
    assert_eq!(seen.iter().filter(|what| *what == "taker: joined").count(), 2, "{seen:?}");
    let members = |what: &String| what.strip_prefix("taker: committed ").map(|count| count.parse::<usize>());
    // On a busy machine a batch may be due before the second unit of work joins it.
    assert_eq!(seen.iter().filter_map(members).map(Result::unwrap).sum::<usize>(), 2, "{seen:?}");
    trial.fail_commits(1);
    runner.write(|unit| unit.write_time().map(|()| true), Settle::new(|_| {}), false);
    assert_eq!(trial.seen.take(), ["taker: joined"], "it is not durable");
}

/// Requests whose batch was aborted run again. Here none of them joins a unit of work, so nothing is committed.
#[test]
fn batch_is_observed_for_the_units_of_work_that_were_kept() {
    let trial = Trial::new(LONG);
    let mut runner = trial.consumer.runner();
    let lease = trial.consumer.database().unwrap().writer.acquire(Instant::now() + LONG).unwrap();
    let (jobs, _answers): (Vec<_>, Vec<_>) = (0..4).map(|_| job(Instant::now() + LONG, None)).unzip();
    let mut members: Vec<_> = jobs.into_iter().map(|job| trial.aborted(job, Calls::None)).collect();
    let kept = members.split_off(2);
    runner.recover(lease, members);
    let seen = trial.seen.take();
    assert!(!seen.iter().any(|what| what.contains("committed")), "{seen:?}");
    settle(kept, &Fate::Durable, &trial.context.observed);
    assert_eq!(trial.seen.take(), ["taker: committed 2"]);
}

#[test]
fn consumed_or_parked_event_is_observed_when_durable() {
    let trial = Trial::new(LONG);
    let (_subscription, worker) = trial.subscription_worker(Vec::new());
    let mut runner = trial.consumer.runner();
    let row = trial.row(&event(1, "maker.made", "a"), &NotConsumed::Reject("no".into()));
    let mut write = |settle: Settle| {
        runner.write(|unit| unit.write_time().map(|()| true), settle, false);
        trial.seen.take()
    };
    let committed = |what: &str| ["taker: joined", "taker: committed 1", what].map(str::to_owned).to_vec();
    assert_eq!(write(worker.delivered(Sequence::new(7), true)), committed("taker: consumed maker 7"));
    assert_eq!(write(worker.parked(Sequence::new(8), &row)), committed("taker: parked e1 Dead"));
    // Nobody got it.
    assert_eq!(write(worker.delivered(Sequence::new(9), false)), ["taker: joined", "taker: committed 1"]);
    for settle in [worker.delivered(Sequence::new(10), true), worker.parked(Sequence::new(11), &row)] {
        trial.fail_commits(1);
        assert_eq!(write(settle), ["taker: joined"]);
    }
}

#[test]
fn timer_and_parked_event_are_observed_when_durable() {
    let trial = Trial::new(LONG);
    // The component has no handler, so the timer is a dead letter, and the parked event becomes one.
    trial.set_timer("timer");
    trial.park(&event(3, "maker.made", "a"));
    trial.seen.take();
    let mut deferred = trial.deferred(vec![event(3, "maker.made", "a")]);
    deferred.consume_due().unwrap();
    let seen = trial.seen.take();
    let parked: Vec<_> = seen.iter().filter(|what| what.contains("parked")).collect();
    assert_eq!(parked, ["taker: parked timer Dead", "taker: parked e3 Dead"], "{seen:?}");
    let mut runner = trial.consumer.runner();
    let settle = deferred.settle(|observed| {
        observed
            .notify(&Observation::EventConsumed { producer: &"taker".into(), sequence: Sequence::new(3) });
    });
    runner.write(|unit| unit.write_time().map(|()| true), settle, false);
    assert_eq!(trial.seen.take().last().map(String::as_str), Some("taker: consumed taker 3"));
}

#[test]
fn dropped_instance_is_observed_with_the_cause() {
    let trial = Trial::new(LONG);
    let mut runner = trial.consumer.runner();
    for cause in DropCause::ALL {
        runner.warm_up();
        runner.instance.retire(cause);
        runner.instance.retire(cause);
        assert_eq!(
            trial.seen.take(),
            ["taker: created".to_owned(), format!("taker: dropped {}", cause.name())]
        );
    }
    runner.warm_up();
    drop(runner);
    assert_eq!(trial.seen.take(), ["taker: created", "taker: dropped stopped"]);
}

#[test]
fn calls_of_a_handler_are_observed_even_if_refused() {
    let trial = Trial::new(LONG);
    let mut state = trial.state();
    state.observed = trial.context.observed.clone();
    let request = OutgoingRequest {
        method: "GET".into(),
        path: "/other".into(),
        query: None,
        headers: Vec::new(),
        body: Vec::new(),
    };
    assert!(ServicesView::of(&mut state).call("other".into(), request).unwrap().is_err());
    assert!(OutboxView::of(&mut state).erase("a".into()).unwrap().is_err());
    assert_eq!(trial.seen.take(), ["taker: called other", "taker: database false"]);
}

#[test]
fn limit_behind_a_failure_is_known() {
    for (failure, limit) in [
        (Failure::Deadline, Some(Limit::RequestTimeout)),
        (Failure::LeaseHeld, Some(Limit::LeaseHold)),
        (Failure::Aborted, None),
    ] {
        assert_eq!(Limit::of(&failure), limit, "{failure}");
    }
    let names = Limit::ALL.map(Limit::name);
    assert_eq!(names, ["queue", "memory", "request_timeout", "lease_hold"]);
}
